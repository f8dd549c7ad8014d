# SPDX-License-Identifier: Apache-2.0
"""Random discrete nets, and what Keras computes with them."""

from typing import Any

import keras
import numpy as np

import gxnor_tf
from gxnor_tf.probe import probe

INPUT_SCALE = 1 / 128


def randomise(model: keras.Model, seed: int) -> keras.Model:
    """Gives a model random states and statistics, of either BN sign."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        name, shape = variable.name, tuple(variable.shape)
        if isinstance(variable, gxnor_tf.DiscreteVariable):
            states = rng.choice(variable.space.states, shape)
            if states.shape[-1] > 3:
                states[..., 1] = np.abs(states).min()  # an all-zero channel
            variable.assign(states)
        elif name in ("gamma", "beta", "moving_mean", "bias"):
            value = rng.normal(size=shape)
            if name == "gamma" and value.size > 2:
                value[2] = 0
            if name == "moving_mean":
                value *= 3
            variable.assign(value)
        elif name == "moving_variance":
            variable.assign(rng.uniform(0.5, 30, shape))
    return model


def images(model: keras.Model, count: int, seed: int) -> np.ndarray:
    """Random int8 inputs of a model."""
    rng = np.random.default_rng(seed)
    shape = (count, *model.inputs[0].shape[1:])
    return rng.integers(-128, 128, shape).astype(np.int8)


def keras_outputs(
    model: keras.Model, names: list[str], x: np.ndarray
) -> dict[str, np.ndarray]:
    """Outputs of the named layers, computed by Keras op by op."""
    outputs: dict[str, Any] = probe(model, names)(
        x.astype(np.float32) * INPUT_SCALE
    )
    return {name: np.asarray(value) for name, value in outputs.items()}


def _norm(**kwargs: Any) -> keras.layers.Layer:
    return keras.layers.BatchNormalization(epsilon=1e-4, **kwargs)


def paper_like(seed: int) -> keras.Model:
    """The paper's layer order: conv, pool, norm, activation."""
    layers = keras.layers
    return randomise(
        keras.Sequential(
            [
                keras.Input((14, 13, 2)),
                gxnor_tf.DiscreteConv2D(9, 5),
                layers.MaxPooling2D(),
                _norm(),
                gxnor_tf.DiscreteActivation(),
                gxnor_tf.DiscreteConv2D(37, 3, padding="same"),
                layers.MaxPooling2D(),
                _norm(),
                gxnor_tf.DiscreteActivation(),
                layers.Flatten(),
                gxnor_tf.DiscreteDense(33),
                _norm(),
                gxnor_tf.DiscreteActivation(),
                gxnor_tf.DiscreteDense(10),
                _norm(),
            ]
        ),
        seed,
    )


def pool_last(seed: int) -> keras.Model:
    """Pooling behind the activation, strides, dilation, bias, dropout."""
    layers = keras.layers
    return randomise(
        keras.Sequential(
            [
                keras.Input((15, 15, 3)),
                gxnor_tf.DiscreteConv2D(
                    40, 3, strides=2, padding="same", use_bias=True
                ),
                _norm(),
                gxnor_tf.DiscreteActivation(),
                layers.MaxPooling2D(3, strides=2, padding="same"),
                layers.Dropout(0.1),
                gxnor_tf.DiscreteConv2D(
                    31,
                    3,
                    dilation_rate=2,
                    padding="same",
                    weight_space=gxnor_tf.DiscreteSpace(0, 0.3),
                ),
                _norm(scale=False),
                layers.MaxPooling2D(2),
                gxnor_tf.DiscreteActivation(
                    gxnor_tf.DiscreteSpace(1, 0.5), zero_window=0.2
                ),
                layers.Flatten(),
                layers.Dropout(0.1),
                gxnor_tf.DiscreteDense(7, use_bias=True),
                _norm(center=False),
            ]
        ),
        seed,
    )


def dense_only(seed: int) -> keras.Model:
    """Fully connected, flat input, no BatchNormalization at the end."""
    return randomise(
        keras.Sequential(
            [
                keras.Input((45,)),
                gxnor_tf.DiscreteDense(64),
                _norm(),
                gxnor_tf.DiscreteActivation(),
                gxnor_tf.DiscreteDense(
                    5, weight_space=gxnor_tf.DiscreteSpace(1, 0.7)
                ),
            ]
        ),
        seed,
    )


def convolutional(seed: int) -> keras.Model:
    """Functional, dense on positions, convolution as the last layer."""
    x = inputs = keras.Input((6, 7, 1))
    x = gxnor_tf.DiscreteConv2D(32, (2, 3), strides=(1, 2))(x)
    x = _norm()(x)
    x = gxnor_tf.DiscreteActivation()(x)
    x = gxnor_tf.DiscreteDense(20)(x)
    x = _norm()(x)
    x = gxnor_tf.DiscreteActivation()(x)
    x = gxnor_tf.DiscreteConv2D(3, 2)(x)
    return randomise(keras.Model(inputs, _norm()(x)), seed)


def ends_ternary(seed: int) -> keras.Model:
    """A feature extractor: the output is an activation."""
    return randomise(
        keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                gxnor_tf.DiscreteConv2D(33, 3),
                _norm(),
                gxnor_tf.DiscreteActivation(),
                keras.layers.MaxPooling2D(),
            ]
        ),
        seed,
    )


ALL = (paper_like, pool_last, dense_only, convolutional, ends_ternary)
