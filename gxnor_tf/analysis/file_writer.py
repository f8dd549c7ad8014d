# SPDX-License-Identifier: Apache-2.0
"""The operators that layers become in a `.tflite` file, for their size only.

`exported_file` decides what is one operator; this module knows which operators
of the file that takes, in the builtin and in the custom form.
"""

import dataclasses
import math
from collections.abc import Hashable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

from gxnor_tf.analysis.file_size import FileSize
from gxnor_tf.discrete_space import DiscreteSpace

# Limits of int8 operators: the largest product of a weight and its gain, the
# least gain that leaves fixed-point rounding enough room, the largest sum that
# requantization tells from its neighbours, and the windows of int8 sums.
_MAX_INT8 = 127
_MAX_GAIN = 64
_MIN_GAIN = 4
_MAX_INT8_SUM = 2**20
_MAX_WINDOWS = 32

Affine: TypeAlias = tuple[str, int]
"""A float32 step: its operator, and the length of its operand."""


@dataclasses.dataclass(eq=False)
class Value:
    """A value that an operator gives.

    Attributes:
        shape: `(channels,)` or `(height, width, channels)`.
        unit: Value of the state 1; None for real numbers.
        peak: Largest state.
        forms: How the file has states: `"int8"`, `"packed"` words.
        scaled: Whether its int8 form has another scale than 1.
        flipped: Whether some channels hold the negated value.
        flat: Whether Keras has it flattened.
        padding: Zeros around it that are still to come, before and behind for
            height and width; empty for none.
        pool_joins: Whether an activation gives it that a pool behind can
            become a part of.
    """

    shape: tuple[int, ...]
    unit: float | None = None
    peak: int = 0
    forms: set[str] = dataclasses.field(default_factory=set)
    scaled: bool = False
    flipped: bool = False
    flat: bool = False
    padding: tuple[tuple[int, int], ...] = ()
    pool_joins: bool = False

    @property
    def is_states(self) -> bool:
        """Whether it is integer."""
        return self.unit is not None

    @property
    def channels(self) -> int:
        """Size of its last axis."""
        return self.shape[-1]


@dataclasses.dataclass(frozen=True, eq=False)
class Sums:
    """Sums with a kernel that no operator gives yet, and what follows them.

    Attributes:
        layer: The layer that has them.
        source: What is summed.
        kernel: `(outputs, taps)`, states or float32.
        shape: Of the sums, later behind a pool.
        groups: Of the convolution.
        depthwise: Whether every output sees one input channel.
        explicit_pad: Whether its padding is not that of the operator.
        affines: Float32 steps behind the sums.
        steps: Layers behind, with their names.
        unit: If the value is `sum * unit`; else None.
        flat: Whether Keras has it flattened.
    """

    layer: str
    source: Value
    kernel: npt.NDArray[Any]
    shape: tuple[int, ...]
    groups: int = 1
    depthwise: bool = False
    explicit_pad: bool = False
    affines: tuple[Affine, ...] = ()
    steps: tuple[tuple[str, keras.layers.Layer], ...] = ()
    unit: float | None = None
    flat: bool = False

    @property
    def outputs(self) -> int:
        """Output channels."""
        return len(self.kernel)

    @property
    def peak_weight(self) -> int:
        """Largest magnitude of a weight."""
        return int(np.abs(self.kernel.astype(np.int64)).max(initial=1))

    @property
    def largest(self) -> int:
        """The largest sum that the weights allow."""
        rows = np.abs(self.kernel.astype(np.int64)).sum(1)
        return int(rows.max(initial=0)) * self.source.peak

    @property
    def fully_connected(self) -> bool:
        """Whether it gives one vector of all inputs."""
        return len(self.shape) == 1

    @property
    def stored_weights(self) -> int:
        """Weights in the file: grouped kernels are written as dense ones."""
        return self.kernel.size * (1 if self.depthwise else self.groups)

    @property
    def data(self) -> Hashable:
        """Names the kernel; a layer that is called twice has it once."""
        return self.kernel.shape, hash(self.kernel.tobytes())


