# SPDX-License-Identifier: Apache-2.0
"""Convolutions with discrete weights."""

import math
from typing import Any

import keras
import tensorflow as tf

from gxnor_tf import _compat
from gxnor_tf._arguments import integer
from gxnor_tf.layers import xla_convolution
from gxnor_tf.layers.convolution import DiscreteConvolution, Lengths


class GroupedConvolution(DiscreteConvolution):
    """Base of the ordinary convolutions, over one or two axes."""

    def __init__(
        self,
        filters: int,
        kernel_size: int | Lengths,
        strides: int | Lengths = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Lengths = 1,
        groups: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, **kwargs
        )
        self.filters = integer(filters, "filters")
        self.groups = integer(groups, "groups")
        if self.filters % self.groups:
            raise ValueError(
                "`filters` must be a multiple of `groups`. Received: "
                f"filters={filters}, groups={groups}"
            )

    def output_channels(self, channels: int) -> int:
        """The number of filters."""
        return self.filters

    def add_weights(self, channels: int) -> None:
        """Creates the kernel, `(*kernel_size, channels / groups, filters)`."""
        if channels % self.groups:
            raise ValueError(
                f"The channels of the input of layer `{self.name}` must be a "
                f"multiple of `groups`. Received: {channels} channels, "
                f"groups={self.groups}"
            )
        depth = channels // self.groups
        self.add_kernel("kernel", (*self.kernel_size, depth, self.filters))
        self.add_outputs(self.filters, math.prod(self.kernel_size) * depth)

    def convolve(self, inputs: tf.Tensor) -> tf.Tensor:
        """Sums of products with the states, channels last."""
        padding = self.padding
        if padding == "causal":
            before = self.dilation_rate[0] * (self.kernel_size[0] - 1)
            inputs = keras.ops.pad(inputs, ((0, 0), (before, 0), (0, 0)))
            padding = "valid"
        kernel = self.read(self.kernel)
        if (
            _compat.inside_xla_on_cpu()
            and self._is_plain()
            and xla_convolution.applies(inputs, kernel.shape)
        ):
            return xla_convolution.convolve_valid(inputs, kernel)

        def multiply(inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
            return keras.ops.conv(
                inputs,
                kernel,
                strides=self.strides,
                padding=padding,
                data_format="channels_last",
                dilation_rate=self.dilation_rate,
            )

        if self.groups > 1:
            return multiply(inputs, kernel)
        return self.sums(multiply, inputs, kernel)

    def _is_plain(self) -> bool:
        """Whether kernels slide over the inputs as they are, step by step."""
        return self.padding == "valid" and all(
            n == 1 for n in (self.groups, *self.strides, *self.dilation_rate)
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return super().get_config() | {
            "filters": self.filters,
            "groups": self.groups,
        }


@keras.saving.register_keras_serializable(package="gxnor_tf")
class DiscreteConv1D(GroupedConvolution):
    """1D convolution whose weights are states of a discrete space.

    The arguments, their order and the shapes are those of
    `keras.layers.Conv1D`; see `DiscreteConv2D` for what differs.

    Args:
        filters: Number of output channels, > 0.
        kernel_size: Length of the window.
        strides: Stride.
        padding: `"valid"`, `"same"`, or `"causal"` (an output depends on no
            later input).
        data_format: `"channels_last"` or `"channels_first"`.
        dilation_rate: Dilation; strides must be 1 when it is not 1.
        groups: Number of groups of channels that do not mix; divides the
            channels of the input and `filters`.
        **kwargs: `weight_space`, `use_bias`, `scale`, `kernel_initializer`,
            ..., as in `DiscreteConv2D`.

    Input shape:
        `(batch, steps, channels)`, or `(batch, channels, steps)` for
        `data_format="channels_first"`; floating.

    Output shape:
        `(batch, new_steps, filters)`, or `(batch, filters, new_steps)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> layer = DiscreteConv1D(8, 3, padding="causal")
    >>> layer(np.ones((1, 9, 4), "float32")).shape
    TensorShape([1, 9, 8])
    """

    rank = 1
    paddings = ("valid", "same", "causal")


@keras.saving.register_keras_serializable(package="gxnor_tf")
class DiscreteConv2D(GroupedConvolution):
    """2D convolution whose weights are states of a discrete space.

    The kernel is an int8 variable of states, trained in place by
    `gxnor_tf.DiscreteStateTransition`. Padding is with zeros, which for
    ternary activations is a proper state (a closed gate).

    The arguments, their order and the shapes are those of
    `keras.layers.Conv2D`, except that `use_bias` is off by default, that
    there is no `activation`, and that a regularizer or constraint of the
    kernel is for float kernels only.

    Args:
        filters: Number of output channels, > 0.
        kernel_size: Height and width, an integer or a pair.
        strides: Strides, an integer or a pair.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`. Default: what
            `keras.config.image_data_format()` says.
        dilation_rate: Dilation, an integer or a pair; strides must be 1 when
            it is not 1.
        groups: Number of groups of channels that do not mix; divides the
            channels of the input and `filters`.
        weight_space: Space of the kernel: a `DiscreteSpace`, an integer n, or
            None or `"float"` for an ordinary float32 kernel. Default ternary.
        use_bias: Whether to add a float bias; redundant before
            BatchNormalization, hence off by default.
        scale: What multiplies the outputs: nothing (`"none"`), a fixed power
            of two near `1 / sqrt(fan_in * mean(values^2))` (`"fan_in"`), or a
            trained scalar (`"layer"`) or vector (`"channel"`) that starts
            there. In full precision `"none"` only.
        kernel_initializer: Any Keras initializer of values, rounded to the
            nearest states. Default: uniform over the states (full precision:
            glorot_uniform).
        bias_initializer: Keras initializer of the bias.
        **kwargs: `bias_regularizer`, `bias_constraint` and the arguments of
            every Keras layer.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height,
        width)` for `data_format="channels_first"`; floating.

    Output shape:
        `(batch, new_height, new_width, filters)`, or `(batch, filters,
        new_height, new_width)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> layer = DiscreteConv2D(8, 3, strides=2, padding="same")
    >>> layer(np.ones((1, 9, 9, 3), "float32")).shape
    TensorShape([1, 5, 5, 8])

    References:

    - [Deng et al., 2018](https://arxiv.org/abs/1705.09283).
    """
