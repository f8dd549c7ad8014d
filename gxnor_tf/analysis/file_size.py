# SPDX-License-Identifier: Apache-2.0
"""Predicts how many bytes a layer takes in an exported `.tflite` file.

The formulas follow the file format in `docs/design.md`. What a tensor or an
operator costs besides its data (names, shapes, options, alignment) are
rounded means of real files. What cannot be exported as integers counts as
float32.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gxnor_tf.discrete_space import DiscreteSpace

MAX_WINDOWS = 32
"""Saturating windows up to which export writes the builtin form."""

_FILE_OVERHEAD = 512  # A file without operators.
_ALIGNMENT = 64
_CUSTOM_CONV = 800
_CUSTOM_DENSE = 510
_BUILTIN_OP = 530
_SMALL_OP = 200  # An operator without constants.
_TAIL_OP = 300  # A multiplication with or addition of a vector.

# A bias is 4 bytes per channel; weights and bias have a float32 scale and an
# int64 zero point each.
_BUILTIN_CHANNEL = 4 + 2 * (4 + 8)


@dataclasses.dataclass(frozen=True)
class FileBytes:
    """Bytes in the two forms of a file.

    Attributes:
        custom: With gated-XNOR custom ops.
        builtin: With int8 builtin ops.
    """

    custom: int = 0
    builtin: int = 0

    def __add__(self, other: "FileBytes") -> "FileBytes":
        return FileBytes(
            self.custom + other.custom, self.builtin + other.builtin
        )


@dataclasses.dataclass(frozen=True, eq=False)
class KernelForm:
    """A kernel and what decides how it is written.

    Attributes:
        kernel: States, or float weights.
        space: Their space, None for float weights.
        output_axes: Axes of the kernel that number its outputs.
        is_conv: Whether it is a convolution: it has positions.
        input_space: Space of the inputs, None if they are not discrete.
        activation: Space of the activation that its sums are folded into,
            None if the sums themselves are needed.
    """

    kernel: npt.NDArray[Any]
    space: DiscreteSpace | None
    output_axes: tuple[int, ...]
    is_conv: bool
    input_space: DiscreteSpace | None
    activation: DiscreteSpace | None

    @property
    def outputs(self) -> int:
        """Output channels."""
        return math.prod(self.kernel.shape[axis] for axis in self.output_axes)

    @property
    def taps(self) -> int:
        """Weights of one output."""
        return self.kernel.size // self.outputs

    @property
    def windows(self) -> int:
        """Saturating int8 windows that give the sums exactly.

        1 for sums that are folded into an activation, or of float weights.
        """
        if self.space is None or self.activation is not None:
            return 1
        peak = 128 if self.input_space is None else self.input_space.max_state
        others = tuple(
            axis
            for axis in range(self.kernel.ndim)
            if axis not in self.output_axes
        )
        largest = np.abs(self.kernel.astype(np.int32)).sum(axis=others).max()
        return max(1, -(-peak * int(largest) // 127))


def kernel_bytes(form: KernelForm) -> FileBytes:
    """Bytes of an operator with a kernel, its thresholds included.

    Args:
        form: The kernel.
    """
    if form.space is None:
        size = _BUILTIN_OP + 4 * (form.kernel.size + form.outputs)
        return FileBytes(size, size)
    builtin = _builtin_bytes(form)
    spaces = [form.space, form.activation, form.input_space]
    if any(space is not None and space.n > 1 for space in spaces):
        # Only binary and ternary operands have a packed form.
        return FileBytes(builtin, builtin)
    return FileBytes(_custom_bytes(form), builtin)


def tail_bytes(steps: int, channels: int) -> FileBytes:
    """Bytes of float32 multiplications and additions behind the last sums.

    Args:
        steps: Their number.
        channels: Length of their vectors.
    """
    size = steps * (_TAIL_OP + 4 * channels)
    return FileBytes(size, size)


def pool_bytes() -> FileBytes:
    """Bytes of a max-pool, which is part of a custom convolution."""
    return FileBytes(0, 2 * _SMALL_OP)


def whole_file(layers: FileBytes) -> FileBytes:
    """The size of a file whose layers take these bytes together."""
    total = layers + FileBytes(_FILE_OVERHEAD, _FILE_OVERHEAD)
    # Files end at a multiple of the alignment of their constants.
    return FileBytes(
        -(-total.custom // _ALIGNMENT) * _ALIGNMENT,
        -(-total.builtin // _ALIGNMENT) * _ALIGNMENT,
    )


def _custom_bytes(form: KernelForm) -> int:
    groups = -(-form.outputs // 32)
    size = _CUSTOM_CONV if form.is_conv else _CUSTOM_DENSE
    size += 8 * groups * (form.taps + 1)
    if form.activation is None:
        return size + _SMALL_OP  # The sums are cast to float32.
    if form.input_space is None:
        return size + 8 * form.outputs
    # Bit-sliced: the smallest p with 2^(p-1) - 1 >= taps + 1.
    planes = (form.taps + 1).bit_length() + 1
    return size + 8 * groups * planes


def _builtin_bytes(form: KernelForm) -> int:
    windows = form.windows
    size = _BUILTIN_OP + windows * (
        form.kernel.size + _BUILTIN_CHANNEL * form.outputs
    )
    if form.activation is not None:
        return size
    size += _SMALL_OP  # The sums are dequantized.
    if windows > 1:
        size += _BUILTIN_OP + 4 * form.outputs * (windows * form.outputs + 1)
    return size
