# SPDX-License-Identifier: Apache-2.0
"""Reads a `.tflite` file back and tabulates what is in it."""

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from . import packing
from .flatbuffer_builder import (
    BUFFER_ALIGNMENT,
    FILE_IDENTIFIER,
    load_schema,
)
from .op_schema import (
    CONV_2D,
    DEPTHWISE_CONV_2D,
    FULLY_CONNECTED,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    FullyConnectedOptions,
)

_CUSTOM_WITH_WEIGHTS: dict[
    str,
    type[Conv2DOptions | DepthwiseConv2DOptions | FullyConnectedOptions],
] = {
    CONV_2D: Conv2DOptions,
    DEPTHWISE_CONV_2D: DepthwiseConv2DOptions,
    FULLY_CONNECTED: FullyConnectedOptions,
}
_BUILTIN_WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclasses.dataclass(frozen=True)
class OpRow:
    """One operator of a file.

    Attributes:
        op: Name of the operator.
        name: Name of its output tensor.
        output_shape: Shape of its output for one sample, as stored.
        constant_bytes: Bytes of its constants, weights and all.
        macs: Multiply-accumulates for one sample, 0 where there are none.
        zero_share: Share of zero weights, None without int8 or packed ones.
    """

    op: str
    name: str
    output_shape: tuple[int, ...]
    constant_bytes: int
    macs: int
    zero_share: float | None


def inspect(data: bytes) -> list[OpRow]:
    """Lists the operators of a `.tflite` file in order.

    Args:
        data: Content of a file that `convert` wrote.

    Returns:
        A row per operator.

    Raises:
        ValueError: If the content is damaged, cut off, or no `.tflite` file.
    """
    if not isinstance(data, bytes):
        raise TypeError(
            "`data` must be the content of a file, `path.read_bytes()`. "
            f"Received: {type(data).__name__}"
        )
    try:
        return _rows(_read(data))
    except ValueError:
        raise
    except Exception as error:  # A damaged offset can lead anywhere.
        raise ValueError(
            "The `.tflite` file is damaged, or not one of this library; "
            f"export the model again. ({type(error).__name__}: {error})"
        ) from error


def constant_bytes(data: bytes) -> dict[str, int]:
    """Bytes of the constants of a file by the name of their tensor.

    They are the data, of which several tensors that share them count the
    first only, and the quantization: 12 bytes a scale with its zero point.

    Args:
        data: Content of a file that `convert` wrote.
    """
    model = _read(data)
    sizes: dict[str, int] = {}
    seen = set()
    for tensor in model.subgraphs[0].tensors:
        constant = _constant(model, tensor)
        if constant is None:
            continue
        scales = getattr(tensor.quantization, "scale", None)
        size = 0 if scales is None else 12 * len(scales)
        if tensor.buffer not in seen:
            seen.add(tensor.buffer)
            size += len(constant)
        sizes[tensor.name.decode()] = size
    return sizes


def _rows(model: Any) -> list[OpRow]:
    graph = model.subgraphs[0]
    schema = load_schema()
    names = {
        value: name
        for name, value in vars(schema.BuiltinOperator).items()
        if not name.startswith("_")
    }
    rows = []
    for op in graph.operators:
        code = model.operatorCodes[op.opcodeIndex]
        inputs = [graph.tensors[i] for i in op.inputs if i >= 0]
        output = graph.tensors[op.outputs[0]]
        constants = [_constant(model, tensor) for tensor in inputs]
        name = names[code.builtinCode]
        if code.customCode is not None:
            name = code.customCode.decode()
        states = _states(name, op, inputs, constants)
        shape = tuple(int(size) for size in output.shape)
        rows.append(
            OpRow(
                op=name,
                name=output.name.decode(),
                output_shape=shape,
                constant_bytes=sum(len(c) for c in constants if c is not None),
                macs=_macs(name, op, inputs, shape),
                zero_share=(
                    None if states is None else float(np.mean(states == 0))
                ),
            )
        )
    return rows


