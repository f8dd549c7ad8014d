# SPDX-License-Identifier: Apache-2.0
"""Random discrete nets, and what Keras computes with them."""

from typing import Any

import keras
import numpy as np

import gxnor_tf
from export import graph

INPUT_SCALE = 1 / 128


def randomise(model: keras.Model, seed: int) -> keras.Model:
    """Gives a model random weights and statistics, of either BN sign."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        name, shape = variable.name, tuple(variable.shape)
        if isinstance(variable, gxnor_tf.DiscreteVariable):
            states = rng.choice(variable.space.states, shape)
            if states.shape[-1] > 3:
                states[..., 1] = np.abs(states).min()  # an all-zero channel
            variable.assign(states)
        elif name in ("gamma", "beta", "moving_mean", "bias", "scale"):
            value = rng.normal(size=shape)
            if name == "gamma" and value.size > 2:
                value[2] = 0
            if name == "moving_mean":
                value *= 3
            variable.assign(value)
        elif name == "moving_variance":
            variable.assign(rng.uniform(0.5, 30, shape))
        elif name == "kernel":
            spread = np.prod(shape[:-1]) ** -0.5
            variable.assign(rng.normal(size=shape) * spread)
    return model


def images(model: keras.Model, count: int, seed: int) -> np.ndarray:
    """Random int8 inputs of a model."""
    rng = np.random.default_rng(seed)
    shape = (count, *model.inputs[0].shape[1:])
    return rng.integers(-128, 128, shape).astype(np.int8)


def keras_outputs(
    model: keras.Model, names: list[str], x: np.ndarray
) -> dict[str, np.ndarray]:
    """Values inside of a model, computed by Keras op by op."""
    calls = graph.read_graph(model)
    outputs: dict[str, Any] = graph.evaluate(calls, names)(
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
                gxnor_tf.MaxPooling2D(),
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


def _act(space: Any = 1, **kwargs: Any) -> keras.layers.Layer:
    return gxnor_tf.DiscreteActivation(space, **kwargs)


def _conv(filters: int, size: Any = 3, **kwargs: Any) -> keras.layers.Layer:
    return gxnor_tf.DiscreteConv2D(filters, size, **kwargs)


def _block(x: Any, filters: int, size: int = 3, **kwargs: Any) -> Any:
    kwargs = {"padding": "same"} | kwargs
    return _act()(_norm()(_conv(filters, size, **kwargs)(x)))


def levels(weight_n: int, activation_n: int, seed: int) -> keras.Model:
    """Weights and activations of any number of levels, the paper's order."""
    layers = keras.layers
    return randomise(
        keras.Sequential(
            [
                keras.Input((9, 9, 2)),
                _conv(9, weight_space=weight_n),
                layers.MaxPooling2D(),
                _norm(),
                _act(activation_n),
                _conv(7, padding="same", weight_space=weight_n),
                _norm(),
                _act(activation_n),
                layers.Flatten(),
                gxnor_tf.DiscreteDense(5, weight_space=weight_n),
                _norm(),
            ]
        ),
        seed,
    )


def binary(seed: int) -> keras.Model:
    """Binary weights and activations."""
    return levels(0, 0, seed)


def multi_level(seed: int) -> keras.Model:
    """5-level weights, 9-level activations."""
    return levels(2, 3, seed)


def wide_weights(seed: int) -> keras.Model:
    """Weights that leave int8 ops no head room."""
    return levels(6, 2, seed)


def residual(seed: int) -> keras.Model:
    """Residuals of states and of reals, average pools, a global one last."""
    x = inputs = keras.Input((8, 8, 3))
    x = _block(x, 8)
    y = _norm()(_conv(8, padding="same")(_block(x, 8)))
    x = _act()(keras.layers.Add()([x, y]))
    x = x + _block(x, 8)
    x = keras.layers.AveragePooling2D(2)(_act()(_norm()(x)))
    x = _block(x, 8, padding="valid")
    x = keras.layers.GlobalAveragePooling2D()(x)
    return randomise(keras.Model(inputs, x), seed)


def joined(seed: int) -> keras.Model:
    """Concatenation of two spaces and of full words, zero padding, reuse."""
    layers = keras.layers
    x = inputs = keras.Input((8, 8, 3))
    x = _block(x, 32)
    y = layers.Concatenate()([x, _block(x, 8)])
    y = layers.ZeroPadding2D(1)(y)
    y = layers.Concatenate()([y, layers.ZeroPadding2D(1)(x)])
    a = _block(y, 8, padding="valid")
    b = _act(2)(_norm()(_conv(4, 1)(x)))
    x = layers.Concatenate()([x, a, b])
    x = layers.SpatialDropout2D(0.1)(layers.ZeroPadding2D(((1, 0), (2, 1)))(x))
    x = layers.MaxPooling2D()(_conv(8, 3, strides=2)(x))
    x = layers.MaxPooling2D()(_act()(_norm()(x)))
    x = layers.Reshape((2, -1))(layers.Flatten()(x))
    return randomise(keras.Model(inputs, gxnor_tf.DiscreteDense(4)(x)), seed)


