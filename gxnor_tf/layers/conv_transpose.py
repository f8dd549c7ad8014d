# SPDX-License-Identifier: Apache-2.0
"""Transposed convolution with discrete weights."""

import math
import numbers
from typing import Any

import keras
import tensorflow as tf

from gxnor_tf._arguments import integer
from gxnor_tf.layers.convolution import DiscreteConvolution, Lengths


def spread(kernel: tf.Tensor, rate: Lengths) -> tf.Tensor:
    """Puts `rate - 1` zeros between the taps of a kernel: a dilated kernel.

    >>> spread(tf.ones((2, 1, 1, 1)), (3, 1)).numpy().ravel().tolist()
    [1.0, 0.0, 0.0, 1.0]
    """
    height, width, *channels = kernel.shape
    down, right = rate
    spaced = tf.pad(
        kernel[:, None, :, None],
        [(0, 0), (0, down - 1), (0, 0), (0, right - 1), (0, 0), (0, 0)],
    )
    spaced = tf.reshape(spaced, (height * down, width * right, *channels))
    return spaced[: (height - 1) * down + 1, : (width - 1) * right + 1]


@keras.saving.register_keras_serializable(package="gxnor_tf")
class DiscreteConv2DTranspose(DiscreteConvolution):
    """Transposed 2D convolution whose weights are states of a space.

    It maps from the shape of a convolution's output to that of its input, as
    decoders need it. The arguments, their order and the shapes are those of
    `keras.layers.Conv2DTranspose`; `use_bias` is off by default.

    Args:
        filters: Number of output channels, > 0.
        kernel_size: Height and width, an integer or a pair.
        strides: Strides, an integer or a pair.
        padding: `"valid"` or `"same"`.
        output_padding: Rows and columns added to the output, an integer or a
            pair, each smaller than the stride. None: what gives
            `size * stride` for `"same"`.
        data_format: `"channels_last"` or `"channels_first"`. Default: what
            `keras.config.image_data_format()` says.
        dilation_rate: Dilation, an integer or a pair; strides must be 1 when
            it is not 1.
        **kwargs: `weight_space`, `use_bias`, `scale`, `kernel_initializer`,
            ..., as in `DiscreteConv2D`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height,
        width)` for `data_format="channels_first"`; floating.

    Output shape:
        Like the input, with `filters` channels, larger by the strides.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> layer = DiscreteConv2DTranspose(8, 3, strides=2, padding="same")
    >>> layer(np.ones((1, 5, 5, 4), "float32")).shape
    TensorShape([1, 10, 10, 8])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Lengths,
        strides: int | Lengths = (1, 1),
        padding: str = "valid",
        output_padding: int | Lengths | None = None,
        data_format: str | None = None,
        dilation_rate: int | Lengths = (1, 1),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, **kwargs
        )
        self.filters = integer(filters, "filters")
        self.output_padding = self._output_padding(output_padding)

    def _output_padding(self, value: int | Lengths | None) -> Lengths | None:
        if value is None:
            return None
        if not isinstance(value, (tuple, list)):
            value = (value, value)
        valid = len(value) == 2 and all(
            isinstance(x, numbers.Integral)
            and not isinstance(x, bool)
            and 0 <= int(x) < stride
            for x, stride in zip(value, self.strides, strict=False)
        )
        if not valid:
            raise ValueError(
                "`output_padding` must be None, an integer or a pair of them, "
                "each >= 0 and smaller than the stride. Received: "
                f"output_padding={value}, strides={self.strides}"
            )
        for padding, length, rate in zip(
            value, self.kernel_size, self.dilation_rate, strict=True
        ):
            extent = (length - 1) * rate + 1
            if self.padding == "same" and extent % 2 == 0 and padding == 0:
                raise ValueError(
                    "`output_padding` must be > 0 or None for a kernel of even "
                    'size with padding="same": TensorFlow has no transposed '
                    "convolution of that shape. Received: output_padding="
                    f"{value}, kernel_size={self.kernel_size}, "
                    f"dilation_rate={self.dilation_rate}"
                )
        return tuple(int(x) for x in value)

    def output_channels(self, channels: int) -> int:
        """The number of filters."""
        return self.filters

    def output_length(self, size: int, axis: int) -> int:
        """Length of a spatial axis of the output; <= 0 if it is empty."""
        extent = (self.kernel_size[axis] - 1) * self.dilation_rate[axis] + 1
        stride = self.strides[axis]
        if size <= 0:
            return 0
        if self.output_padding is None:
            if self.padding == "same":
                return size * stride
            return (size - 1) * stride + max(extent, stride)
        length = (size - 1) * stride + self.output_padding[axis]
        return length + (extent % 2 if self.padding == "same" else extent)

    def add_weights(self, channels: int) -> None:
        """Creates the kernel, `(*kernel_size, filters, channels)`."""
        self.add_kernel("kernel", (*self.kernel_size, self.filters, channels))
        # An output pixel meets only every stride-th tap, on average.
        taps = math.prod(self.kernel_size) / math.prod(self.strides)
        self.add_outputs(self.filters, max(taps, 1) * channels)

    def convolve(self, inputs: tf.Tensor) -> tf.Tensor:
        """Sums of products with the states, channels last."""
        # Dilated by hand: TensorFlow's own is not there on all devices.
        return keras.ops.conv_transpose(
            inputs,
            spread(self.read(self.kernel), self.dilation_rate),
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            data_format="channels_last",
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return super().get_config() | {
            "filters": self.filters,
            "output_padding": self.output_padding,
        }