class FileWriter:
    """Adds up the operators of one form of a file.

    Args:
        custom: Whether gated-XNOR operators are used where they can be.

    Attributes:
        size: The file.
    """

    def __init__(self, custom: bool) -> None:
        self.custom = custom
        self.size = FileSize()

    def operator(
        self, layer: str, kind: str, *constants: int, states: bool = False
    ) -> None:
        """An operator with constants of so many bytes, for int8 or not."""
        for size in constants:
            self.size.constant(layer, size)
        self.size.operator(layer, kind, states)

    # Forms of values.

    def int8(self, layer: str, value: Value) -> None:
        """States as int8."""
        if "int8" not in value.forms:
            self.operator(layer, "GxnorUnpack", states=True)
            value.forms.add("int8")

    def packed(self, layer: str, value: Value) -> None:
        """States as packed words."""
        if "packed" not in value.forms:
            self.operator(layer, "GxnorPack")
            value.forms.add("packed")

    def numbers(self, layer: str, value: Value) -> None:
        """States as float32, not yet multiplied by their unit."""
        self.int8(layer, value)
        self.operator(layer, "DEQUANTIZE")
        if value.scaled:
            self.operator(layer, "MUL", 4)

    def unscaled(self, layer: str, value: Value) -> None:
        """States as int8 with the scale 1."""
        if value.scaled:
            self.numbers(layer, value)
            self.operator(layer, "QUANTIZE", states=True)
        else:
            self.int8(layer, value)

    def only_packed(self, values: Sequence[Value]) -> bool:
        """Whether none of the values is there as int8."""
        return all(value.forms == {"packed"} for value in values)

    def pad(self, layer: str, states: bool) -> None:
        """Zeros around a value: four pairs of int32."""
        self.operator(layer, "PAD", 32, states=states)

    def reshape(self, layer: str, rank: int, states: bool) -> None:
        """Another shape: an int32 for each axis and the batch."""
        self.operator(layer, "RESHAPE", 4 * (rank + 1), states=states)

    # Sums.

    def write_sums(self, sums: Sums) -> None:
        """The sums as float32."""
        if self._is_gated(sums):
            self._gated(sums)
            self.operator(sums.layer, "CAST")
            return
        # An int8 result saturates; shifted copies of the operator cover the
        # line, and a matrix of ones and zeros adds them.
        windows = max(1, -(-sums.largest // _MAX_INT8))
        if windows > _MAX_WINDOWS or (windows > 1 and sums.groups > 1):
            self._float_sums(sums)
            return
        self.int8_sums(sums, windows)
        self.operator(sums.layer, "DEQUANTIZE")
        if windows > 1:
            layer, outputs = sums.layer, sums.outputs
            # All layers of so many outputs and windows share the matrix.
            adder = ("adder", outputs, windows)
            self.size.constant(layer, 4 * windows * outputs**2, data=adder)
            self._zeros(layer, outputs)
            kind = "FULLY_CONNECTED" if sums.fully_connected else "CONV_2D"
            self.operator(layer, kind)

    def write_activation(self, sums: Sums, space: DiscreteSpace) -> str:
        """The sums closed by a discrete activation; gives its form."""
        steps = space.num_states - 1
        if self._is_gated(sums):
            if steps <= 2:
                self._gated(sums, closed=True)
                return "packed"
            self._gated(sums)
            self.operator(sums.layer, "CAST")
            self._float_staircase(sums, space)
        elif self._fits_int8(sums):
            # A staircase is a sum of ternary ones with the same weights.
            for number in range(-(-steps // 2)):
                self.int8_sums(sums)
                if number:
                    self.operator(sums.layer, "ADD", states=True)
        else:
            self._float_sums(sums)
            self._float_staircase(sums, space)
        return "int8"

    def float_kernel(self, sums: Sums) -> None:
        """A float32 operator; discrete weights are stored as int8."""
        layer, states = sums.layer, sums.kernel.dtype == np.int8
        item = 1 if states else 4
        self.size.constant(
            layer, item * sums.stored_weights, int(states), ("float", sums.data)
        )
        if states:
            self.operator(layer, "DEQUANTIZE")
        self._zeros(layer, sums.outputs)
        self._kernel_operator(sums, states=False)

    def int8_sums(self, sums: Sums, windows: int = 1) -> None:
        """An int8 operator with a scale, and a bias, for every channel."""
        layer, channels = sums.layer, windows * sums.outputs
        self.int8(layer, sums.source)
        self.size.constant(
            layer,
            windows * sums.stored_weights,
            channels,
            ("int8", windows, sums.data),
        )
        self.size.constant(layer, 4 * channels, channels)
        self._kernel_operator(sums, states=True)

    def _kernel_operator(self, sums: Sums, states: bool) -> None:
        layer, is_vector = sums.layer, len(sums.source.shape) == 1
        if sums.fully_connected and not sums.depthwise:
            self.operator(layer, "FULLY_CONNECTED", states=states)
            return
        if is_vector:
            self.reshape(layer, 3, states)
        if sums.explicit_pad:
            self.pad(layer, states)
        kind = "DEPTHWISE_CONV_2D" if sums.depthwise else "CONV_2D"
        self.operator(layer, kind, states=states)
        if is_vector:
            self.reshape(layer, 1, states)

    def _zeros(self, layer: str, outputs: int) -> None:
        """A bias of float32 zeros."""
        self.size.constant(layer, 4 * outputs, data=("zeros", outputs))

    def _float_sums(self, sums: Sums) -> None:
        self.numbers(sums.layer, sums.source)
        self.float_kernel(sums)

    def _float_staircase(self, sums: Sums, space: DiscreteSpace) -> None:
        """Doubled sums, a sign and an addition for each step, a factor."""
        layer, steps = sums.layer, space.num_states - 1
        self.operator(layer, "ADD")
        for number in range(steps):
            self.operator(layer, "ADD", 4 * sums.outputs)
            if number:
                self.operator(layer, "ADD")
        if space.n:
            self.operator(layer, "MUL", 4)
        self.operator(layer, "QUANTIZE", states=True)

    def _is_gated(self, sums: Sums) -> bool:
        return self.custom and sums.groups == 1 and sums.peak_weight <= 1

    def _gated(self, sums: Sums, closed: bool = False) -> None:
        layer, source = sums.layer, sums.source
        groups, taps = -(-sums.outputs // 32), sums.kernel.shape[1]
        records = 8 * groups * (taps + 1)
        if source.peak == 1:
            self.packed(layer, source)
        else:
            self.int8(layer, source)
        self.size.constant(layer, records, data=("packed", sums.data))
        if closed:
            # Bit-sliced: the smallest p with 2^(p-1) - 1 >= taps + 1.
            planes = (taps + 1).bit_length() + 1
            pairs = 8 * sums.outputs
            self.size.constant(
                layer, 8 * groups * planes if source.peak == 1 else pairs
            )
        self.operator(
            layer,
            "GxnorFullyConnected" if sums.fully_connected else "GxnorConv2D",
        )

    def _fits_int8(self, sums: Sums) -> bool:
        gain = _MAX_GAIN
        while gain > 1 and gain * sums.peak_weight > _MAX_INT8:
            gain //= 2
        bound = sums.kernel.shape[1] * sums.source.peak * sums.peak_weight
        return gain >= _MIN_GAIN and bound <= _MAX_INT8_SUM


def fits_states(sums: Sums) -> bool:
    """Whether sums themselves fit an int8 exactly."""
    unit = sums.unit
    return (
        unit is not None
        and math.frexp(unit)[0] == 0.5
        and sums.largest <= _MAX_INT8
    )
