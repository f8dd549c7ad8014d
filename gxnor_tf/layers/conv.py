# SPDX-License-Identifier: Apache-2.0
"""Convolution with discrete weights."""

from typing import Any

import keras
import tensorflow as tf

from gxnor_tf.layers.base import DiscreteKernelLayer, positive_integer


def _pair(value: int | tuple[int, int], name: str) -> tuple[int, int]:
    if not isinstance(value, (tuple, list)):
        value = (value, value)
    if len(value) != 2:
        raise ValueError(
            f"`{name}` must be a positive integer or a pair of them. "
            f"Received: {name}={value}"
        )
    return positive_integer(value[0], name), positive_integer(value[1], name)


@keras.saving.register_keras_serializable(package="gxnor_tf")
class DiscreteConv2D(DiscreteKernelLayer):
    """2D convolution whose weights are states of a discrete space.

    The kernel is an int8 variable of states, trained in place by
    `gxnor_tf.DiscreteStateTransition`. Padding is with zeros, which for
    ternary activations is a proper state (a closed gate).

    Args:
        filters: Number of output channels, > 0.
        kernel_size: Height and width, an integer or a pair.
        strides: Strides, an integer or a pair.
        padding: `"valid"` or `"same"`.
        dilation_rate: Dilation, an integer or a pair; strides must be 1 when
            it is not 1.
        weight_space: `DiscreteSpace` of the kernel; default ternary.
        use_bias: Whether to add a float bias; redundant before
            BatchNormalization, hence off by default.
        kernel_initializer: Any Keras initializer of values, rounded to the
            nearest states. Default: uniform over the states.
        bias_initializer: Keras initializer of the bias.
        **kwargs: Arguments of every Keras layer.

    Input shape:
        `(batch, height, width, channels)`, floating.

    Output shape:
        `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> layer = DiscreteConv2D(8, 3, strides=2, padding="same")
    >>> layer(np.ones((1, 9, 9, 3), "float32")).shape
    TensorShape([1, 5, 5, 8])

    References:

    - [Deng et al., 2018](https://arxiv.org/abs/1705.09283).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = (1, 1),
        padding: str = "valid",
        dilation_rate: int | tuple[int, int] = (1, 1),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = positive_integer(filters, "filters")
        if padding not in ("valid", "same"):
            raise ValueError(
                '`padding` must be "valid" or "same". '
                f"Received: padding={padding!r}"
            )
        self.kernel_size = _pair(kernel_size, "kernel_size")
        self.strides = _pair(strides, "strides")
        self.padding = padding
        self.dilation_rate = _pair(dilation_rate, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "`strides` > 1 and `dilation_rate` > 1 do not go together. "
                f"Received: strides={self.strides}, "
                f"dilation_rate={self.dilation_rate}"
            )
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the kernel, `(height, width, channels, filters)`."""
        channels = input_shape[-1]
        if channels is None:
            raise ValueError(
                f"The channels of the input of layer `{self.name}` must be "
                f"known. Received: input_shape={input_shape}"
            )
        self.compute_output_shape(input_shape)
        self.add_kernel(
            (*self.kernel_size, channels, self.filters), self.filters
        )
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: channels})

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Applies the layer."""
        sums = keras.ops.conv(
            self.as_floating(inputs),
            self.kernel_states(),
            strides=self.strides,
            padding=self.padding,
            data_format="channels_last",
            dilation_rate=self.dilation_rate,
        )
        return self.finish(sums)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Shape of the output for a shape of the input."""

        def length(size: int | None, axis: int) -> int | None:
            if size is None:
                return None
            stride = self.strides[axis]
            if self.padding == "same":
                return -(-size // stride)
            extent = self.dilation_rate[axis] * (self.kernel_size[axis] - 1)
            if size <= extent:
                raise ValueError(
                    f"The kernel of layer `{self.name}` is larger than its "
                    f"input. Received: input_shape={input_shape}, kernel_size="
                    f"{self.kernel_size}, dilation_rate={self.dilation_rate}. "
                    'Use padding="same" or a smaller kernel.'
                )
            return (size - extent - 1) // stride + 1

        batch, height, width, _ = input_shape
        return (batch, length(height, 0), length(width, 1), self.filters)

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
        }
