# SPDX-License-Identifier: Apache-2.0
"""The integer program: what a trained network computes, op by op.

`fusion` makes it from a Keras model; `reference.py` runs it; `lowering` writes
it as `.tflite` and `c_source` as C. All of them speak of the same arrays. A
value is either *states*, small integers that stand for `state * unit`, or
*reals*, float32.
"""

import dataclasses
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Float32Array: TypeAlias = npt.NDArray[np.float32]
Int8Array: TypeAlias = npt.NDArray[np.int8]
Int32Array: TypeAlias = npt.NDArray[np.int32]


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

    def padded(self, padding: tuple[int, int, int, int]) -> "Window":
        """The same window with more padding."""
        top, bottom, left, right = (
            a + b for a, b in zip(self.padding, padding, strict=True)
        )
        return dataclasses.replace(self, padding=(top, bottom, left, right))

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
class Tensor:
    """A value between two ops, for one sample.

    Attributes:
        name: Unique name.
        shape: `(channels,)`, `(height, width, channels)`, or for an input or
            output of the program any shape.
        unit: Value of the state 1; None for reals.
        peak: Largest magnitude of a state.
        layer: The Keras layer whose output this is, or None.
        flipped: bool `(channels,)`: channels that hold the *negated* output of
            that layer; None if there are none.
        exact: Whether it equals Keras' value bit for bit. States derived from
            a value that is not are not, either.
    """

    name: str
    shape: tuple[int, ...]
    unit: float | None = None
    peak: int = 0
    layer: str | None = None
    flipped: npt.NDArray[np.bool_] | None = None
    exact: bool = True

    @property
    def is_states(self) -> bool:
        """Whether the value is integer."""
        return self.unit is not None


