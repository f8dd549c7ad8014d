# SPDX-License-Identifier: Apache-2.0
"""What operators and constants take in a `.tflite` file, added up by layer.

The data of constants follow from the file format. What an operator or a
tensor costs besides (its table, shape, options and a name of usual length) are
means that were fitted to real files.
"""

import collections
from collections.abc import Hashable

FILE_BYTES = 448
"""A file without operators: header, input, signature."""

_OP = 116  # An operator with the tensor that it gives.
_CONSTANT = 108  # The tensor of a constant, without data.
_OPERATOR_CODE = 56  # Once in a file for each kind of operator.
_SCALE = 4 + 8  # A float32 scale and an int64 zero point.
_BUFFER = 20  # Table and length of a constant's data.
_ALIGNMENT = 64

# What the options of some operators take besides.
_OPTIONS = {
    "GxnorConv2D": 430,
    "GxnorFullyConnected": 90,
    "GxnorPack": 50,
    "GxnorUnpack": 50,
    "CONV_2D": 24,
    "DEPTHWISE_CONV_2D": 24,
    "MAX_POOL_2D": 20,
    "RESHAPE": 20,
}


class FileSize:
    """Adds up a file, operator by operator.

    Attributes:
        by_layer: Bytes so far, by the layer that they are for.
        operators: How many there are of each kind.
    """

    def __init__(self) -> None:
        self.by_layer: collections.Counter[str] = collections.Counter()
        self.operators: collections.Counter[str] = collections.Counter()
        self._buffers: set[Hashable] = set()

    def operator(self, layer: str, kind: str) -> None:
        """Adds an operator and its output, without constants.

        Args:
            layer: The layer that it is for.
            kind: Its name in the schema, or its custom code.
        """
        self.by_layer[layer] += _OP + _OPTIONS.get(kind, 0)
        self.operators[kind] += 1
        if self.operators[kind] == 1:
            self.by_layer[layer] += _OPERATOR_CODE

    def constant(
        self, layer: str, size: int, scales: int = 0, data: Hashable = None
    ) -> None:
        """Adds a constant.

        Args:
            layer: The layer that it is for.
            size: Bytes of its data.
            scales: Scales of its quantization.
            data: What names its data. Constants with the same name have the
                same data, which the file has once.
        """
        self.by_layer[layer] += _CONSTANT + _SCALE * scales
        if data is None or data not in self._buffers:
            self._buffers.add(data)
            self.by_layer[layer] += _aligned(size + _BUFFER)

    @property
    def total(self) -> int:
        """Bytes of the whole file."""
        return _aligned(FILE_BYTES + sum(self.by_layer.values()))


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
