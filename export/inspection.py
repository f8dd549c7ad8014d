# SPDX-License-Identifier: Apache-2.0
"""Reads a `.tflite` file back and tabulates what is in it."""

import dataclasses
import math
from collections.abc import Callable, Iterator
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

_MOST_READS = 256
"""How often a file's bytes are read on average, as those of a shared layer."""
_MOST_AXES = 32
_MOST_NAME = 48
"""Characters of an operator's name that are shown."""


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
        return _rows(_Reader(data))
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
    reader = _Reader(data)
    sizes: dict[str, int] = {}
    seen = set()
    for index in range(reader.tensor_count):
        tensor = reader.tensor(index)
        if tensor.data is None:
            continue
        size = 12 * tensor.scales
        if tensor.buffer not in seen:
            seen.add(tensor.buffer)
            size += len(tensor.data)
        sizes[tensor.name] = size
    return sizes


def _rows(reader: "_Reader") -> list[OpRow]:
    rows = []
    for op in reader.operators():
        states = _states(op)
        constants = [t.data for t in op.inputs if t.data is not None]
        rows.append(
            OpRow(
                op=op.name,
                name=op.output.name,
                output_shape=op.output.shape,
                constant_bytes=sum(map(len, constants)),
                macs=_macs(op),
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


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A tensor of a file; `data` is that of a constant."""

    name: str
    kind: int
    shape: tuple[int, ...]
    scales: int
    buffer: int
    data: npt.NDArray[np.uint8] | None


@dataclasses.dataclass(frozen=True)
class _Operator:
    """An operator of a file, with those of its inputs that are there."""

    name: str
    options: bytes
    inputs: list[_Tensor]
    output: _Tensor


class _Reader:
    """Reads a file bit by bit.

    The schema's own objects would unpack all of it at once. In a damaged file
    lists can share their elements, which are lists, too: of 1300 bytes they
    would make millions of objects. So only what is asked for is read, and
    only so much altogether.

    LiteRT's own reader can crash the process on damaged files.
    """

    def __init__(self, data: bytes) -> None:
        if data[4:8] != FILE_IDENTIFIER:
            raise ValueError(
                "This is not a `.tflite` file: the identifier "
                f"{FILE_IDENTIFIER.decode()} is missing. Received {len(data)} "
                "bytes."
            )
        if len(data) % BUFFER_ALIGNMENT:
            raise ValueError(
                "The `.tflite` file is cut off, or not one of this library: "
                f"its size must be a multiple of {BUFFER_ALIGNMENT} bytes. "
                f"Received {len(data)} bytes."
            )
        schema = load_schema()
        self._model = schema.Model.GetRootAsModel(data, 0)
        self._graph = _element(
            self._model.Subgraphs, self._model.SubgraphsLength(), 0
        )
        self._left = _MOST_READS * len(data)
        self._tensors: dict[int, _Tensor] = {}
        self._builtins = {
            value: name
            for name, value in vars(schema.BuiltinOperator).items()
            if not name.startswith("_")
        }

    @property
    def tensor_count(self) -> int:
        """Number of the tensors."""
        return int(self._graph.TensorsLength())

    def tensor(self, index: int) -> _Tensor:
        """Reads a tensor."""
        if index not in self._tensors:
            self._tensors[index] = self._read_tensor(index)
        return self._tensors[index]

    def operators(self) -> Iterator[_Operator]:
        """Reads the operators in order."""
        count = self._graph.OperatorsLength()
        for index in range(count):
            yield self._read_operator(
                _element(self._graph.Operators, count, index)
            )

    def _read_tensor(self, index: int) -> _Tensor:
        tensor = _element(self._graph.Tensors, self.tensor_count, index)
        name = tensor.Name() or b""
        rank = tensor.ShapeLength()
        if rank > _MOST_AXES:
            raise ValueError(
                "The `.tflite` file is damaged: a tensor has more than "
                f"{_MOST_AXES} axes. Received: {rank}"
            )
        self._spend(len(name) + rank)
        quantization = tensor.Quantization()
        buffer = _element(
            self._model.Buffers, self._model.BuffersLength(), tensor.Buffer()
        )
        return _Tensor(
            name=name.decode(),
            kind=tensor.Type(),
            shape=tuple(int(tensor.Shape(axis)) for axis in range(rank)),
            scales=0 if quantization is None else quantization.ScaleLength(),
            buffer=tensor.Buffer(),
            data=None if buffer.DataIsNone() else buffer.DataAsNumpy(),
        )

    def _read_operator(self, op: Any) -> _Operator:
        code = _element(
            self._model.OperatorCodes,
            self._model.OperatorCodesLength(),
            op.OpcodeIndex(),
        )
        custom = code.CustomCode()
        self._spend(
            len(custom or b"") + op.InputsLength() + op.CustomOptionsLength()
        )
        inputs = [
            self.tensor(op.Inputs(place))
            for place in range(op.InputsLength())
            if op.Inputs(place) >= 0
        ]
        self._spend(sum(len(t.data) for t in inputs if t.data is not None))
        if op.OutputsLength() < 1:
            raise ValueError(
                "The `.tflite` file is damaged: an operator has no output."
            )
        return _Operator(
            name=(
                self._builtins[code.BuiltinCode()]
                if custom is None
                else _printable(custom.decode())
            ),
            options=(
                b""
                if op.CustomOptionsIsNone()
                else op.CustomOptionsAsNumpy().tobytes()
            ),
            inputs=inputs,
            output=self.tensor(op.Outputs(0)),
        )

    def _spend(self, count: int) -> None:
        """Counts what is read, and something for reading it."""
        self._left -= count + 16
        if self._left < 0:
            raise ValueError(
                "The `.tflite` file is damaged: its parts refer to the same "
                "bytes again and again."
            )


def _element(get: Callable[[int], Any], count: int, index: int) -> Any:
    """An element of a list in the file."""
    if not 0 <= index < count:
        raise ValueError(
            "The `.tflite` file is damaged: it refers to element "
            f"{index} of a list of {count}."
        )
    return get(index)


def _printable(text: str) -> str:
    """What may be shown of a text in the file."""
    return "".join(c if c.isprintable() else "?" for c in text[:_MOST_NAME])


def _states(op: _Operator) -> npt.NDArray[np.int8] | None:
    """The discrete weights of an operator, if it has any."""
    if op.name not in (*_CUSTOM_WITH_WEIGHTS, *_BUILTIN_WITH_WEIGHTS):
        return None
    weights = op.inputs[1]
    if weights.data is None or weights.kind == load_schema().TensorType.FLOAT32:
        return None
    if op.name not in _CUSTOM_WITH_WEIGHTS:
        return weights.data.view(np.int8)
    records = weights.data.view("<i4").reshape(weights.shape).astype(np.int32)
    taps = records.shape[1] - 1
    read = _CUSTOM_WITH_WEIGHTS[op.name].from_bytes(op.options)
    if isinstance(read, FullyConnectedOptions):
        outputs, height, channels = read.output_channels, 1, read.input_channels
    else:
        outputs, height = read.result_channels, read.kernel_height
        channels = read.tap_channels
    return packing.unpack_weights(
        records, outputs, height, taps // height // channels, channels
    )


def _macs(op: _Operator) -> int:
    """Products of one sample, for an output of a shape with the batch."""
    if op.name in _CUSTOM_WITH_WEIGHTS:
        read = _CUSTOM_WITH_WEIGHTS[op.name].from_bytes(op.options)
        weights = op.inputs[1].shape
        if isinstance(read, FullyConnectedOptions):
            return (weights[1] - 1) * read.output_channels
        height, width = op.inputs[0].shape[1:3]
        positions = math.prod(read.conv_size(height, width))
        return positions * read.depth * read.result_channels
    if op.name not in _BUILTIN_WITH_WEIGHTS:
        return 0
    shape = op.output.shape
    return math.prod(op.inputs[1].shape) * math.prod(
        shape[1:3] if len(shape) == 4 else ()
    )