@dataclasses.dataclass(frozen=True, eq=False)
class Thresholds:
    """Discrete activation of an integer sum: a staircase per channel.

    `state = lowest + stride * #{k : sum >= steps[k]}`. A ternary activation
    has two steps and starts at -1, a binary one has one step of stride 2.

    Attributes:
        steps: int32 `(number, channels)`, ascending along the first axis.
        stride: Distance of neighbouring states, 2 for binary.
    """

    steps: Int32Array
    stride: int = 1

    @property
    def lowest(self) -> int:
        """The smallest state, the negative of the largest."""
        return -self.stride * len(self.steps) // 2

    @property
    def pairs(self) -> list[tuple[Int32Array, Int32Array]]:
        """The staircase as a sum of ternary ones, `(low, high)` of each.

        `+1 if sum >= high, -1 if sum < low, else 0`; binary is the one in
        which both are equal.
        """
        last = len(self.steps) - 1
        return [
            (self.steps[last - k], self.steps[k])
            for k in range(last, (last - 1) // 2, -1)
        ]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class KernelOp:
    """What convolutions and fully connected ops have in common.

    A fully connected op is the convolution whose kernel covers the whole
    input.

    Attributes:
        name: Name of the Keras layer that holds the weights.
        input: `(height, width, channels)` or `(channels,)`.
        output: The value it gives.
        kernel: `(outputs, height, width, inputs / groups)`.
        window: How the kernel slides.
        groups: Output channel o sees the input channels of group
            `o // (outputs / groups)`; as many groups as inputs is a depthwise
            convolution.
        fully_connected: Whether the kernel covers the input; the output then
            has no height and width.
    """

    name: str
    input: Tensor
    output: Tensor
    kernel: Int8Array | Float32Array
    window: Window
    groups: int = 1
    fully_connected: bool = False

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The values it reads."""
        return (self.input,)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of the input."""
        return image_shape(self.input.shape)

    @property
    def sums_size(self) -> tuple[int, int]:
        """Height and width of the sums."""
        return self.window.output_size(*self.input_shape[:2])

    @property
    def sums_shape(self) -> tuple[int, ...]:
        """Shape of the sums: `(outputs,)` or with height and width."""
        outputs = len(self.kernel)
        if self.fully_connected:
            return (outputs,)
        return (*self.sums_size, outputs)

    @property
    def depthwise(self) -> bool:
        """Whether every output sees one input channel."""
        return self.groups > 1 and self.kernel.shape[3] == 1


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class DiscreteOp(KernelOp):
    """Convolution or fully connected op on states, with integer weights.

    The sums go through `thresholds` and then through `pool`, a max-pool of
    states. Without thresholds the sums themselves are the output: as float32
    if the output is reals, else as states.

    Attributes:
        kernel: int8.
        thresholds: None if the output is the sums.
        pool: None without pooling.
    """

    kernel: Int8Array
    thresholds: Thresholds | None = None
    pool: Window | None = None

    @property
    def depth(self) -> int:
        """Taps of one sum."""
        return int(np.prod(self.kernel.shape[1:]))

    @property
    def bound(self) -> int:
        """No sum is larger than this in magnitude."""
        weights = int(np.abs(self.kernel.astype(np.int64)).max(initial=0))
        return self.depth * self.input.peak * max(1, weights)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FloatOp(KernelOp):
    """Convolution or fully connected op on reals, in float32.

    Its kernel is float32, or int8 states.
    """


AffineKind = Literal["multiply", "add", "divide"]


@dataclasses.dataclass(frozen=True, eq=False)
class Affine:
    """One float32 step per channel.

    Attributes:
        kind: `"multiply"`, `"add"` or `"divide"`.
        operand: float32 `(channels,)`.
    """

    kind: AffineKind
    operand: Float32Array


@dataclasses.dataclass(frozen=True, eq=False)
class SimpleOp:
    """An op that needs few words.

    | kind | inputs -> output |
    |---|---|
    | `add` | two values of one kind and unit -> their sum |
    | `concatenate` | values of one kind and unit -> their channels in order |
    | `dilate` | any -> the same with zeros between, `window.strides` apart |
    | `pad` | any -> the same with zeros around, `window.padding` |
    | `reshape` | any -> the same in another shape |
    | `max_pool` | any -> the maximum in each `window` |
    | `average_pool` | reals -> the mean in each `window`, borders clipped |
    | `mean` | reals -> the mean over height and width |
    | `dequantize` | states -> `state * unit` |
    | `quantize` | reals -> states of the output's unit, rounded and clipped |
    | `discretize` | reals -> states by `steps`, see there |
    | `affine` | reals -> reals, by `affine` |
    | `relu` | reals -> `max(x, 0)` |
    | `softmax` | reals -> softmax over the channels |

    Attributes:
        kind: See above.
        inputs: The values it reads.
        output: The value it gives.
        window: Of `dilate`, `pad` and the pools.
        affine: Of `affine`.
        steps: Of `discretize`, float32 `(number,)`: the state is `sign(x) *
            #{k : |x| > steps[k]}`, or for none of them, binary, the sign of x
            with that of 0 positive.
    """

    kind: str
    inputs: tuple[Tensor, ...]
    output: Tensor
    window: Window | None = None
    affine: Affine | None = None
    steps: Float32Array | None = None


Op: TypeAlias = DiscreteOp | FloatOp | SimpleOp


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """A network op by op.

    Attributes:
        input: The int8 input, in the shape that Keras has it.
        ops: In an order in which every value is there before it is read.
        output: The output, in the shape that Keras has it.
    """

    input: Tensor
    ops: tuple[Op, ...]
    output: Tensor

    @property
    def activations(self) -> dict[str, Tensor]:
        """The states that are a Keras layer's output, by that layer."""
        return {
            op.output.layer: op.output
            for op in self.ops
            if op.output.is_states and op.output.layer is not None
        }

    @property
    def named_outputs(self) -> dict[str, Tensor]:
        """The output, then the activations, by the names that files use."""
        output = self.output
        return {output.layer or output.name: output} | {
            layer: tensor
            for layer, tensor in self.activations.items()
            if layer != output.layer
        }

    @property
    def discrete_ops(self) -> list[DiscreteOp]:
        """The ops with integer weights, in order."""
        return [op for op in self.ops if isinstance(op, DiscreteOp)]


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """`(height, width, channels)` of a value with or without them."""
    height, width, channels = shape if len(shape) == 3 else (1, 1, shape[-1])
    return height, width, channels