def format_rows(rows: list[OpRow], file_bytes: int) -> str:
    """A table of the operators for a terminal.

    Args:
        rows: What `inspect` gave.
        file_bytes: Size of the file.
    """
    op_width = max(len(text) for text in ["total", *(r.op for r in rows)])
    lines = [
        f"{'op':<{op_width}}  {'output shape':<16}  {'bytes':>9}  "
        f"{'MACs':>11}  {'zero weights':>12}"
    ]
    for row in rows:
        zeros = "" if row.zero_share is None else f"{row.zero_share:.1%}"
        macs = f"{row.macs:,}" if row.macs else ""
        shape = "x".join(map(str, row.output_shape))
        lines.append(
            f"{row.op:<{op_width}}  {shape:<16}  {row.constant_bytes:>9,}  "
            f"{macs:>11}  {zeros:>12}"
        )
    total_bytes = sum(row.constant_bytes for row in rows)
    total_macs = sum(row.macs for row in rows)
    lines.append(
        f"{'total':<{op_width}}  {'':<16}  {total_bytes:>9,}  {total_macs:>11,}"
    )
    lines.append(f"file: {file_bytes:,} bytes")
    if any(row.op.startswith("Gxnor") for row in rows):
        lines.append(
            "Shapes of packed activations are in words: two for 32 channels."
        )
    return "\n".join(lines)


def _read(data: bytes) -> Any:
    """The schema's objects of a file."""
    if data[4:8] != FILE_IDENTIFIER:
        raise ValueError(
            "This is not a `.tflite` file: the identifier "
            f"{FILE_IDENTIFIER.decode()} is missing. Received {len(data)} "
            "bytes."
        )
    if len(data) % BUFFER_ALIGNMENT:
        raise ValueError(
            "The `.tflite` file is cut off, or not one of this library: its "
            f"size must be a multiple of {BUFFER_ALIGNMENT} bytes. Received "
            f"{len(data)} bytes."
        )
    # Python's reader: LiteRT's own can crash the process on damaged files.
    schema = load_schema()
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))


def _constant(model: Any, tensor: Any) -> npt.NDArray[np.uint8] | None:
    data = model.buffers[tensor.buffer].data
    return None if data is None else np.asarray(data, np.uint8)


def _states(
    name: str,
    op: Any,
    inputs: list[Any],
    constants: list[npt.NDArray[np.uint8] | None],
) -> npt.NDArray[np.int8] | None:
    """The discrete weights of an operator, if it has any."""
    if name not in (*_CUSTOM_WITH_WEIGHTS, *_BUILTIN_WITH_WEIGHTS):
        return None
    data = constants[1]
    schema = load_schema()
    if data is None or inputs[1].type == schema.TensorType.FLOAT32:
        return None
    if not name.startswith("Gxnor"):
        return data.view(np.int8)
    records = data.view("<i4").reshape(inputs[1].shape).astype(np.int32)
    taps = records.shape[1] - 1
    read = _CUSTOM_WITH_WEIGHTS[name].from_bytes(_options(op))
    if isinstance(read, FullyConnectedOptions):
        outputs, height, channels = read.output_channels, 1, read.input_channels
    else:
        outputs, height = read.result_channels, read.kernel_height
        channels = read.tap_channels
    return packing.unpack_weights(
        records, outputs, height, taps // height // channels, channels
    )


def _options(op: Any) -> bytes:
    return bytes(bytearray(op.customOptions))


def _macs(name: str, op: Any, inputs: list[Any], shape: tuple[int, ...]) -> int:
    """Products of one sample, for an output of a shape with the batch."""
    if name in _CUSTOM_WITH_WEIGHTS:
        read = _CUSTOM_WITH_WEIGHTS[name].from_bytes(_options(op))
        if isinstance(read, FullyConnectedOptions):
            return (int(inputs[1].shape[1]) - 1) * read.output_channels
        height, width = (int(size) for size in inputs[0].shape[1:3])
        positions = math.prod(read.conv_size(height, width))
        return positions * read.depth * read.result_channels
    if name not in _BUILTIN_WITH_WEIGHTS:
        return 0
    weights = math.prod(int(size) for size in inputs[1].shape)
    return weights * math.prod(shape[1:3] if len(shape) == 4 else ())
