# SPDX-License-Identifier: Apache-2.0
"""Discrete ops with ordinary int8 ops, exact in every runtime.

A ternary activation is the requantization of an int8 op; one of more levels is
a sum of ternary ones. Where int8 ops cannot be exact the sums are computed in
float32, which holds them exactly, too.
"""

import numpy as np
import numpy.typing as npt

from ..flatbuffer_builder import Quantization
from ..program import (
    DiscreteOp,
    FloatOp,
    Int8Array,
    Int32Array,
    KernelOp,
    Op,
    Program,
    Window,
)
from .graph_writer import GraphWriter

# Weights times this are the most that leaves the biases room: the head room
# that TFLite's fixed-point rounding of small sums needs.
_MAX_GAIN = 64

# Two roundings of half a unit each must not reach the next sum.
_MIN_GAIN = 4

# Beyond it float32 requantization no longer separates neighbouring sums.
_MAX_INT8_SUM = 2**20

# More saturating windows than this make the op larger than sensible.
_MAX_WINDOWS = 32


class BuiltinLowering(GraphWriter):
    """Writes a program with builtin ops only.

    Args:
        program: The program.
        description: Free text in the file.
    """

    def __init__(
        self, program: Program, description: str = "gxnor_tf, builtin ops"
    ) -> None:
        super().__init__(program, description)

    def write(self, op: Op) -> None:
        """Writes an op."""
        if isinstance(op, DiscreteOp):
            self.write_discrete(op)
        elif isinstance(op, FloatOp):
            self.write_float(op)
        else:
            super().write(op)

    def write_discrete(self, op: DiscreteOp) -> None:
        """Writes a convolution or fully connected op on states."""
        if op.thresholds is not None:
            if _gain(op) >= _MIN_GAIN and op.bound <= _MAX_INT8_SUM:
                self._int8_staircase(op)
            else:
                self.float_staircase(op, self._float_sums(op))
        elif op.output.is_states:
            ones = np.ones(len(op.kernel))
            index = self._int8_op(op, op.kernel, _zeros(op), ones, "NONE")
            self.set_form(op.output, "int8", index)
        else:
            self.set_form(op.output, "float32", self._sums(op))

    # Activations.

    def _int8_staircase(self, op: DiscreteOp) -> None:
        """A staircase as the sum of ternary ones, then the pool.

        All of them read the same weights; their biases and scales differ.
        """
        assert op.thresholds is not None
        states = None
        for low, high in op.thresholds.pairs:
            one = self._ternary(op, low, high)
            if states is None:
                states = one
                continue
            total = self._activation_tensor(op, "sum")
            self.builder.builtin("ADD", [states, one], [total], version=2)
            states = total
        assert states is not None
        self.finish_activation(op, states)

    def _ternary(
        self, op: DiscreteOp, low: Int32Array, high: Int32Array
    ) -> int:
        """An int8 op whose requantization is a ternary activation.

        With `v = 2 sum - (high + low - 1)` and `c = high - low - 1` the
        activation is the sign of v where |v| > c, else 0. As v has the parity
        of c, it is `clip(round(v / (2 (c + 1))), -1, 1)`, with equal margins
        on both sides; where c = -1 there is no zero and the sign of the odd v
        remains.
        """
        gain = _gain(op)  # of the sums, even, so that of v is whole
        high64, low64 = high.astype(np.int64), low.astype(np.int64)
        multiplier = 0.5 / np.maximum(high64 - low64, 0.5) * 2 / gain
        bias = (-(high64 + low64 - 1) * gain // 2).astype(np.int32)
        kernel = (op.kernel.astype(np.int32) * gain).astype(np.int8)
        return self._int8_op(op, kernel, bias, multiplier, "RELU_N1_TO_1")

    def float_staircase(self, op: DiscreteOp, sums: int) -> None:
        """A staircase of exact float32 sums, then the pool.

        As sums and thresholds are whole, `clip(sum - t + 1, 0, 1)` is 1 from
        the threshold t on and 0 below. All numbers are whole and at most
        2^24, hence exact.
        """
        assert op.thresholds is not None
        shape, name = op.sums_shape, op.name
        one = self.number(1.0)
        total = self.number(float(op.thresholds.lowest))
        for step in op.thresholds.steps:
            offset = self.constant(
                f"{name}/threshold", (1 - step.astype(np.int64)).astype("f4")
            )
            above = self.float_op(
                "ADD",
                [sums, offset],
                f"{name}/above",
                shape,
                fused_activation_function="RELU",
            )
            reached = self.float_op(
                "MINIMUM", [above, one], f"{name}/reached", shape
            )
            if op.thresholds.stride != 1:
                stride = self.number(float(op.thresholds.stride))
                reached = self.float_op(
                    "MUL", [reached, stride], f"{name}/strides", shape
                )
            total = self.float_op(
                "ADD", [total, reached], f"{name}/float_states", shape
            )
        states = self._activation_tensor(op, "states")
        self.builder.builtin("QUANTIZE", [total], [states])
        self.finish_activation(op, states)

    def finish_activation(self, op: DiscreteOp, states: int) -> None:
        """The pool behind the int8 states, if there is one."""
        if op.pool is not None:
            pooled = self.new_tensor(op.output.name, op.output.shape, np.int8)
            self.pool("MAX_POOL_2D", states, pooled, op.pool, True)
            states = pooled
        self.set_form(op.output, "int8", states)

    def _activation_tensor(self, op: DiscreteOp, what: str) -> int:
        return self.new_tensor(
            f"{op.output.name}/{what}", op.sums_shape, np.int8
        )

    # Sums.

    def _sums(self, op: DiscreteOp) -> int:
        """The exact sums as float32, from int8 ops where that is sensible.

        An int8 output saturates: `s_k = clip(sum - m_k, -128, 127)`. With
        centres `m_k = 255 k - 128 (W - 1)`, k = 0..W-1, the windows tile the
        line and `sum = s_0 + ... + s_(W-1)` for `-128 W <= sum <= 127 W`:
        exactly one of them is not saturated, and the others' limits cancel the
        centres.
        """
        weights = np.abs(op.kernel.astype(np.int64)).sum((1, 2, 3))
        bound = op.input.peak * int(weights.max())
        windows = max(1, -(-bound // 127))
        if windows > _MAX_WINDOWS or (windows > 1 and op.groups > 1):
            return self._float_sums(op)
        channels = len(op.kernel)
        centres = 255 * np.arange(windows) - 128 * (windows - 1)
        parts = self._int8_op(
            op,
            np.tile(op.kernel, (windows, 1, 1, 1)),
            -np.repeat(centres, channels).astype(np.int32),
            np.ones(windows * channels),
            "NONE",
        )
        shape = (*op.sums_shape[:-1], windows * channels)
        floats = self.float_op(
            "DEQUANTIZE",
            [parts],
            f"{op.name}/saturated_sums",
            shape,
            version=2,
        )
        if windows == 1:
            return floats
        adder = np.tile(np.eye(channels, dtype=np.float32), windows)
        name = f"{op.name}/adder"
        weights_index = self.constant(
            f"{name}/weights",
            adder if op.fully_connected else adder[:, None, None],
        )
        bias = self.constant(f"{name}/bias", np.zeros(channels, np.float32))
        return self._kernel_op(
            name,
            (floats, weights_index, bias),
            Window((1, 1)),
            fully_connected=op.fully_connected,
            depthwise=False,
            input_shape=(*shape[:-1], windows * channels),
            output_shape=op.sums_shape,
            dtype=np.float32,
        )

    def _float_sums(self, op: DiscreteOp) -> int:
        """The exact sums from a float32 op with int8 weights."""
        return self._float_kernel(op, self.dequantized(op.input))

    # Ops with a kernel.

    def write_float(self, op: FloatOp) -> None:
        """Writes a convolution or fully connected op in float32."""
        index = self._float_kernel(op, self.reals(op.input))
        self.set_form(op.output, "float32", index)

    def _float_kernel(self, op: KernelOp, x: int) -> int:
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
        return self._kernel_op(
            op.name,
            (x, weights, self.constant(f"{op.name}/bias", bias)),
            op.window,
            fully_connected=op.fully_connected,
            depthwise=op.depthwise,
            input_shape=op.input.shape,
            output_shape=op.sums_shape,
            dtype=np.float32,
        )

    def _int8_op(
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
        return self._kernel_op(
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

    def _kernel_op(
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


def _gain(op: DiscreteOp) -> int:
    """What the weights can be multiplied with, a power of two."""
    peak = int(np.abs(op.kernel.astype(np.int64)).max(initial=1))
    gain = _MAX_GAIN
    while gain > 1 and gain * peak > 127:
        gain //= 2
    return gain


def _zeros(op: DiscreteOp) -> Int32Array:
    return np.zeros(len(op.kernel), np.int32)


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
