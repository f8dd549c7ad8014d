# SPDX-License-Identifier: Apache-2.0
"""The networks of the paper, with weights and activations of any space."""

import math
import zlib
from collections.abc import Callable
from typing import Any

import keras

import gxnor_tf
from train import latent
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
        if self._config.training == "latent":
            return {
                "latent_space": space,
                "kernel_initializer": latent.initializer(
                    space, self._config.initial_weights
                ),
            }
        if space is None:
            return {"weight_space": None}
        return {
            "weight_space": space,
            "kernel_initializer": (
                keras.initializers.RandomUniform(-1, 1)
                if self._config.initial_weights == "rounded"
                else gxnor_tf.initializers.DiscreteUniform(space)
            ),
            "moment_in_kernel": self._config.moment_in_kernel,
        }

    def scaled(self, channels: int) -> int:
        """A number of filters or units times `config.width`, at least 1."""
        return max(1, math.floor(channels * self._config.width + 0.5))

    def conv(
        self, name: str, filters: int, kernel_size: int, padding: str = "valid"
    ) -> keras.layers.Layer:
        """A convolution without bias."""
        if self._config.discrete:
            kind: Any = gxnor_tf.DiscreteConv2D
            if self._config.training == "latent":
                kind = latent.LatentConv2D
            return kind(
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
            kind: Any = gxnor_tf.DiscreteDense
            if self._config.training == "latent":
                kind = latent.LatentDense
            return kind(units, name=name, **self._weights())
        return keras.layers.Dense(units, use_bias=False, name=name)

    def pool(self, name: str) -> keras.layers.Layer:
        """A max-pool of 2x2; of ours in nets of ours, the values are equal."""
        if self._config.discrete:
            return gxnor_tf.MaxPooling2D(name=name)
        return keras.layers.MaxPooling2D(name=name)

    def norm(self, name: str) -> keras.layers.Layer:
        """Batch normalization, with the epsilon of the reference code."""
        return keras.layers.BatchNormalization(
            momentum=self._config.norm_momentum, epsilon=1e-4, name=name
        )

    def dropout(self, name: str) -> list[keras.layers.Layer]:
        """The dropout before a dense layer, no layer if there is none."""
        if not self._config.dropout:
            return []
        # Of one seed all layers would drop alike.
        seed = zlib.crc32(f"{self._config.seed}/{name}".encode())
        return [
            keras.layers.Dropout(self._config.dropout, seed=seed, name=name)
        ]

    def dense_block(self, number: int, units: int) -> list[keras.layers.Layer]:
        """A hidden dense layer and what stands around it.

        Args:
            number: Number of the last normalization before it.
            units: Number of outputs, before `scaled()`.
        """
        return [
            keras.layers.Flatten(name="flatten"),
            *self.dropout("dropout1"),
            self.dense("dense1", self.scaled(units)),
            self.norm(f"norm{number + 1}"),
            self.activation(f"activation{number + 1}"),
        ]

    def scores(self, num_classes: int) -> list[keras.layers.Layer]:
        """The last layer, normalized."""
        return [
            *self.dropout("dropout2"),
            self.dense("dense2", num_classes),
            self.norm("scores"),
        ]

    def conv_block(
        self,
        number: int,
        filters: int,
        kernel_size: int,
        padding: str,
        pool: int | None,
    ) -> list[keras.layers.Layer]:
        """A convolution and what stands behind it.

        Max-pooling stands before batch normalization, as in the reference
        code.

        Args:
            number: Number of the layer, for the names.
            filters: Number of filters, before `scaled()`.
            kernel_size: Height and width of the kernel.
            padding: `"valid"` or `"same"`.
            pool: Number of the 2x2 max-pooling, None for none.
        """
        pools = [self.pool(f"pool{pool}")] if pool else []
        return [
            self.conv(
                f"conv{number}", self.scaled(filters), kernel_size, padding
            ),
            *pools,
            self.norm(f"norm{number}"),
            self.activation(f"activation{number}"),
        ]

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

    Args:
        config: The settings of the run.
        image_shape: `(height, width, channels)`, at least 16x16.
        num_classes: Number of outputs.

    Raises:
        UserError: If the images are too small.
    """
    _require_size(image_shape, 16, "two 5x5 convolutions and poolings")
    make = LayerFactory(config)
    return keras.Sequential(
        [
            keras.Input(image_shape, name="image"),
            *make.conv_block(1, 32, 5, "valid", pool=1),
            *make.conv_block(2, 64, 5, "valid", pool=2),
            *make.dense_block(2, 512),
            *make.scores(num_classes),
        ],
        name="mnist_net",
    )


def vgg_net(
    config: Config, image_shape: tuple[int, int, int], num_classes: int
) -> keras.Model:
    """The CIFAR-10 and SVHN network of Deng et al., 2018.

    2x(128C3)-MP2-2x(256C3)-MP2-2x(512C3)-MP2-1024FC-10.

    Args:
        config: The settings of the run.
        image_shape: `(height, width, channels)`, at least 8x8.
        num_classes: Number of outputs.

    Raises:
        UserError: If the images are too small.
    """
    _require_size(image_shape, 8, "three poolings")
    make = LayerFactory(config)
    layers = [keras.Input(image_shape, name="image")]
    for pool, filters in enumerate((128, 256, 512), 1):
        layers += make.conv_block(2 * pool - 1, filters, 3, "same", pool=None)
        layers += make.conv_block(2 * pool, filters, 3, "same", pool=pool)
    layers += make.dense_block(6, 1024)
    layers += make.scores(num_classes)
    return keras.Sequential(layers, name="vgg_net")


def _require_size(
    image_shape: tuple[int, int, int], least: int, reason: str
) -> None:
    height, width, _ = image_shape
    if min(height, width) < least:
        raise UserError(
            f"The images must be at least {least}x{least} for {reason}. "
            f"Received: {height}x{width}. Enlarge the images of the data set."
        )


NETS: dict[str, Callable[..., keras.Model]] = {
    "mnist": mnist_net,
    "cifar10": vgg_net,
    "svhn": vgg_net,
}
