# SPDX-License-Identifier: Apache-2.0
"""The kernels of Keras layers in the one form that the program knows."""

import dataclasses
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

import gxnor_tf
from gxnor_tf.discrete_variable import DiscreteVariable

from ..graph import ExportError
from ..program import Window, image_shape

DENSE = (gxnor_tf.DiscreteDense, keras.layers.Dense)
CONVOLUTIONS = (
    gxnor_tf.DiscreteConv1D,
    gxnor_tf.DiscreteConv2D,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
)
DEPTHWISE = (gxnor_tf.DiscreteDepthwiseConv2D, keras.layers.DepthwiseConv2D)


@dataclasses.dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel and how it slides.

    Attributes:
        weights: int8 states or float32, `(outputs, height, width, inputs /
            groups)`.
        window: How it slides over its input.
        groups: See `program.DiscreteOp`.
        fully_connected: Whether it covers the input.
    """

    weights: npt.NDArray[Any]
    window: Window
    groups: int = 1
    fully_connected: bool = False


def read_kernel(
    layer: Any,
    shape: tuple[int, ...],
    flat: bool,
    padding: tuple[int, int, int, int],
) -> Kernel:
    """The kernel of a Dense, Conv1D, Conv2D or DepthwiseConv2D of any library.

    Args:
        layer: The layer.
        shape: Shape of its input, `(channels,)` or `(height, width,
            channels)`.
        flat: Whether Keras sees that input flattened.
        padding: Zeros that a layer before has put around its input.

    Raises:
        ExportError: If the kernel holds values that it must not.
    """
    weights = checked_values(layer.kernel)
    if type(layer) in DENSE:
        if flat or len(shape) == 1:
            height, width, channels = image_shape(shape)
            weights = weights.T.reshape(-1, height, width, channels)
            window = Window((height, width))
            return Kernel(weights, window, fully_connected=True)
        return Kernel(weights.T[:, None, None], Window((1, 1)))
    if type(layer) in DEPTHWISE:
        return depthwise_kernel(layer, weights, shape, padding)
    return _convolution_kernel(layer, weights, shape, padding)


def depthwise_kernel(
    layer: Any,
    weights: npt.NDArray[Any],
    shape: tuple[int, ...],
    padding: tuple[int, int, int, int],
) -> Kernel:
    """The kernel of a depthwise convolution, `(h, w, channels, multiplier)`."""
    height, width, channels, multiplier = weights.shape
    weights = weights.transpose(2, 3, 0, 1)
    return Kernel(
        weights.reshape(channels * multiplier, height, width, 1),
        _window(layer, (height, width), shape, padding),
        groups=channels,
    )


def transposed_kernel(
    layer: Any, shape: tuple[int, ...], output_size: tuple[int, ...]
) -> Kernel:
    """The kernel of a transposed convolution, for its dilated input.

    With zeros between its inputs, stride s apart, a transposed convolution is
    a convolution with the turned kernel: `y[o] = sum_t x[o + t - before]
    w[K - 1 - t]`, of which "same" cuts off `max((n - 1) s + K - size, 0)`.

    Args:
        layer: A DiscreteConv2DTranspose.
        shape: Shape of its input, not dilated.
        output_size: Height and width of its output.

    Raises:
        ExportError: If the output ends before the last input's kernel begins.
    """
    weights = checked_values(layer.kernel)
    padding: list[int] = []
    for axis in range(2):
        rate, stride = layer.dilation_rate[axis], layer.strides[axis]
        size, output = shape[axis], output_size[axis]
        extent = (weights.shape[axis] - 1) * rate + 1
        cut = 0
        if layer.padding == "same":
            cut = max((size - 1) * stride + extent - output, 0) // 2
        after = output - size * stride + cut
        if after < 0:
            raise ExportError(
                f"`{layer.name}` with this `output_padding` cannot be "
                "exported: its output ends within the last stride. Use "
                "output_padding=None."
            )
        padding += [extent - 1 - cut, after]
    window = Window(
        (weights.shape[0], weights.shape[1]),
        dilation=_pair(layer.dilation_rate),
        padding=(padding[0], padding[1], padding[2], padding[3]),
    )
    turned = weights[::-1, ::-1].transpose(2, 0, 1, 3)
    return Kernel(np.ascontiguousarray(turned), window)


def pointwise_kernel(weights: npt.NDArray[Any]) -> Kernel:
    """The kernel of a 1x1 convolution, `(1, 1, inputs, outputs)`."""
    return Kernel(weights.transpose(3, 0, 1, 2), Window((1, 1)))


def checked_values(variable: Any) -> npt.NDArray[Any]:
    """The values of a kernel, int8 states or float32.

    Raises:
        ExportError: If states lie outside their space or reals are not finite.
    """
    values = np.asarray(variable.numpy())
    if isinstance(variable, DiscreteVariable):
        if not variable.space.contains(values):
            raise ExportError(
                f"`{variable.path}` holds values outside of {variable.space}. "
                "Load weights of a trained model."
            )
        return values
    check_finite(variable)
    return values.astype(np.float32)


def check_finite(variable: Any) -> None:
    """Raises ExportError if a float variable holds NaN or infinity."""
    if not np.isfinite(variable.numpy()).all():
        raise ExportError(
            f"`{variable.path}` holds NaN or infinite values; the model "
            "has diverged. Train it again with a smaller learning rate."
        )


def pool_window(layer: Any, shape: tuple[int, ...]) -> Window:
    """The window of a pooling layer over `(height, width, channels)`."""
    size, strides = _pair(layer.pool_size), _pair(layer.strides)
    return Window.from_keras(size, strides, layer.padding, (shape[0], shape[1]))


def check_channels_last(layer: Any) -> None:
    """Raises ExportError for a layer that wants its channels first."""
    if getattr(layer, "data_format", None) == "channels_first":
        raise ExportError(
            f"`{layer.name}`: only channels_last can be exported. Rebuild the "
            'model with data_format="channels_last".'
        )


def _convolution_kernel(
    layer: Any,
    weights: npt.NDArray[Any],
    shape: tuple[int, ...],
    padding: tuple[int, int, int, int],
) -> Kernel:
    if weights.ndim == 3:  # Conv1D: a height of 1
        weights = weights[None]
    size = weights.shape[:2]
    return Kernel(
        np.ascontiguousarray(weights.transpose(3, 0, 1, 2)),
        _window(layer, (size[0], size[1]), shape, padding),
        groups=layer.groups,
    )


def _window(
    layer: Any,
    size: tuple[int, int],
    shape: tuple[int, ...],
    padding: tuple[int, int, int, int],
) -> Window:
    """A convolution's window, on an input with zeros around it already."""
    top, bottom, left, right = padding
    padded = (shape[0] + top + bottom, shape[1] + left + right)
    strides, dilation = _pair(layer.strides), _pair(layer.dilation_rate)
    causal = layer.padding == "causal"
    window = Window.from_keras(
        size,
        strides,
        "valid" if causal else layer.padding,
        padded,
        dilation,
    )
    if causal:
        window = window.padded((0, 0, (size[1] - 1) * dilation[1], 0))
    return window.padded(padding)


def _pair(value: Any) -> tuple[int, int]:
    """Height and width; of a 1D layer only the width is given."""
    if isinstance(value, int):
        return (1, value)
    values = tuple(int(v) for v in value)
    return (1, values[0]) if len(values) == 1 else (values[0], values[1])
