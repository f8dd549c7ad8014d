# SPDX-License-Identifier: Apache-2.0
"""Reads back what is in a `.tflite` file.

Any `.tflite` file can be read, not only those of this library.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from . import packing
from .op_schema import (
    CONV_2D,
    DEPTHWISE_CONV_2D,
    FULLY_CONNECTED,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    FullyConnectedOptions,
)
from .tflite_reader import Operator, Tensor, TfliteReader

_WeightOptions = Conv2DOptions | DepthwiseConv2DOptions | FullyConnectedOptions

_CUSTOM_OPTIONS: dict[str, type[_WeightOptions]] = {
    CONV_2D: Conv2DOptions,
    DEPTHWISE_CONV_2D: DepthwiseConv2DOptions,
    FULLY_CONNECTED: FullyConnectedOptions,
}
# Which operands of a builtin op are its input, weights and bias.
_BUILTIN_ROLES = {
    "CONV_2D": (0, 1, 2),
    "DEPTHWISE_CONV_2D": (0, 1, 2),
    "FULLY_CONNECTED": (0, 1, 2),
    "TRANSPOSE_CONV": (2, 1, 3),
}
# Packed weights take two bits, more where the last group is not full.
_PACKED_BITS = 2
_MAX_LEVELS = 17
"""Up to so many different weights are counted each for itself."""
_INTERVALS = 16


@dataclasses.dataclass(frozen=True)
class Bin:
    """How many weights have a value, or one of an interval.

    Attributes:
        low: The value, or where the interval begins.
        high: The same value, or where the interval ends.
        count: The number of weights.
    """

    low: float
    high: float
    count: int


@dataclasses.dataclass(frozen=True)
class Weights:
    """What the weights of an operator are.

    Attributes:
        count: Their number.
        zeros: How many of them are zero.
        bits: Bits that one takes in the file, without padding.
        bins: How often each value occurs, in ascending order; of many
            different ones, in intervals. Values are as stored, less the zero
            point. Weights that are no finite numbers are in none; nor are
            any where the intervals would be too narrow for float64.
    """

    count: int
    zeros: int
    bits: int
    bins: tuple[Bin, ...]


@dataclasses.dataclass(frozen=True)
class Offsets:
    """The thresholds of a custom operator, or the bias of a builtin one.

    Attributes:
        count: Their number.
        low: The smallest.
        high: The largest.
    """

    count: int
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class OpRow:
    """One operator of a file.

    Attributes:
        op: Name of the operator.
        is_custom: Whether it is a custom one, of this library or another.
        name: Name of its output tensor.
        input_shape: Shape of its input for one sample, as stored.
        output_shape: Shape of its output for one sample, as stored.
        constant_bytes: Bytes of its constants, weights and all.
        weight_bytes: Bytes of its weights.
        offset_bytes: Bytes of its thresholds or its bias.
        macs: Multiply-accumulates for one sample, 0 where there are none.
        weights: What its weights are, None without any that can be read.
        offsets: What its thresholds or its bias are, None without.
    """

    op: str
    is_custom: bool
    name: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    constant_bytes: int
    weight_bytes: int
    offset_bytes: int
    macs: int
    weights: Weights | None
    offsets: Offsets | None

    @property
    def zero_share(self) -> float | None:
        """Share of zero weights, None where `weights` is."""
        if self.weights is None:
            return None
        return self.weights.zeros / self.weights.count


@dataclasses.dataclass(frozen=True)
class Contents:
    """What is in a file.

    Attributes:
        rows: Its operators in order.
        description: Its own description.
        runtime: The first version of TensorFlow Lite that runs it, as it says
            itself; empty where it does not.
        file_bytes: Its size.
        weight_bytes: Bytes of weights; what operators share counts once.
        offset_bytes: Bytes of thresholds and biases, likewise.
        other_bytes: Bytes of all other constants, likewise.
    """

    rows: list[OpRow]
    description: str
    runtime: str
    file_bytes: int
    weight_bytes: int
    offset_bytes: int
    other_bytes: int

    @property
    def rest_bytes(self) -> int:
        """Names, shapes, options, and what fills up between constants."""
        constants = self.weight_bytes + self.offset_bytes + self.other_bytes
        return self.file_bytes - constants


def inspect(data: bytes) -> list[OpRow]:
    """Lists the operators of a `.tflite` file in order.

    Args:
        data: Content of a `.tflite` file, of this library or another one.

    Returns:
        A row per operator, those of further subgraphs behind.

    Raises:
        TypeError: If `data` is not of type `bytes`.
        ValueError: If the content is damaged, cut off, or no `.tflite` file.
    """
    return contents(data).rows


def contents(data: bytes) -> Contents:
    """Reads the operators of a `.tflite` file, and where its bytes go.

    Args:
        data: As for `inspect`.

    Raises:
        TypeError: If `data` is not of type `bytes`.
        ValueError: If the content is damaged, cut off, or no `.tflite` file.
    """
    if not isinstance(data, bytes):
        raise TypeError(
            "`data` must be the content of a file, `path.read_bytes()`. "
            f"Received: {type(data).__name__}"
        )
    try:
        return _contents(TfliteReader(data), len(data))
    except ValueError:
        raise
    except Exception as error:  # A damaged offset can lead anywhere.
        raise ValueError(
            "The `.tflite` file is damaged, or of a kind that this library "
            "does not know; export or download it again. "
            f"({type(error).__name__}: {error})"
        ) from error


def stored_bytes(data: bytes) -> dict[str, int]:
    """Bytes of the constants of a file by the name of their tensor.

    They are the data, of which several tensors that share them count the
    first only, and the quantization: 12 bytes a scale with its zero point.

    Args:
        data: Content of a file that `convert` wrote.
    """
    reader = TfliteReader(data)
    sizes: dict[str, int] = {}
    seen = set()
    for tensor in reader.tensors():
        constant = reader.constant(tensor)
        if constant is None:
            continue
        size = 12 * tensor.scales
        if tensor.buffer not in seen:
            seen.add(tensor.buffer)
            size += len(constant)
        sizes[tensor.name] = size
    return sizes


@dataclasses.dataclass(frozen=True)
class _Operands:
    """The tensors that an operator reads, by what they are to it."""

    x: Tensor | None
    weights: Tensor | None
    offsets: Tensor | None
    others: tuple[Tensor, ...]

    def kinds(self) -> list[tuple[str, Tensor]]:
        """Each tensor with its kind."""
        named = [("weight", self.weights), ("offset", self.offsets)]
        others = [("other", tensor) for tensor in (self.x, *self.others)]
        return [
            (kind, tensor)
            for kind, tensor in named + others
            if tensor is not None
        ]


def _contents(reader: TfliteReader, file_bytes: int) -> Contents:
    rows = []
    kinds: dict[int, str] = {}
    weights = _WeightsReader(reader)
    for op in reader.operators():
        operands = _operands(op)
        rows.append(_row(reader, weights, op, operands))
        for kind, tensor in operands.kinds():
            kinds.setdefault(tensor.buffer, kind)
    sizes = {"weight": 0, "offset": 0, "other": 0}
    for index, size in enumerate(reader.buffer_sizes()):
        sizes[kinds.get(index, "other")] += size
    if sum(sizes.values()) > file_bytes:
        raise ValueError(
            f"The `.tflite` file is damaged: it has {file_bytes} bytes and "
            f"says that its constants have {sum(sizes.values())}."
        )
    return Contents(
        rows=rows,
        description=reader.description,
        runtime=reader.runtime,
        file_bytes=file_bytes,
        weight_bytes=sizes["weight"],
        offset_bytes=sizes["offset"],
        other_bytes=sizes["other"],
    )


def _kind(op: Operator) -> str:
    """The name of an operator that this module knows, or an empty one."""
    known = _CUSTOM_OPTIONS if op.is_custom else _BUILTIN_ROLES
    return op.name if op.name in known else ""


def _operands(op: Operator) -> _Operands:
    kind = _kind(op)
    if kind in _CUSTOM_OPTIONS:
        roles = (0, 1, 2)
    else:  # Of an op without weights the first operand is its input.
        roles = _BUILTIN_ROLES.get(kind, (0, -1, -1))
    named = dict(enumerate(op.inputs))
    x, weights, offsets = (named.pop(role, None) for role in roles)
    others = tuple(tensor for tensor in named.values() if tensor is not None)
    return _Operands(x, weights, offsets, others)


def _row(
    reader: TfliteReader,
    weights: "_WeightsReader",
    op: Operator,
    operands: _Operands,
) -> OpRow:
    kind = _kind(op)
    output_shape = op.outputs[0].shape if op.outputs else ()
    options = None
    if kind in _CUSTOM_OPTIONS:
        if operands.x is None or operands.weights is None:
            raise ValueError(
                f"The `.tflite` file is damaged: {kind} has no input or no "
                "weights."
            )
        options = _CUSTOM_OPTIONS[kind].from_bytes(op.options)
    sizes = {"weight": 0, "offset": 0, "other": 0}
    for use, tensor in operands.kinds():
        constant = reader.constant(tensor)
        sizes[use] += 0 if constant is None else len(constant)
    return OpRow(
        op=op.name,
        is_custom=op.is_custom,
        name=op.outputs[0].name if op.outputs else "",
        input_shape=() if operands.x is None else operands.x.shape,
        output_shape=output_shape,
        constant_bytes=sum(sizes.values()),
        weight_bytes=sizes["weight"],
        offset_bytes=sizes["offset"],
        macs=_macs(kind, options, operands, output_shape),
        weights=weights.read(options, operands.weights),
        offsets=_offsets(reader, options, operands),
    )


class _WeightsReader:
    """Looks at weights once, however many operators share them."""

    def __init__(self, reader: TfliteReader) -> None:
        self._reader = reader
        self._known: dict[
            tuple[_WeightOptions | None, Tensor], Weights | None
        ] = {}

    def read(
        self, options: _WeightOptions | None, tensor: Tensor | None
    ) -> Weights | None:
        if tensor is None:
            return None
        key = (options, tensor)
        if key not in self._known:
            self._known[key] = _weights(self._reader, options, tensor)
        return self._known[key]


def _weights(
    reader: TfliteReader, options: _WeightOptions | None, tensor: Tensor
) -> Weights | None:
    values = reader.values(tensor)
    if values is None or not values.size:
        return None
    if options is not None:
        values, bits = _unpacked(options, values), _PACKED_BITS
    else:
        bits = reader.bits(tensor)
        if tensor.zero_point and np.issubdtype(values.dtype, np.integer):
            values = values.astype(np.int64) - tensor.zero_point
    return Weights(
        count=values.size,
        zeros=values.size - int(np.count_nonzero(values)),
        bits=bits,
        bins=_bins(values),
    )


def _offsets(
    reader: TfliteReader, options: _WeightOptions | None, operands: _Operands
) -> Offsets | None:
    x, weights, tensor = operands.x, operands.weights, operands.offsets
    values = None if tensor is None else reader.values(tensor)
    if values is None or not values.size:
        return None
    # Those for packed inputs are cut into their bits.
    if options is not None and x and weights and x.type == "INT32":
        values = np.stack(
            packing.unpack_thresholds(
                values.astype(np.int32),
                _output_channels(options),
                weights.shape[1] - 1,
            )
        )
    return Offsets(values.size, values.min().item(), values.max().item())


def _bins(values: npt.NDArray[Any]) -> tuple[Bin, ...]:
    values = values[np.isfinite(values)]
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) <= _MAX_LEVELS:
        return tuple(
            Bin(level, level, count)
            for level, count in zip(
                levels.tolist(), counts.tolist(), strict=True
            )
        )
    low, high = float(levels[0]), float(levels[-1])
    edges = np.linspace(low, high, _INTERVALS + 1)
    if not np.all(edges[1:] > edges[:-1]):
        return ()  # They are closer to each other than float64 can tell.
    sums, _ = np.histogram(levels.astype(np.float64), edges, weights=counts)
    return tuple(
        Bin(low, high, int(count))
        for low, high, count in zip(
            edges[:-1].tolist(), edges[1:].tolist(), sums, strict=True
        )
    )


def _output_channels(options: _WeightOptions) -> int:
    if isinstance(options, FullyConnectedOptions):
        return options.output_channels
    return options.result_channels


def _unpacked(
    options: _WeightOptions, records: npt.NDArray[Any]
) -> npt.NDArray[np.int8]:
    """The weights of a custom operator."""
    taps = records.shape[1] - 1
    if isinstance(options, FullyConnectedOptions):
        height, channels = 1, options.input_channels
    else:
        height, channels = options.kernel_height, options.tap_channels
    return packing.unpack_weights(
        records.astype(np.int32),
        _output_channels(options),
        height,
        taps // height // channels,
        channels,
    )


def _macs(
    kind: str,
    options: _WeightOptions | None,
    operands: _Operands,
    output_shape: tuple[int, ...],
) -> int:
    """Products of one sample, for an output of a shape with the batch."""
    x, weights = operands.x, operands.weights
    if x is None or weights is None:
        return 0
    if isinstance(options, FullyConnectedOptions):
        return (weights.shape[1] - 1) * options.output_channels
    if options is not None:
        height, width = x.shape[1:3]
        positions = math.prod(options.conv_size(height, width))
        return positions * options.depth * options.result_channels
    # Every weight is used once at each position of the output, that of a
    # transposed convolution at each of the input.
    at = x.shape if kind == "TRANSPOSE_CONV" else output_shape
    return math.prod(weights.shape) * math.prod(at[1:-1])
