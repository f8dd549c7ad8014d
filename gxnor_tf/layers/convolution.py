# SPDX-License-Identifier: Apache-2.0
"""What all convolutions with discrete weights share: shapes and layouts."""

import abc
from typing import Any, ClassVar

import keras
import tensorflow as tf

from gxnor_tf._arguments import integer
from gxnor_tf.layers.base import DiscreteKernelLayer, Shape

Lengths = tuple[int, ...]


class DiscreteConvolution(DiscreteKernelLayer, abc.ABC):
    """Base of the convolutions over `rank` spatial axes.

    All of them compute with the channels last and transpose for
    `data_format="channels_first"`: TensorFlow's kernels for channels first
    are there on some devices only, while this runs, and is saved, for all.

    A subclass gives `output_channels()`, `add_weights()` and `convolve()`.

    Args:
        kernel_size: Size of the window, an integer or one per axis.
        strides: Strides, an integer or one per axis.
        padding: `"valid"`, `"same"`, or for one axis `"causal"`.
        data_format: `"channels_last"` or `"channels_first"`. Default: what
            `keras.config.image_data_format()` says.
        dilation_rate: Dilation, an integer or one per axis.
        **kwargs: Arguments of every layer with a discrete kernel.

    Raises:
        ValueError: If an argument is out of range.
    """

    rank: ClassVar[int] = 2
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")
    dilates_with_strides: ClassVar[bool] = False
    # What only some convolutions can choose; read by whoever counts.
    groups: int = 1

    def __init__(
        self,
        kernel_size: int | Lengths,
        strides: int | Lengths,
        padding: str,
        data_format: str | None,
        dilation_rate: int | Lengths,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = self._lengths(kernel_size, "kernel_size")
        self.strides = self._lengths(strides, "strides")
        self.dilation_rate = self._lengths(dilation_rate, "dilation_rate")
        # Like Keras, which takes capitals as well.
        padding = padding.lower() if isinstance(padding, str) else padding
        if padding not in self.paddings:
            raise ValueError(
                f"`padding` must be one of {self.paddings}. "
                f"Received: padding={padding!r}"
            )
        self.padding = padding
        if data_format is None:
            data_format = keras.config.image_data_format()
        if data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                '`data_format` must be "channels_last", "channels_first" or '
                f"None. Received: data_format={data_format!r}"
            )
        self.data_format = data_format
        if (
            not self.dilates_with_strides
            and max(self.strides) > 1
            and max(self.dilation_rate) > 1
        ):
            raise ValueError(
                "`strides` > 1 and `dilation_rate` > 1 do not go together. "
                f"Received: strides={self.strides}, "
                f"dilation_rate={self.dilation_rate}"
            )
        self.input_spec = keras.layers.InputSpec(ndim=self.rank + 2)

    @abc.abstractmethod
    def output_channels(self, channels: int) -> int:
        """Channels of the output for channels of the input."""

    @abc.abstractmethod
    def add_weights(self, channels: int) -> None:
        """Creates the weights for a number of input channels."""

    @abc.abstractmethod
    def convolve(self, inputs: tf.Tensor) -> tf.Tensor:
        """Sums of products with the states, channels last."""

    def build(self, input_shape: Shape) -> None:
        """Creates the weights."""
        _, _, channels = self._split(input_shape)
        self.compute_output_shape(input_shape)
        self.add_weights(channels)
        axis = -1 if self.data_format == "channels_last" else 1
        self.input_spec = keras.layers.InputSpec(
            ndim=self.rank + 2, axes={axis: channels}
        )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Applies the layer."""
        # For its errors: sizes may become known only now.
        self.compute_output_shape(tuple(inputs.shape))
        inputs = self.as_floating(inputs)
        if self.data_format == "channels_last":
            return self.finish(self.convolve(inputs))
        inputs = keras.ops.moveaxis(inputs, 1, -1)
        outputs = self.finish(self.convolve(inputs))
        return keras.ops.moveaxis(outputs, -1, 1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Shape of the output for a shape of the input.

        Raises:
            ValueError: If the input has another rank, unknown channels or no
                channel, or if the output would be empty.
        """
        batch, sizes, channels = self._split(input_shape)
        lengths = tuple(
            None if size is None else self._checked_length(size, axis, sizes)
            for axis, size in enumerate(sizes)
        )
        outputs = self.output_channels(channels)
        if self.data_format == "channels_last":
            return (batch, *lengths, outputs)
        return (batch, outputs, *lengths)

    def output_length(self, size: int, axis: int) -> int:
        """Length of a spatial axis of the output; <= 0 if it is empty."""
        if self.padding == "valid":
            size -= self.dilation_rate[axis] * (self.kernel_size[axis] - 1)
        return -(-size // self.strides[axis])

    def _checked_length(self, size: int, axis: int, sizes: Shape) -> int:
        length = self.output_length(size, axis)
        if length <= 0:
            raise ValueError(
                f"The output of layer `{self.name}` would be empty: its kernel "
                "is larger than its input, or the input is empty. Received: "
                f"spatial shape {sizes}, kernel_size={self.kernel_size}, "
                f"dilation_rate={self.dilation_rate}, padding={self.padding!r}."
                ' Use padding="same", a smaller kernel or larger inputs.'
            )
        return length

    def _split(self, shape: Shape) -> tuple[int | None, Shape, int]:
        """Batch size, spatial sizes and number of channels of an input."""
        spatial = ("steps",) if self.rank == 1 else ("height", "width")
        order = ["batch", *spatial]
        first = self.data_format == "channels_first"
        order.insert(1 if first else len(order), "channels")
        channels = None
        if len(shape) == self.rank + 2:
            channels = shape[1 if first else -1]
        if not channels:
            raise ValueError(
                f"The input of layer `{self.name}` must have the shape "
                f"({', '.join(order)}) for data_format={self.data_format!r}, "
                "with channels that are known and not 0. Received: "
                f"input_shape={tuple(shape)}"
            )
        sizes = shape[2:] if first else shape[1:-1]
        return shape[0], tuple(sizes), channels

    def _lengths(self, value: int | Lengths, name: str) -> Lengths:
        if not isinstance(value, (tuple, list)):
            value = (value,) * self.rank
        if len(value) != self.rank:
            raise ValueError(
                f"`{name}` must be an integer >= 1 or {self.rank} of them. "
                f"Received: {name}={value}"
            )
        return tuple(integer(x, name) for x in value)

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return super().get_config() | {
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
        }
