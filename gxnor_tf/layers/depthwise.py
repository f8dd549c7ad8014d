# SPDX-License-Identifier: Apache-2.0
"""Depthwise convolution with discrete weights."""

import math
from typing import Any

import keras
import tensorflow as tf

from gxnor_tf._arguments import integer
from gxnor_tf.layers.convolution import DiscreteConvolution, Lengths


def depthwise_convolution(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    strides: Lengths,
    padding: str,
    dilation_rate: Lengths,
) -> tf.Tensor:
    """Convolves every channel for itself, with any strides and dilation.

    Args:
        inputs: `(batch, height, width, channels)`.
        kernel: `(kernel_height, kernel_width, channels, multiplier)`, of the
            same dtype.
        strides: Vertical and horizontal stride.
        padding: `"valid"` or `"same"`.
        dilation_rate: Vertical and horizontal dilation.

    Returns:
        `(batch, new_height, new_width, channels * multiplier)`.
    """
    if strides[0] == strides[1]:
        return keras.ops.depthwise_conv(
            inputs, kernel, strides, padding, "channels_last", dilation_rate
        )
    # TensorFlow has no depthwise kernel for unequal strides on most devices:
    # convolve at every position and keep those that are wanted.
    if padding == "same":
        sizes = tf.shape(inputs)
        margins = [(0, 0)]
        for axis in (0, 1):
            size, stride = sizes[axis + 1], strides[axis]
            extent = dilation_rate[axis] * (kernel.shape[axis] - 1) + 1
            last = (size - 1) // stride * stride
            margin = tf.maximum(last + extent - size, 0)
            margins.append((margin // 2, margin - margin // 2))
        inputs = tf.pad(inputs, [*margins, (0, 0)])
    outputs = keras.ops.depthwise_conv(
        inputs, kernel, (1, 1), "valid", "channels_last", dilation_rate
    )
    return outputs[:, :: strides[0], :: strides[1]]


@keras.saving.register_keras_serializable(package="gxnor_tf")
class DiscreteDepthwiseConv2D(DiscreteConvolution):
    """2D convolution of every channel for itself, with discrete weights.

    The arguments, their order and the shapes are those of
    `keras.layers.DepthwiseConv2D`; `use_bias` is off by default.

    Args:
        kernel_size: Height and width, an integer or a pair.
        strides: Strides, an integer or a pair; they may differ.
        padding: `"valid"` or `"same"`.
        depth_multiplier: Number of outputs per input channel, > 0.
        data_format: `"channels_last"` or `"channels_first"`. Default: what
            `keras.config.image_data_format()` says.
        dilation_rate: Dilation, an integer or a pair.
        **kwargs: `depthwise_initializer`, and `weight_space`, `use_bias`,
            `scale`, `bias_initializer`, ..., as in `DiscreteConv2D`;
            `depthwise_regularizer` and `depthwise_constraint` of a float
            kernel.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height,
        width)` for `data_format="channels_first"`; floating.

    Output shape:
        Like the input, with `channels * depth_multiplier` channels.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> layer = DiscreteDepthwiseConv2D(3, padding="same", depth_multiplier=2)
    >>> layer(np.ones((1, 9, 9, 4), "float32")).shape
    TensorShape([1, 9, 9, 8])
    """

    kernel_prefixes = ("depthwise",)
    dilates_with_strides = True

    def __init__(
        self,
        kernel_size: int | Lengths,
        strides: int | Lengths = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | Lengths = (1, 1),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, **kwargs
        )
        self.depth_multiplier = integer(depth_multiplier, "depth_multiplier")

    def output_channels(self, channels: int) -> int:
        """Channels of the output for channels of the input."""
        return channels * self.depth_multiplier

    def add_weights(self, channels: int) -> None:
        """Creates the kernel, `(*kernel_size, channels, multiplier)`."""
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.add_kernel("kernel", shape, "depthwise")
        self.add_outputs(
            self.output_channels(channels), math.prod(self.kernel_size)
        )

    def convolve(self, inputs: tf.Tensor) -> tf.Tensor:
        """Sums of products with the states, channels last."""
        return depthwise_convolution(
            inputs,
            self.read(self.kernel),
            self.strides,
            self.padding,
            self.dilation_rate,
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return super().get_config() | {
            "depth_multiplier": self.depth_multiplier
        }
