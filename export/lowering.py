# SPDX-License-Identifier: Apache-2.0
"""Writes an integer program as a `.tflite` file.

`custom` uses the gated-XNOR ops of `op_schema.py` on packed activations.
`builtin` computes the same integers with ordinary int8 ops. Both end in the
same float32 tail: the last sums, multiplied and added to as Keras does it.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from . import packing
from .flatbuffer_builder import ModelBuilder, Quantization
from .graph import ExportError
from .op_schema import Conv2DOptions, FullyConnectedOptions
from .program import (
    DiscreteOp,
    Int8Array,
    Int32Array,
    Program,
    Thresholds,
    Window,
)

# Doubled weights times this are +-64, the most that leaves the biases room:
# the head room that TFLite's fixed-point rounding of small sums needs.
_GAIN = 32

# Beyond it float32 requantization no longer separates neighbouring sums.
_MAX_BUILTIN_SUM = 2**20

# More saturating windows than this make the last layer larger than sensible.
_MAX_WINDOWS = 32


Ops = Literal["custom", "builtin"]


def lower(
    program: Program, ops: Ops, include_activations: bool = False
) -> bytes:
    """Writes a program with custom or builtin ops.

    Args:
        program: The integer program.
        ops: `"custom"` or `"builtin"`.
        include_activations: Whether every op's activations are outputs of the
            file, too, named as the Keras layers that they reproduce.

    Returns:
        The content of the `.tflite` file.

    Raises:
        ExportError: If the form cannot be exact.
        ValueError: If `ops` is unknown.
    """
    if ops not in get_args(Ops):
        raise ValueError(
            f"`ops` must be one of {get_args(Ops)}. Received: ops={ops!r}"
        )
    if ops == "custom":
        return to_custom(program, include_activations)
    return to_builtin(program, include_activations)


def to_custom(program: Program, include_activations: bool = False) -> bytes:
    """Writes a program with gated-XNOR custom ops.

    Args:
        program: The integer program.
        include_activations: Whether every op's packed activations are outputs
            of the file, too, named as the Keras layers that they reproduce.

    Returns:
        The content of the `.tflite` file.
    """
    builder = ModelBuilder("gxnor_tf, custom ops")
    inputs = tensor = _add_input(builder, program)
    outputs: dict[str, int] = {}
    packed = False
    for op in program.ops:
        operands = [
            tensor,
            builder.constant(
                f"{op.name}/weights", packing.pack_weights(op.kernel)
            ),
        ]
        if op.thresholds is not None:
            high, low = op.thresholds.high, op.thresholds.low
            operands.append(
                builder.constant(
                    f"{op.name}/thresholds",
                    packing.pack_thresholds(high, low, op.depth)
                    if packed
                    else packing.pair_thresholds(high, low),
                )
            )
        options = _custom_options(op)
        shape = options.output_shape(
            (1, *op.input_shape), packed=op.thresholds is not None
        )
        name = op.output_name if op.thresholds is not None else op.name
        tensor = builder.tensor(
            f"{name}/packed" if op.thresholds is not None else f"{name}/sums",
            (None, *shape[1:]),
            np.int32,
        )
        builder.custom(
            options.custom_code, operands, [tensor], options.to_bytes()
        )
        packed = True
        if op.thresholds is not None:
            outputs[op.output_name] = tensor
    last = program.ops[-1]
    if last.thresholds is None:
        sums = tensor
        tensor = builder.tensor(
            f"{last.name}/float_sums", _sums_shape(last), np.float32
        )
        builder.builtin(
            "CAST",
            [sums],
            [tensor],
            in_data_type="INT32",
            out_data_type="FLOAT32",
        )
        tensor = _add_tail(builder, program, tensor)
    return _finish(
        builder, program, inputs, tensor, outputs, include_activations
    )


def to_builtin(program: Program, include_activations: bool = False) -> bytes:
    """Writes a program with builtin ops only, exact in every runtime.

    Args:
        program: The integer program.
        include_activations: Whether every op's int8 activations are outputs
            of the file, too, named as the Keras layers that they reproduce.

    Returns:
        The content of the `.tflite` file.

    Raises:
        ExportError: If sums are too large for int8 ops to be exact.
    """
    builder = ModelBuilder("gxnor_tf, builtin ops")
    inputs = tensor = _add_input(builder, program)
    outputs: dict[str, int] = {}
    scale, peak = program.input_scale, 128
    for op in program.ops:
        if op.depth * peak > _MAX_BUILTIN_SUM:
            raise ExportError(
                f"The sums of `{op.name}` can reach {op.depth * peak}, beyond "
                f"the {_MAX_BUILTIN_SUM} that builtin int8 ops can tell "
                'apart. Use ops="custom" or fewer inputs.'
            )
        if op.thresholds is None:
            tensor = _add_sums(builder, op, tensor, scale, peak)
            tensor = _add_tail(builder, program, tensor)
        else:
            tensor = _add_ternary(builder, op, op.thresholds, tensor, scale)
            outputs[op.output_name] = tensor
        scale, peak = 1.0, 1
    return _finish(
        builder, program, inputs, tensor, outputs, include_activations
    )


def _add_input(builder: ModelBuilder, program: Program) -> int:
    return builder.tensor(
        program.input_name,
        (None, *program.input_shape),
        np.int8,
        quantization=Quantization(program.input_scale),
    )


def _custom_options(op: DiscreteOp) -> Conv2DOptions | FullyConnectedOptions:
    outputs, channels = op.kernel.shape[0], op.kernel.shape[3]
    if op.fully_connected:
        return FullyConnectedOptions(
            input_channels=channels, output_channels=outputs
        )
    window, pool = op.window, op.pool or Window((1, 1))
    return Conv2DOptions(
        input_channels=channels,
        output_channels=outputs,
        kernel_height=window.size[0],
        kernel_width=window.size[1],
        stride_height=window.strides[0],
        stride_width=window.strides[1],
        dilation_height=window.dilation[0],
        dilation_width=window.dilation[1],
        pad_top=window.padding[0],
        pad_bottom=window.padding[1],
        pad_left=window.padding[2],
        pad_right=window.padding[3],
        pool_height=pool.size[0],
        pool_width=pool.size[1],
        pool_stride_height=pool.strides[0],
        pool_stride_width=pool.strides[1],
        pool_pad_top=pool.padding[0],
        pool_pad_bottom=pool.padding[1],
        pool_pad_left=pool.padding[2],
        pool_pad_right=pool.padding[3],
    )


def _add_ternary(
    builder: ModelBuilder,
    op: DiscreteOp,
    thresholds: Thresholds,
    x: int,
    scale: float,
) -> int:
    """An int8 op whose requantization is the ternary activation.

    With `v = 2 sum - (high + low - 1)` and `c = high - low - 1` the activation
    is the sign of v where |v| > c, else 0. As v has the parity of c, it is
    `clip(round(v / (2 (c + 1))), -1, 1)`, with equal margins on both sides;
    where c = -1 there is no zero and the sign of the odd v remains.
    """
    high = thresholds.high.astype(np.int64)
    low = thresholds.low.astype(np.int64)
    reach = high - low
    multiplier = 0.5 / np.maximum(reach, 0.5)
    bias = (-(high + low - 1) * _GAIN).astype(np.int32)
    tensor = _add_int8_op(
        builder,
        op,
        x,
        (2 * _GAIN * op.kernel.astype(np.int32)).astype(np.int8),
        bias,
        scale,
        multiplier / _GAIN,
        name=op.output_name if op.pool is None else f"{op.name}/activation",
        activation="RELU_N1_TO_1",
    )
    if op.pool is None:
        return tensor
    pooled = builder.tensor(
        op.output_name,
        (None, *op.output_shape),
        np.int8,
        quantization=Quantization(1.0),
    )
    builder.builtin(
        "MAX_POOL_2D",
        [tensor],
        [pooled],
        version=2,
        padding=_padding(op.pool),
        stride_h=op.pool.strides[0],
        stride_w=op.pool.strides[1],
        filter_height=op.pool.size[0],
        filter_width=op.pool.size[1],
    )
    return pooled


def _add_sums(
    builder: ModelBuilder, op: DiscreteOp, x: int, scale: float, peak: int
) -> int:
    """The exact sums as float32, from int8 ops.

    An int8 output saturates: `s_k = clip(sum - m_k, -128, 127)`. With centres
    `m_k = 255 k - 128 (W - 1)`, k = 0..W-1, the windows tile the line and
    `sum = s_0 + ... + s_(W-1)` for `-128 W <= sum <= 127 W`: exactly one of
    them is not saturated, and the others' limits cancel the centres.
    """
    bound = peak * int(np.abs(op.kernel).sum(axis=(1, 2, 3)).max())
    windows = max(1, -(-bound // 127))
    if windows > _MAX_WINDOWS:
        raise ExportError(
            f"The sums of the last layer `{op.name}` can reach {bound}; "
            f"builtin ops give at most {_MAX_WINDOWS * 127} exactly. Use "
            'ops="custom", or a discrete layer with fewer inputs.'
        )
    channels = len(op.kernel)
    centres = 255 * np.arange(windows) - 128 * (windows - 1)
    parts = _add_int8_op(
        builder,
        op,
        x,
        np.tile(op.kernel, (windows, 1, 1, 1)),
        -np.repeat(centres, channels).astype(np.int32),
        scale,
        np.ones(windows * channels),
        name=f"{op.name}/saturated_sums",
        activation="NONE",
    )
    shape = _sums_shape(op)
    floats = builder.tensor(
        f"{op.name}/float_saturated_sums",
        (*shape[:-1], windows * channels),
        np.float32,
    )
    builder.builtin("DEQUANTIZE", [parts], [floats], version=2)
    if windows == 1:
        return floats
    sums = builder.tensor(f"{op.name}/sums", shape, np.float32)
    adder = np.tile(np.eye(channels, dtype=np.float32), windows)
    zeros = builder.constant(
        f"{op.name}/no_bias", np.zeros(channels, np.float32)
    )
    if op.fully_connected:
        weights = builder.constant(f"{op.name}/adder", adder)
        builder.builtin("FULLY_CONNECTED", [floats, weights, zeros], [sums])
    else:
        weights = builder.constant(f"{op.name}/adder", adder[:, None, None])
        builder.builtin(
            "CONV_2D",
            [floats, weights, zeros],
            [sums],
            padding="VALID",
            stride_h=1,
            stride_w=1,
        )
    return sums


def _add_int8_op(
    builder: ModelBuilder,
    op: DiscreteOp,
    x: int,
    kernel: Int8Array,
    bias: Int32Array,
    scale: float,
    multiplier: npt.NDArray[np.float64],
    *,
    name: str,
    activation: str,
) -> int:
    """CONV_2D or FULLY_CONNECTED: `clip(round(multiplier * (sum + bias)))`."""
    per_channel = (multiplier / scale).astype(np.float32)
    outputs = len(kernel)
    if op.fully_connected:
        kernel = kernel.reshape(outputs, -1)
    operands = [
        x,
        builder.constant(
            f"{name}/weights",
            np.ascontiguousarray(kernel),
            quantization=Quantization(per_channel, axis=0),
        ),
        builder.constant(
            f"{name}/bias",
            bias,
            quantization=Quantization(per_channel * np.float32(scale), axis=0),
        ),
    ]
    shape = (
        (None, outputs)
        if op.fully_connected
        else (None, *op.sums_size, outputs)
    )
    tensor = builder.tensor(
        name, shape, np.int8, quantization=Quantization(1.0)
    )
    if op.fully_connected:
        builder.builtin(
            "FULLY_CONNECTED",
            operands,
            [tensor],
            version=5,
            fused_activation_function=activation,
        )
        return tensor
    builder.builtin(
        "CONV_2D",
        operands,
        [tensor],
        version=3,
        padding=_padding(op.window),
        stride_h=op.window.strides[0],
        stride_w=op.window.strides[1],
        dilation_h_factor=op.window.dilation[0],
        dilation_w_factor=op.window.dilation[1],
        fused_activation_function=activation,
    )
    return tensor


def _padding(window: Window) -> str:
    # "same" that happens to pad nothing is "valid".
    return "SAME" if any(window.padding) else "VALID"


def _sums_shape(op: DiscreteOp) -> tuple[int | None, ...]:
    channels = op.kernel.shape[0]
    if op.fully_connected:
        return (None, channels)
    return (None, *op.sums_size, channels)


def _add_tail(builder: ModelBuilder, program: Program, tensor: int) -> int:
    """The float32 steps behind the last sums."""
    shape = _sums_shape(program.ops[-1])
    for number, step in enumerate(program.tail):
        name = f"{program.output_name}/{number}_{step.kind}"
        operand = builder.constant(f"{name}/operand", step.operand)
        result = builder.tensor(name, shape, np.float32)
        operator = {"multiply": "MUL", "add": "ADD"}[step.kind]
        builder.builtin(operator, [tensor, operand], [result])
        tensor = result
    return tensor


def _finish(
    builder: ModelBuilder,
    program: Program,
    inputs: int,
    output: int,
    activations: dict[str, int],
    include_activations: bool,
) -> bytes:
    outputs = {program.output_name: output}
    if include_activations:
        outputs |= activations
    return builder.finish({program.input_name: inputs}, outputs)


def output_names(program: Program) -> Sequence[str]:
    """Names of the outputs of a file that includes its activations."""
    names = [op.output_name for op in program.ops if op.thresholds is not None]
    return [
        program.output_name,
        *(n for n in names if n != program.output_name),
    ]