def separable(seed: int) -> keras.Model:
    """Depthwise, separable and grouped convolutions, output scales."""
    x = inputs = keras.Input((8, 8, 3))
    for layer in (
        _conv(8, padding="same", scale="channel"),
        gxnor_tf.DiscreteDepthwiseConv2D(
            3, padding="same", depth_multiplier=2, use_bias=True
        ),
        gxnor_tf.DiscreteSeparableConv2D(12, 3, scale="fan_in"),
        _conv(16, padding="same", groups=4, weight_space=0),
        gxnor_tf.DiscreteSeparableConv2D(
            12, 3, depth_multiplier=2, padding="same", weight_space=2
        ),
        # Its inner sums do not fit an int8.
        gxnor_tf.DiscreteSeparableConv2D(
            10, 5, padding="same", weight_space=gxnor_tf.DiscreteSpace(4)
        ),
    ):
        x = _act()(_norm()(layer(x)))
    x = _act()(_norm()(keras.layers.GlobalAveragePooling2D()(x)))
    return randomise(keras.Model(inputs, gxnor_tf.DiscreteDense(3)(x)), seed)


def one_dimensional(seed: int) -> keras.Model:
    """Conv1D and its pools; the output has steps."""
    layers = keras.layers
    conv = gxnor_tf.DiscreteConv1D
    return randomise(
        keras.Sequential(
            [
                keras.Input((20, 3)),
                layers.ZeroPadding1D(1),
                conv(8, 3, padding="causal"),
                _norm(),
                _act(),
                layers.MaxPooling1D(2),
                conv(8, 3, dilation_rate=2),
                _norm(),
                _act(),
                layers.AveragePooling1D(2),
                gxnor_tf.DiscreteDense(6),
                _norm(),
            ]
        ),
        seed,
    )


def nested(seed: int) -> keras.Model:
    """A model inside, called twice, and a layer that is."""
    inputs = keras.Input((6, 6, 2))
    inner = keras.Sequential(
        [keras.Input((6, 6, 4)), _conv(4, padding="same"), _norm(), _act()],
        name="inner",
    )
    twice = _conv(4, padding="same", name="twice")
    x = inner(inner(_block(inputs, 4)))
    x = _act()(twice(_act()(twice(x))))
    x = gxnor_tf.DiscreteDense(3)(keras.layers.Flatten()(x))
    return randomise(keras.Model(inputs, x, name="nested"), seed)


def decoder(seed: int) -> keras.Model:
    """Transposed convolutions of every kind, behind a falling pool."""
    layers = keras.layers
    up = gxnor_tf.DiscreteConv2DTranspose
    x = inputs = keras.Input((8, 8, 2))
    x = layers.MaxPooling2D()(_conv(5)(inputs))
    for layer in (
        up(6, 3, strides=2, padding="same"),
        up(4, 2, strides=(1, 3), padding="valid", weight_space=2),
        up(4, 3, dilation_rate=2, padding="same", use_bias=True),
        up(3, 4, strides=2, padding="same", output_padding=1),
        up(3, (1, 2), strides=2, padding="valid", scale="layer"),
    ):
        x = layer(_act()(_norm()(x)))
    return randomise(keras.Model(inputs, _norm()(x)), seed)


def unusual(seed: int) -> keras.Model:
    """What few nets do: aliases beside pools, padding before a dense layer."""
    layers = keras.layers
    x = inputs = keras.Input((7, 7, 2))
    x = layers.MaxPooling2D(2, strides=1)(_conv(6, scale="channel")(x))
    x = _act()(_norm()(x))
    a = layers.MaxPooling2D(1)(layers.Activation("linear")(x))
    b = layers.MaxPooling2D(1)(layers.Reshape((4, 4, 6))(x))
    x = layers.Add()([a, b, layers.ZeroPadding2D(0)(x)])
    x = gxnor_tf.DiscreteDense(5)(layers.ZeroPadding2D(1)(x))
    half = gxnor_tf.DiscreteSpace(3, 0.7)
    y = _act(half, zero_window=0.1)(_norm()(x))
    z = _act(half, zero_window=0.2)(_norm()(x))
    x = _act()(_norm()(layers.Add()([y, z])))
    inner = keras.Input((6, 6, 5))
    inner = keras.Model(inner, _act()(_norm()(layers.Concatenate()([inner]))))
    x = gxnor_tf.DiscreteConv2DTranspose(3, 2, scale="channel")(inner(x))
    return randomise(keras.Model(inputs, {"y": x}), seed)


def ends_nested(seed: int) -> keras.Model:
    """The last call is that of a functional model, and its second."""
    inner_inputs = keras.Input((8,))
    x = gxnor_tf.DiscreteDense(8)(_act()(_norm()(inner_inputs)))
    inner = keras.Model(inner_inputs, x)
    inputs = keras.Input((8,))
    x = inner(inner(gxnor_tf.DiscreteDense(8)(inputs)))
    return randomise(keras.Model(inputs, x), seed)


