# SPDX-License-Identifier: Apache-2.0
"""Reads the tensors and operators of any `.tflite` file.

A damaged file gives an exception, mostly a ValueError, never a crash: LiteRT's
own reader trusts what it reads. Nor does it give a hang: the schema's own
objects would unpack a whole file at once, and in a damaged one lists can share
their elements, which are lists, too; 1300 bytes would make millions of objects.
So only what is asked for is read, and only so much altogether.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .flatbuffer_builder import (
    BUFFER_ALIGNMENT,
    FILE_IDENTIFIER,
    WRITER,
    load_schema,
)

# Types of more than one value a byte, lowest bits first: bits, and whether
# they are signed.
_SMALL_TYPES = {"INT2": (2, True), "INT4": (4, True), "UINT4": (4, False)}
_TYPES = {
    "FLOAT16": "<f2",
    "FLOAT32": "<f4",
    "FLOAT64": "<f8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
}

_MOST_READS = 256
"""How often a file's bytes are read on average, as shared ones."""
_MOST_AXES = 32


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of a file.

    Attributes:
        name: Its name, fit to be shown.
        type: Name of its type.
        shape: Its shape, as it is stored.
        scales: Number of its scales.
        zero_point: The zero point if it has one for all its values, else 0.
        is_sparse: Whether its values are stored sparsely.
        buffer: Number of the buffer that has its bytes.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    scales: int
    zero_point: int
    is_sparse: bool
    buffer: int


@dataclasses.dataclass(frozen=True)
class Operator:
    """An operator of a file.

    Attributes:
        name: Its name, a custom one's own, fit to be shown.
        is_custom: Whether it is a custom one.
        options: Options of a custom one.
        inputs: The tensors that it reads, None for those that are left out.
        outputs: The tensors that it writes.
    """

    name: str
    is_custom: bool
    options: bytes
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]


