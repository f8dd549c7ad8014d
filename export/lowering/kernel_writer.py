# SPDX-License-Identifier: Apache-2.0
"""Convolutions and fully connected ops, as builtin ops on int8 and float32."""

import numpy as np
import numpy.typing as npt

from ..flatbuffer_builder import Quantization
from ..program import (
    DiscreteOp,
    FloatOp,
    Int8Array,
    Int32Array,
    KernelOp,
    Window,
)
from .graph_writer import GraphWriter


class KernelWriter(GraphWriter):
    """Writes the builtin ops that have weights."""

    def write_float(self, op: FloatOp) -> None:
        """Writes a convolution or fully connected op in float32."""
        index = self.float_kernel_op(op, self.reals(op.input))
        self.set_form(op.output, "float32", index)

    def float_kernel_op(self, op: KernelOp, x: int) -> int:
        """A float32 op; integer weights are stored as int8."""
        kernel = _tflite_kernel(op, op.kernel)
        quantization = Quantization(1.0) if kernel.dtype == np.int8 else None
        weights = self.constant(f"{op.name}/weights", kernel, quantization)
        if kernel.dtype == np.int8:
            floats = self.builder.tensor(
                self.free_name(f"{op.name}/float_weights"),
                kernel.shape,
                np.float32,
            )
            self.builder.builtin("DEQUANTIZE", [weights], [floats], version=2)
            weights = floats
        bias = np.zeros(len(op.kernel), np.float32)
        return self.kernel_op(
            op.name,
            (x, weights, self.constant(f"{op.name}/bias", bias)),
            op.window,
            fully_connected=op.fully_connected,
            depthwise=op.depthwise,
            input_shape=op.input.shape,
            output_shape=op.sums_shape,
            dtype=np.float32,
        )

    def int8_kernel_op(
        self,
        op: DiscreteOp,
        kernel: Int8Array,
        bias: Int32Array,
        multiplier: npt.NDArray[np.float64],
        activation: str,
    ) -> int:
        """An int8 op: `clip(round(multiplier * (sum + bias)))`."""
        scale = self.scale(op.input)
        per_channel = (multiplier / scale).astype(np.float32)
        weights = self.constant(
            f"{op.name}/weights",
            np.ascontiguousarray(_tflite_kernel(op, kernel)),
            Quantization(per_channel, axis=3 if op.depthwise else 0),
        )
        biases = self.constant(
            f"{op.name}/bias",
            bias,
            Quantization(per_channel * np.float32(scale), axis=0),
        )
        return self.kernel_op(
            op.name,
            (self.int8(op.input), weights, biases),
            op.window,
            fully_connected=op.fully_connected,
            depthwise=op.depthwise,
            input_shape=op.input.shape,
            output_shape=(*op.sums_shape[:-1], len(kernel)),
            dtype=np.int8,
            scale=scale,
            activation=activation,
        )

    def kernel_op(
        self,
        name: str,
        operands: tuple[int, int, int],
        window: Window,
        *,
        fully_connected: bool,
        depthwise: bool,
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        dtype: npt.DTypeLike,
        scale: float | None = None,
        activation: str = "NONE",
    ) -> int:
        """A builtin op with weights, on int8 or float32 tensors.

        Args:
            name: What to call its tensors.
            operands: Input, weights and bias.
            window: How the kernel slides.
            fully_connected: Whether it covers the input.
            depthwise: Whether every output sees one input channel.
            input_shape: Shape of the input, the batch left out.
            output_shape: Shape of the output, likewise.
            dtype: Type of input and output.
            scale: Scale of an int8 input.
            activation: Fused activation.
        """
        x, weights, bias = operands
        integer = np.dtype(dtype) == np.int8
        if fully_connected and not depthwise:
            index = self.new_tensor(f"{name}/sums", output_shape, dtype)
            self.builder.builtin(
                "FULLY_CONNECTED",
                [x, weights, bias],
                [index],
                version=5 if integer else 1,
                fused_activation_function=activation,
            )
            return index
        if len(input_shape) == 1:
            x = self._as_image(name, x, input_shape[0], dtype, scale)
        x, padding = self._padded(name, x, input_shape, window, dtype, scale)
        image = (
            output_shape if len(output_shape) == 3 else (1, 1, *output_shape)
        )
        index = self.new_tensor(f"{name}/sums", image, dtype)
        multiples = output_shape[-1] // input_shape[-1] if depthwise else 0
        self.builder.builtin(
            "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D",
            [x, weights, bias],
            [index],
            version=3 if integer else 1,
            fused_activation_function=activation,
            **_convolution_options(window, padding, multiples),
        )
        if image == output_shape:
            return index
        flat = self.new_tensor(f"{name}/flat", output_shape, dtype)
        self.reshape(index, flat, output_shape)
        return flat

    def _as_image(
        self,
        name: str,
        x: int,
        channels: int,
        dtype: npt.DTypeLike,
        scale: float | None = None,
    ) -> int:
        """A value without height and width, with both of them 1."""
        shape = (1, 1, channels)
        image = self.new_tensor(f"{name}/image", shape, dtype, scale)
        self.reshape(x, image, shape)
        return image

    def _padded(
        self,
        name: str,
        x: int,
        input_shape: tuple[int, ...],
        window: Window,
        dtype: npt.DTypeLike,
        scale: float | None = None,
    ) -> tuple[int, str]:
        """The input and TFLite's padding; what is neither gets a PAD before."""
        if not any(window.padding):
            return x, "VALID"
        height, width, channels = input_shape
        same = Window.from_keras(
            window.size,
            window.strides,
            "same",
            (height, width),
            window.dilation,
        )
        if same.padding == window.padding:
            return x, "SAME"
        around = Window((1, 1), padding=window.padding)
        shape = (*around.output_size(height, width), channels)
        index = self.new_tensor(f"{name}/padded", shape, dtype, scale)
        self.pad(x, index, window, np.dtype(dtype) == np.int8)
        return index, "VALID"


def _tflite_kernel(
    op: KernelOp, kernel: npt.NDArray[np.generic]
) -> npt.NDArray[np.generic]:
    """A kernel in the shape that TFLite's ops have."""
    if op.depthwise:
        return kernel[..., 0].transpose(1, 2, 0)[None]
    if op.fully_connected:
        return kernel.reshape(len(kernel), -1)
    if op.groups > 1:
        return _dense_kernel(kernel, op.groups)
    return kernel


def _dense_kernel(
    kernel: npt.NDArray[np.generic], groups: int
) -> npt.NDArray[np.generic]:
    """A grouped kernel as one that sees all channels, most of them as 0."""
    outputs, height, width, inputs = kernel.shape
    dense = np.zeros((outputs, height, width, groups * inputs), kernel.dtype)
    for group in range(groups):
        rows = slice(group * outputs // groups, (group + 1) * outputs // groups)
        columns = slice(group * inputs, (group + 1) * inputs)
        dense[rows, :, :, columns] = kernel[rows]
    return dense


def _convolution_options(
    window: Window, padding: str, depth_multiplier: int
) -> dict[str, int | str]:
    options: dict[str, int | str] = {
        "padding": padding,
        "stride_h": window.strides[0],
        "stride_w": window.strides[1],
        "dilation_h_factor": window.dilation[0],
        "dilation_w_factor": window.dilation[1],
    }
    if depth_multiplier:
        options["depth_multiplier"] = depth_multiplier
    return options
