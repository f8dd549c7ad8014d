# SPDX-License-Identifier: Apache-2.0
"""The networks, with weights and activations of any space."""

import math
from collections.abc import Callable
from typing import Any

import keras

import gxnor_tf
from train.config import Config
from train.errors import UserError


class LayerFactory:
    """Makes the layers of a network as a config asks for them.

    Every layer gets a name, so that reports and checkpoints can name it.

    Args:
        config: The settings of the run.
    """

    def __init__(self, config: Config) -> None:
        self._config = config

    def _weights(self) -> dict[str, Any]:
        """Arguments of a layer; each gets an initializer of its own.

        Otherwise all layers would draw the same numbers.
        """
        space = self._config.weight_space
        initializer: Any = None  # Keras' own for float weights
        if space is not None:
            initializer = (
                keras.initializers.RandomUniform(-1, 1)
                if self._config.initial_weights == "rounded"
                else gxnor_tf.initializers.DiscreteUniform(space)
            )
        return {"weight_space": space, "kernel_initializer": initializer}

    def scaled(self, channels: int) -> int:
        """A number of filters or units times `config.width`, at least 1."""
        return max(1, math.floor(channels * self._config.width + 0.5))

    def conv(
        self, name: str, filters: int, kernel_size: int, padding: str = "valid"
    ) -> keras.layers.Layer:
        """A convolution without bias."""
        if self._config.discrete:
            return gxnor_tf.DiscreteConv2D(
                filters,
                kernel_size,
                padding=padding,
                name=name,
                **self._weights(),
            )
        return keras.layers.Conv2D(
            filters, kernel_size, padding=padding, use_bias=False, name=name
        )

    def dense(self, name: str, units: int) -> keras.layers.Layer:
        """A fully connected layer without bias."""
        if self._config.discrete:
            return gxnor_tf.DiscreteDense(units, name=name, **self._weights())
        return keras.layers.Dense(units, use_bias=False, name=name)

    def pool(self, name: str) -> keras.layers.Layer:
        """A max-pool of 2x2; of ours in nets of ours, the values are equal."""
        if self._config.discrete:
            return gxnor_tf.MaxPooling2D(name=name)
        return keras.layers.MaxPooling2D(name=name)

    def norm(self, name: str) -> keras.layers.Layer:
        """Batch normalization, with the constants of the reference code."""
        return keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-4, name=name
        )

    def activation(self, name: str) -> keras.layers.Layer:
        """The discrete activation, or ReLU in full precision."""
        if not self._config.discrete:
            return keras.layers.ReLU(name=name)
        return gxnor_tf.DiscreteActivation(
            self._config.activation_space,
            zero_window=self._config.zero_window,
            derivative=self._config.derivative,
            derivative_width=self._config.derivative_width,
            name=name,
        )


def mnist_net(
    config: Config, image_shape: tuple[int, int, int], num_classes: int
) -> keras.Model:
    """The MNIST network of Deng et al., 2018: 32C5-MP2-64C5-MP2-512FC-10.

    Max-pooling stands before batch normalization, as in the reference code.

    Args:
        config: The settings of the run.
        image_shape: `(height, width, channels)`, at least 16x16.
        num_classes: Number of outputs.

    Raises:
        UserError: If the images are too small.
    """
    if min(image_shape[:2]) < 16:
        raise UserError(
            "The images must be at least 16x16 for two 5x5 convolutions and "
            f"poolings. Received: {image_shape[0]}x{image_shape[1]}. Enlarge "
            "the images of the data set."
        )
    make = LayerFactory(config)
    return keras.Sequential(
        [
            keras.Input(image_shape, name="image"),
            make.conv("conv1", make.scaled(32), 5),
            make.pool("pool1"),
            make.norm("norm1"),
            make.activation("activation1"),
            make.conv("conv2", make.scaled(64), 5),
            make.pool("pool2"),
            make.norm("norm2"),
            make.activation("activation2"),
            keras.layers.Flatten(name="flatten"),
            make.dense("dense1", make.scaled(512)),
            make.norm("norm3"),
            make.activation("activation3"),
            make.dense("dense2", num_classes),
            make.norm("scores"),
        ],
        name="mnist_net",
    )


NETS: dict[str, Callable[..., keras.Model]] = {"mnist": mnist_net}


def build(
    config: Config, image_shape: tuple[int, int, int], num_classes: int
) -> keras.Model:
    """The network `config.net`."""
    return NETS[config.net](config, image_shape, num_classes)


def optimizer(
    config: Config, steps_per_epoch: int
) -> keras.optimizers.Optimizer:
    """The optimizer of a run, its learning rate decaying exponentially.

    `DiscreteStateTransition` for discrete weights, Adam for float ones.

    Args:
        config: The settings of the run.
        steps_per_epoch: Steps of an epoch.
    """
    learning_rate: Any = keras.optimizers.schedules.ExponentialDecay(
        config.learning_rate,
        decay_steps=config.epochs * steps_per_epoch,
        decay_rate=config.final_learning_rate / config.learning_rate,
    )
    if config.weight_space is None:
        return keras.optimizers.Adam(learning_rate)
    return gxnor_tf.DiscreteStateTransition(
        learning_rate,
        step_rule=config.step_rule,
        transition_gain=config.transition_gain,
        beta_1=config.momentum,
        seed=config.seed,
    )
