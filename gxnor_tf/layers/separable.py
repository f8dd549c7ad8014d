# SPDX-License-Identifier: Apache-2.0
"""Separable convolution with discrete weights."""

import math
from typing import Any

import keras
import tensorflow as tf

from gxnor_tf._arguments import integer
from gxnor_tf.layers.convolution import DiscreteConvolution, Lengths
from gxnor_tf.layers.depthwise import depthwise_convolution


@keras.saving.register_keras_serializable(package="gxnor_tf")
class DiscreteSeparableConv2D(DiscreteConvolution):
    """Depthwise convolution and mix of channels, both with discrete weights.

    It holds two int8 variables of states, `depthwise_kernel` and
    `pointwise_kernel`, of the same space. Both stages sum integers; the unit
    of both, `weight_space.unit ** 2`, multiplies the outputs.

    The arguments, their order and the shapes are those of
    `keras.layers.SeparableConv2D`; `use_bias` is off by default.

    Args:
        filters: Number of output channels, > 0.
        kernel_size: Height and width, an integer or a pair.
        strides: Strides, an integer or a pair; they may differ.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`. Default: what
            `keras.config.image_data_format()` says.
        dilation_rate: Dilation, an integer or a pair.
        depth_multiplier: Number of inner channels per input channel, > 0.
        **kwargs: `depthwise_initializer`, `pointwise_initializer`, and
            `weight_space`, `use_bias`, `scale`, `bias_initializer`, ..., as
            in `DiscreteConv2D`; `depthwise_regularizer`,
            `pointwise_regularizer`, `depthwise_constraint` and
            `pointwise_constraint` of float kernels.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height,
        width)` for `data_format="channels_first"`; floating.

    Output shape:
        Like the input, with `filters` channels.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> layer = DiscreteSeparableConv2D(8, 3)
    >>> layer(np.ones((1, 9, 9, 4), "float32")).shape
    TensorShape([1, 7, 7, 8])
    >>> [weights.shape for weights in layer.get_weights()]
    [(3, 3, 4, 1), (1, 1, 4, 8)]
    """

    kernel_prefixes = ("depthwise", "pointwise")
    dilates_with_strides = True

    def __init__(
        self,
        filters: int,
        kernel_size: int | Lengths,
        strides: int | Lengths = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Lengths = (1, 1),
        depth_multiplier: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, **kwargs
        )
        self.filters = integer(filters, "filters")
        self.depth_multiplier = integer(depth_multiplier, "depth_multiplier")
        if not 1e-30 <= self.unit <= 1e30:
            raise ValueError(
                "The `half_range` of `weight_space` must be nearer to 1: its "
                "unit multiplies the outputs twice, which leaves the range of "
                f"float32. Received: weight_space={self.weight_space}"
            )

    def output_channels(self, channels: int) -> int:
        """The number of filters."""
        return self.filters

    def add_weights(self, channels: int) -> None:
        """Creates `depthwise_kernel` and `pointwise_kernel`."""
        inner = channels * self.depth_multiplier
        self.add_kernel(
            "depthwise_kernel",
            (*self.kernel_size, channels, self.depth_multiplier),
            "depthwise",
        )
        self.add_kernel(
            "pointwise_kernel", (1, 1, inner, self.filters), "pointwise"
        )
        self.add_outputs(self.filters, math.prod(self.kernel_size) * inner)

    def convolve(self, inputs: tf.Tensor) -> tf.Tensor:
        """Sums of sums of products with the states, channels last."""
        inner = depthwise_convolution(
            inputs,
            self.read(self.depthwise_kernel),
            self.strides,
            self.padding,
            self.dilation_rate,
        )
        return keras.ops.conv(
            inner,
            self.read(self.pointwise_kernel),
            data_format="channels_last",
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return super().get_config() | {
            "filters": self.filters,
            "depth_multiplier": self.depth_multiplier,
        }
