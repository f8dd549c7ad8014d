# SPDX-License-Identifier: Apache-2.0
"""The integer program: what a trained network computes, in integers only.

`fusion.py` makes it from a Keras model; `reference.py` runs it; `lowering.py`
writes it as `.tflite`. All three speak of the same arrays.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
Int8Array = npt.NDArray[np.int8]
Int32Array = npt.NDArray[np.int32]


@dataclasses.dataclass(frozen=True)
class Window:
    """A window that slides over height and width.

    Attributes:
        size: Taps in height and width.
        strides: Strides in height and width.
        dilation: Distance of neighbouring taps.
        padding: Rows and columns added at (top, bottom, left, right).
    """

    size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the output."""
        lengths = []
        for axis, length in enumerate((height, width)):
            padded = length + sum(self.padding[2 * axis : 2 * axis + 2])
            extent = (self.size[axis] - 1) * self.dilation[axis] + 1
            lengths.append((padded - extent) // self.strides[axis] + 1)
        return lengths[0], lengths[1]

    @classmethod
    def from_keras(
        cls,
        size: tuple[int, int],
        strides: tuple[int, int],
        padding: str,
        input_size: tuple[int, int],
        dilation: tuple[int, int] = (1, 1),
    ) -> "Window":
        """Makes `"valid"` or `"same"` padding explicit for an input size."""
        pads = [0, 0, 0, 0]
        if padding == "same":
            for axis in range(2):
                extent = (size[axis] - 1) * dilation[axis] + 1
                outputs = -(-input_size[axis] // strides[axis])
                missing = (outputs - 1) * strides[axis] + extent
                total = max(missing - input_size[axis], 0)
                pads[2 * axis : 2 * axis + 2] = total // 2, total - total // 2
        return cls(
            size, strides, dilation, (pads[0], pads[1], pads[2], pads[3])
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Thresholds:
    """Ternary activation of an integer sum, one pair per channel.

    `y = +1 if sum >= high, -1 if sum < low, else 0`, with `low <= high`.

    Attributes:
        high: int32 `(channels,)`.
        low: int32 `(channels,)`.
    """

    high: Int32Array
    low: Int32Array


@dataclasses.dataclass(frozen=True, eq=False)
class DiscreteOp:
    """Convolution or fully connected op with ternary weights.

    The sums go through `thresholds`, if there are any, and then through
    `pool`, a max-pool of ternary states. A fully connected op is the
    convolution whose kernel covers the whole input.

    Attributes:
        name: Name of the Keras layer that holds the weights.
        kernel: int8 states `(outputs, height, width, inputs)`.
        window: How the kernel slides.
        input_shape: `(height, width, channels)` of the input.
        fully_connected: Whether the kernel covers the input; the output then
            has no height and width.
        thresholds: None for the last op, whose output is its sums.
        pool: None without pooling.
        output_name: Keras layer whose output the op reproduces.
        flipped: bool `(outputs,)`: where the op gives the *negated* output of
            that layer, which the next op's weights make up for.
    """

    name: str
    kernel: Int8Array
    window: Window
    input_shape: tuple[int, int, int]
    fully_connected: bool
    thresholds: Thresholds | None
    pool: Window | None
    output_name: str
    flipped: npt.NDArray[np.bool_]

    @property
    def depth(self) -> int:
        """Taps of one sum."""
        return int(np.prod(self.kernel.shape[1:]))

    @property
    def sums_size(self) -> tuple[int, int]:
        """Height and width before pooling."""
        return self.window.output_size(*self.input_shape[:2])

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of the output."""
        size = self.sums_size
        if self.pool is not None:
            size = self.pool.output_size(*size)
        return (*size, self.kernel.shape[0])

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations, zero and padded ones included."""
        height, width = self.sums_size
        return height * width * self.kernel.size


@dataclasses.dataclass(frozen=True, eq=False)
class Affine:
    """One float32 step of the tail, per channel: multiply or add.

    Attributes:
        kind: `"multiply"` or `"add"`.
        operand: float32 `(channels,)`.
    """

    kind: str
    operand: Float32Array


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """A network in integers.

    Attributes:
        input_name: Name of the input.
        input_shape: Shape of one sample, as Keras has it.
        input_scale: Value of the int8 input 1, a power of two.
        ops: In order; all but the last have thresholds, the last may.
        tail: float32 steps on the last op's sums, in Keras' own order. Empty
            if the last op has thresholds.
        output_name: Name of the output.
    """

    input_name: str
    input_shape: tuple[int, ...]
    input_scale: float
    ops: tuple[DiscreteOp, ...]
    tail: tuple[Affine, ...]
    output_name: str
