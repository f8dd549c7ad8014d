# SPDX-License-Identifier: Apache-2.0
"""Reads the tensors and operators of any `.tflite` file.

A damaged file gives an exception, mostly a ValueError, never a crash: the
reader is the one in Python, since LiteRT's own trusts what it reads.
"""

import math
from collections.abc import Iterable
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


class TfliteReader:
    """A file as objects of the schema.

    Args:
        data: Its content.

    Raises:
        ValueError: If it is no `.tflite` file, or cut off.
        Exception: Of any kind, if it is damaged.
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
        self._ops = _names(schema.BuiltinOperator)
        self._types = _names(schema.TensorType)
        self._model = schema.ModelT.InitFromObj(
            schema.Model.GetRootAsModel(data, 0)
        )
        self.graphs: list[Any] = sequence(self._model.subgraphs)
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
        return text(self._model.description)

    @property
    def runtime(self) -> str:
        """The first version of TensorFlow Lite that is said to run it."""
        for entry in sequence(self._model.metadata):
            if entry.name == b"min_runtime_version":
                return text(self._buffer(entry.buffer).tobytes().rstrip(b"\0"))
        return ""

    def op_name(self, op: Any) -> str:
        """The name of an operator, a custom one's own."""
        code = item(self._model.operatorCodes, op.opcodeIndex)
        if self.is_custom(op):
            return text(code.customCode)
        # Files of before 2020 have the number in the field that is 0 now.
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        return self._ops.get(number, f"BUILTIN_{number}")

    def is_custom(self, op: Any) -> bool:
        """Whether an operator is a custom one."""
        code = item(self._model.operatorCodes, op.opcodeIndex)
        return code.customCode is not None

    def type_name(self, tensor: Any) -> str:
        """The name of a tensor's type."""
        return self._types.get(tensor.type, f"TYPE_{tensor.type}")

    def buffer_sizes(self) -> list[int]:
        """Bytes of every buffer, in order."""
        return [
            len(self._buffer(i))
            for i in range(len(sequence(self._model.buffers)))
        ]

    def constant(self, tensor: Any) -> npt.NDArray[np.uint8] | None:
        """The bytes of a tensor, None if it is not constant."""
        data = self._buffer(tensor.buffer)
        return data if len(data) else None

    def bits(self, tensor: Any) -> int:
        """Bits of a value of a tensor whose `values` can be read."""
        name = self.type_name(tensor)
        if name in _SMALL_TYPES:
            return _SMALL_TYPES[name][0]
        return 8 * np.dtype(_TYPES[name]).itemsize

    def values(self, tensor: Any) -> npt.NDArray[Any] | None:
        """The numbers of a constant in its shape, as they are stored.

        Args:
            tensor: A tensor of the file.

        Returns:
            None if it is not constant, stored sparsely, or of another type.

        Raises:
            ValueError: If its bytes are not those of its shape.
        """
        name = self.type_name(tensor)
        data = self.constant(tensor)
        if data is None or tensor.sparsity is not None:
            return None
        if name not in _TYPES and name not in _SMALL_TYPES:
            return None
        sizes = shape(tensor)
        count = math.prod(sizes)
        if len(data) != (count * self.bits(tensor) + 7) // 8:
            raise ValueError(
                "The `.tflite` file is damaged: the constant "
                f"{text(tensor.name)!r}, {name} of shape {sizes}, has "
                f"{len(data)} bytes."
            )
        if name in _TYPES:
            return data.view(_TYPES[name]).reshape(sizes)
        return _small_values(data, *_SMALL_TYPES[name])[:count].reshape(sizes)

    def _buffer(self, index: int) -> npt.NDArray[np.uint8]:
        buffer = item(self._model.buffers, index)
        if buffer.offset <= 1:
            return np.asarray(sequence(buffer.data), np.uint8)
        # Large files keep constants behind everything else.
        end = buffer.offset + buffer.size
        if end > len(self._data):
            raise ValueError(
                f"The `.tflite` file is cut off: a constant ends at byte {end}."
                f" Received {len(self._data)} bytes."
            )
        return self._data[buffer.offset : end]


def text(name: bytes | None) -> str:
    """A name that a file has, fit to be shown."""
    decoded = (name or b"").decode(errors="replace")
    return "".join(c if c.isprintable() else "\ufffd" for c in decoded)


def sequence(values: Any) -> Any:
    """A vector of a file, which may have none in the place of an empty one."""
    return [] if values is None else values


def item(values: Any, index: int) -> Any:
    """An element of a vector of a file, by an index that the file has."""
    if not 0 <= index < len(sequence(values)):
        raise ValueError(
            f"The `.tflite` file is damaged: it refers to item {index} of "
            f"{len(sequence(values))}."
        )
    return values[index]


def shape(tensor: Any) -> tuple[int, ...]:
    """The shape of a tensor as it is stored."""
    return tuple(int(size) for size in sequence(tensor.shape))


def zero_point(tensor: Any) -> int:
    """The zero point of a tensor that has one for all its values, else 0."""
    points: Iterable[int] = sequence(
        getattr(tensor.quantization, "zeroPoint", None)
    )
    distinct = {int(point) for point in points}
    return distinct.pop() if len(distinct) == 1 else 0


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
