# SPDX-License-Identifier: Apache-2.0
"""What operators and constants take in a `.tflite` file, added up by layer.

The data of constants follow from the file format. What an operator or a
tensor costs besides (its table, shape, options and a name of usual length) are
means, fitted to the files of some dozens of nets by least squares.
"""

import collections
from collections.abc import Hashable

_FILE = 468  # Header, input and signature, without operators.
_OPERATOR = 105  # With the tensor that it gives.
_STATES = 49  # The quantization of a tensor of int8 states.
_CONSTANT = 107  # The tensor of a constant, without data.
_OPERATOR_CODE = 68  # Once in a file for each kind of operator.
_SCALE = 4 + 8  # A float32 scale and an int64 zero point.
_BUFFER = 20  # Table and length of a constant's data.
_ALIGNMENT = 64

# What the options of some operators take besides.
_OPTIONS = {
    "GxnorConv2D": 381,
    "GxnorFullyConnected": 30,
    "GxnorPack": 76,
    "GxnorUnpack": 76,
    "ADD": 29,
    "CONV_2D": 49,
    "DEPTHWISE_CONV_2D": 49,
}


class FileSize:
    """Adds up a file, operator by operator.

    >>> size = FileSize()
    >>> size.constant("dense", 640, scales=10)
    >>> size.operator("dense", "FULLY_CONNECTED", states=True)
    >>> 640 < size.by_layer["dense"] < size.total < 2000
    True

    Attributes:
        by_layer: Bytes so far, by the layer that they are for.
        operators: How many there are of each kind.
    """

    def __init__(self) -> None:
        self.by_layer: collections.Counter[str] = collections.Counter()
        self.operators: collections.Counter[str] = collections.Counter()
        self._buffers: set[Hashable] = set()

    def operator(self, layer: str, kind: str, states: bool = False) -> None:
        """Adds an operator and its output, without constants.

        Args:
            layer: The layer that it is for.
            kind: Its name in the schema, or its custom code.
            states: Whether it gives int8 states.
        """
        self.by_layer[layer] += _OPERATOR + _OPTIONS.get(kind, 0)
        self.by_layer[layer] += _STATES if states else 0
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
        return _aligned(_FILE + sum(self.by_layer.values()))


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