def flipped(seed: int) -> keras.Model:
    """Falling channels behind a pool, read by all but a convolution."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 2))
    x = _act()(_norm()(layers.MaxPooling2D()(_conv(5)(inputs))))
    y = _act(2)(_norm()(_conv(5, padding="same")(x)))
    y = layers.Concatenate()([layers.Add()([x, y]), y])
    y = layers.Concatenate()([y, layers.MaxPooling2D(1)(x)])
    return randomise(keras.Model(inputs, layers.Reshape((9, 15))(y)), seed)


def pools_and_norms(seed: int) -> keras.Model:
    """Norms around pools, ReLU inside, a staircase of a staircase."""
    layers = keras.layers
    return randomise(
        keras.Sequential(
            [
                keras.Input((12, 12, 2)),
                _conv(6),
                _norm(),
                layers.MaxPooling2D(),
                _norm(),
                layers.ReLU(),
                _act(),
                _norm(),
                _act(2),
                _conv(6),
                layers.MaxPooling2D(2, strides=1),
                layers.MaxPooling2D(2, strides=1),
                _norm(),
                layers.Flatten(),
                _act(),
                gxnor_tf.DiscreteDense(4),
                layers.ReLU(),
            ]
        ),
        seed,
    )


def mnist(seed: int) -> keras.Model:
    """The paper's MNIST net."""
    layers = keras.layers
    return randomise(
        keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                _conv(32, 5),
                gxnor_tf.MaxPooling2D(),
                _norm(),
                _act(),
                _conv(64, 5),
                gxnor_tf.MaxPooling2D(),
                _norm(),
                _act(),
                layers.Flatten(),
                gxnor_tf.DiscreteDense(512),
                _norm(),
                _act(),
                gxnor_tf.DiscreteDense(10),
                _norm(),
            ]
        ),
        seed,
    )


def branching(seed: int) -> keras.Model:
    """Skips and branches of packed states, depthwise, a ReLU at the end."""
    layers = keras.layers
    x = inputs = keras.Input((10, 9, 2))
    a = x = _block(x, 32)
    depthwise = gxnor_tf.DiscreteDepthwiseConv2D(3, padding="same")
    b = _act()(_norm()(depthwise(a)))
    c = _block(layers.Concatenate()([a, b]), 7, 1)
    x = layers.Concatenate()([b, c, layers.MaxPooling2D(1)(c), a, c, c])
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    y = layers.ZeroPadding2D(1)(x)
    x = layers.ZeroPadding2D(((0, 2), (1, 1)))(x)
    x = _block(layers.Concatenate()([_block(x, 32), _block(y, 5)]), 40, 2)
    x = gxnor_tf.DiscreteDense(6, use_bias=True)(layers.Flatten()(x))
    return randomise(keras.Model(inputs, layers.ReLU()(_norm()(x))), seed)


def upsampling(seed: int) -> keras.Model:
    """Transposed convolutions with ternary weights, an image at the end."""
    up = gxnor_tf.DiscreteConv2DTranspose
    x = inputs = keras.Input((4, 5, 2))
    x = _act()(_norm()(_conv(6)(x)))
    x = _act()(_norm()(up(40, 3, strides=2, padding="same")(x)))
    x = up(3, 3, strides=(1, 3), padding="same", scale="channel")(x)
    x = keras.layers.Reshape((4, -1))(_norm()(x))
    return randomise(keras.Model(inputs, _norm()(x)), seed)


def mean_of_states(seed: int) -> keras.Model:
    """A global average of states, as the sums that a net ends in."""
    layers = keras.layers
    layers_of_it = [_conv(40, 3, strides=2), _norm(), _act()]
    layers_of_it += [layers.GlobalAveragePooling2D(), _norm()]
    return randomise(
        keras.Sequential([keras.Input((9, 11, 3)), *layers_of_it]), seed
    )


def flipped_states(seed: int) -> keras.Model:
    """Falling channels behind a pool, which leave as flattened states."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 2))
    x = layers.MaxPooling2D()(_conv(64)(inputs))
    x = _act(gxnor_tf.DiscreteSpace(1, 0.5))(_norm()(x))
    return randomise(keras.Model(inputs, layers.Flatten()(x)), seed)


def normed_states(seed: int) -> keras.Model:
    """A BatchNormalization of states at the end, and states of states."""
    x = inputs = keras.Input((6, 20))
    x = _act()(_norm()(gxnor_tf.DiscreteConv1D(35, 3)(x)))
    x = keras.layers.Reshape((2, 2, 35))(x)
    x = _act(gxnor_tf.DiscreteSpace(0, 2.0))(_norm()(x))
    return randomise(keras.Model(inputs, _norm()(x)), seed)


CHAINS = (paper_like, pool_last, dense_only, convolutional, ends_ternary)
GRAPHS = (
    binary,
    multi_level,
    wide_weights,
    residual,
    joined,
    separable,
    one_dimensional,
    nested,
    decoder,
    unusual,
    ends_nested,
    flipped,
    pools_and_norms,
)
ALL = CHAINS + GRAPHS
# Nets whose states are all ternary or binary, and so packed in C.
PACKED = (
    *CHAINS,
    binary,
    nested,
    ends_nested,
    mnist,
    branching,
    upsampling,
    mean_of_states,
    flipped_states,
    normed_states,
)