class TfliteReader:
    """Reads a file part by part.

    Args:
        data: Its content.

    Raises:
        ValueError: If it is no `.tflite` file, or cut off.
        Exception: Of any kind, here and in the methods, if it is damaged.
    """

    def __init__(self, data: bytes) -> None:
        if data[4:8] != FILE_IDENTIFIER:
            raise ValueError(
                "This is not a `.tflite` file: the identifier "
                f"{FILE_IDENTIFIER.decode()} is missing. Received {len(data)} "
                "bytes."
            )
        schema = load_schema()
        self._data = np.frombuffer(data, np.uint8)
        self._left = _MOST_READS * len(data)
        self._ops = _names(schema.BuiltinOperator)
        self._types = _names(schema.TensorType)
        self._model = schema.Model.GetRootAsModel(data, 0)
        self._tensors: dict[tuple[int, int], Tensor] = {}
        ours = self.description.startswith(WRITER)
        if ours and len(data) % BUFFER_ALIGNMENT:
            raise ValueError(
                "The `.tflite` file is cut off: the size of one of this "
                f"library is a multiple of {BUFFER_ALIGNMENT} bytes. Received "
                f"{len(data)} bytes."
            )

    @property
    def description(self) -> str:
        """What the file says of itself."""
        return self._text(self._model.Description())

    @property
    def runtime(self) -> str:
        """The first version of TensorFlow Lite that is said to run it."""
        count = self._model.MetadataLength()
        for index in range(count):
            entry = _element(self._model.Metadata, count, index)
            if self._text(entry.Name()) == "min_runtime_version":
                stored = self._buffer(entry.Buffer()).tobytes()
                return self._text(stored.rstrip(b"\0"))
        return ""

    def operators(self) -> Iterator[Operator]:
        """Reads the operators in order, those of further subgraphs behind."""
        for number in range(self._model.SubgraphsLength()):
            graph = self._graph(number)
            count = graph.OperatorsLength()
            for index in range(count):
                op = _element(graph.Operators, count, index)
                yield self._operator(number, op)

    def tensors(self) -> Iterator[Tensor]:
        """Reads the tensors of the first subgraph in order."""
        for index in range(self._graph(0).TensorsLength()):
            yield self._tensor(0, index)

    def buffer_sizes(self) -> list[int]:
        """Bytes of every buffer, in order."""
        return [
            len(self._buffer(index))
            for index in range(self._model.BuffersLength())
        ]

    def constant(self, tensor: Tensor) -> npt.NDArray[np.uint8] | None:
        """The bytes of a tensor, None if it is not constant."""
        data = self._buffer(tensor.buffer)
        return data if len(data) else None

    def bits(self, tensor: Tensor) -> int:
        """Bits of a value of a tensor whose `values` can be read."""
        if tensor.type in _SMALL_TYPES:
            return _SMALL_TYPES[tensor.type][0]
        return 8 * np.dtype(_TYPES[tensor.type]).itemsize

    def values(self, tensor: Tensor) -> npt.NDArray[Any] | None:
        """The numbers of a constant in its shape, as they are stored.

        Args:
            tensor: A tensor of the file.

        Returns:
            None if it is not constant, stored sparsely, or of another type.

        Raises:
            ValueError: If its bytes are not those of its shape.
        """
        data = self.constant(tensor)
        if data is None or tensor.is_sparse:
            return None
        if tensor.type not in _TYPES and tensor.type not in _SMALL_TYPES:
            return None
        self._spend(len(data))
        count = math.prod(tensor.shape)
        if len(data) != (count * self.bits(tensor) + 7) // 8:
            raise ValueError(
                "The `.tflite` file is damaged: the constant "
                f"{tensor.name!r}, {tensor.type} of shape {tensor.shape}, has "
                f"{len(data)} bytes."
            )
        if tensor.type in _TYPES:
            return data.view(_TYPES[tensor.type]).reshape(tensor.shape)
        values = _small_values(data, *_SMALL_TYPES[tensor.type])
        return values[:count].reshape(tensor.shape)

    def _graph(self, number: int) -> Any:
        self._spend(0)
        return _element(
            self._model.Subgraphs, self._model.SubgraphsLength(), number
        )

    def _operator(self, number: int, op: Any) -> Operator:
        code = _element(
            self._model.OperatorCodes,
            self._model.OperatorCodesLength(),
            op.OpcodeIndex(),
        )
        custom = code.CustomCode()
        if custom is None:
            # Files of before 2020 have it in the field that is 0 now.
            value = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            name = self._ops.get(value, f"BUILTIN_{value}")
        else:
            name = self._text(custom)
        inputs, outputs = op.InputsLength(), op.OutputsLength()
        self._spend(inputs + outputs + op.CustomOptionsLength())
        return Operator(
            name=name,
            is_custom=custom is not None,
            options=(
                b""
                if op.CustomOptionsIsNone()
                else op.CustomOptionsAsNumpy().tobytes()
            ),
            inputs=tuple(
                None if index < 0 else self._tensor(number, index)
                for index in map(op.Inputs, range(inputs))
            ),
            outputs=tuple(
                self._tensor(number, index)
                for index in map(op.Outputs, range(outputs))
            ),
        )

    def _tensor(self, number: int, index: int) -> Tensor:
        """Reads a tensor of a subgraph, once."""
        key = (number, index)
        if key not in self._tensors:
            graph = self._graph(number)
            self._tensors[key] = self._read_tensor(
                _element(graph.Tensors, graph.TensorsLength(), index)
            )
        return self._tensors[key]

    def _read_tensor(self, tensor: Any) -> Tensor:
        rank = tensor.ShapeLength()
        if rank > _MOST_AXES:
            raise ValueError(
                "The `.tflite` file is damaged: a tensor has more than "
                f"{_MOST_AXES} axes. Received: {rank}"
            )
        quantization = tensor.Quantization()
        points = set()
        if quantization is not None:
            self._spend(quantization.ZeroPointLength())
            if quantization.ZeroPointLength():
                points = set(quantization.ZeroPointAsNumpy().tolist())
        kind = tensor.Type()
        return Tensor(
            name=self._text(tensor.Name()),
            type=self._types.get(kind, f"TYPE_{kind}"),
            shape=tuple(int(tensor.Shape(axis)) for axis in range(rank)),
            scales=0 if quantization is None else quantization.ScaleLength(),
            zero_point=points.pop() if len(points) == 1 else 0,
            is_sparse=tensor.Sparsity() is not None,
            buffer=tensor.Buffer(),
        )

    def _buffer(self, index: int) -> npt.NDArray[np.uint8]:
        self._spend(0)
        buffer = _element(
            self._model.Buffers, self._model.BuffersLength(), index
        )
        if buffer.Offset() <= 1:
            if not buffer.DataLength():
                return self._data[:0]
            data: npt.NDArray[np.uint8] = buffer.DataAsNumpy()
            return data
        # Large files keep constants behind everything else.
        end = buffer.Offset() + buffer.Size()
        if end > len(self._data):
            raise ValueError(
                f"The `.tflite` file is cut off: a constant ends at byte {end}."
                f" Received {len(self._data)} bytes."
            )
        return self._data[buffer.Offset() : end]

    def _text(self, name: bytes | None) -> str:
        """A name that the file has, fit to be shown."""
        self._spend(len(name or b""))
        decoded = (name or b"").decode(errors="replace")
        return "".join(c if c.isprintable() else "\ufffd" for c in decoded)

    def _spend(self, count: int) -> None:
        """Counts what is read, and something for reading it."""
        self._left -= count + 16
        if self._left < 0:
            raise ValueError(
                "The `.tflite` file is damaged: its parts refer to the same "
                "bytes again and again."
            )


def _element(get: Callable[[int], Any], count: int, index: int) -> Any:
    """An element of a list of a file, by an index that the file has."""
    if not 0 <= index < count:
        raise ValueError(
            f"The `.tflite` file is damaged: it refers to item {index} of "
            f"{count}."
        )
    return get(index)


def _names(enum: type) -> dict[int, str]:
    """The names of the values of an enum of the schema."""
    return {
        value: name
        for name, value in vars(enum).items()
        if not name.startswith("_")
    }


def _small_values(
    data: npt.NDArray[np.uint8], bits: int, signed: bool
) -> npt.NDArray[np.int8]:
    """Numbers of fewer than 8 bits."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    parts = data[:, None] >> shifts & (2**bits - 1)
    values: npt.NDArray[np.int8] = parts.astype(np.int8).ravel()
    if signed:
        values[values >= 2 ** (bits - 1)] -= 2**bits
    return values
