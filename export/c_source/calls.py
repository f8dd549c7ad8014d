# SPDX-License-Identifier: Apache-2.0
"""A program as calls of C kernels, and what has no such form.

The integers come first: every op up to the last sums or states is a call of a
kernel on packed states. What is left, the tail, is a chain of float32 steps on
the output.
"""

import dataclasses
import math

import numpy as np

from .. import gated_ops, packing
from ..graph import ExportError
from ..op_schema import packed_size
from ..program import (
    DiscreteOp,
    FloatOp,
    Int32Array,
    Program,
    SimpleOp,
    Tensor,
    Thresholds,
    image_shape,
)

INPUT, OUTPUT = "/in", "/out"
"""The values that the caller of the model holds; no layer has such a name."""

_CURES = {
    "add": "Join the branches with a Concatenate instead.",
    "average_pool": "Use a MaxPooling2D.",
    "discretize": "Put a discrete layer before the activation.",
    "mean": "Use a Flatten and a DiscreteDense.",
    "quantize": "Use discrete layers all through.",
    "softmax": "Leave it out: the largest score stays the largest.",
}
_OR_TFLITE = "Or export a .tflite, which can hold it."


@dataclasses.dataclass(frozen=True, eq=False)
class Constant:
    """An array that a call reads in flash.

    Attributes:
        role: `"weights"` or `"thresholds"`.
        words: The array.
        signed: Whether its elements are signed numbers, not words of bits.
    """

    role: str
    words: Int32Array
    signed: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """A call of a kernel.

    Attributes:
        layer: The Keras layer, or what else the op is called.
        kernel: The function.
        params: Its parameters, by the names of the C structure; none for
            `place`, the one function that the model brings itself.
        inputs: The values that it reads.
        output: The value that it writes.
        constants: Its arrays in flash, in the order of its arguments.
        places: Of `place`: where each input goes.
        macs: Products it stands for.
    """

    layer: str
    kernel: str
    params: dict[str, int]
    inputs: tuple[str, ...]
    output: str
    constants: tuple[Constant, ...] = ()
    places: tuple["Placement", ...] = ()
    macs: int = 0

    @property
    def flash_bytes(self) -> int:
        """Bytes of its constants."""
        return sum(constant.words.nbytes for constant in self.constants)


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where the positions of an image go in a larger one, in words.

    Attributes:
        height: Rows of the image.
        width: Columns of the image.
        words: Words of one position.
        first: Word to which the first one goes.
        shift: Bits by which all words are shifted, there.
        column_step: Words from a column to the next, there.
        row_step: Words from a row to the next, there.
    """

    height: int
    width: int
    words: int
    first: int
    shift: int
    column_step: int
    row_step: int


@dataclasses.dataclass(frozen=True)
class Held:
    """States as they lie in memory.

    Attributes:
        name: The value that holds them; a reshape leaves them where they are.
        positions: How many positions.
        channels: Channels of each position.
    """

    name: str
    positions: int
    channels: int

    @property
    def words(self) -> int:
        """Words of all positions, packed."""
        return self.positions * packed_size(self.channels)


@dataclasses.dataclass(frozen=True, eq=False)
class Calls:
    """A program in calls.

    Attributes:
        calls: The calls, in order.
        held: The packed values, by name.
        outputs: Elements of the output.
        gives_states: Whether the output is int8 states, else int32 sums.
        tail: The float32 steps behind it, in order; a `dequantize` is one.
    """

    calls: tuple[Call, ...]
    held: dict[str, Held]
    outputs: int
    gives_states: bool
    tail: tuple[SimpleOp, ...]


def make_calls(program: Program) -> Calls:
    """Finds the calls of a program.

    Raises:
        ExportError: If an op has no C form; the text names the layer and the
            cure.
    """
    return _Caller(program).made()


class _Caller:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._calls: list[Call] = []
        self._held: dict[str, Held] = {}  # By the program's tensor.
        # The steps to a real value from the sums or states it begins with.
        self._tails: dict[str, tuple[SimpleOp, ...]] = {}
        shape = program.input.shape
        self._held[program.input.name] = Held(
            INPUT, math.prod(shape[:-1]), shape[-1]
        )

    def made(self) -> Calls:
        program = self._program
        for op in program.ops:
            if isinstance(op, DiscreteOp):
                self._discrete(op)
            elif isinstance(op, FloatOp):
                raise ExportError(
                    f"`{op.name}` computes with reals, which the C source "
                    "cannot. Use a discrete layer behind a discrete "
                    f"activation. {_OR_TFLITE}"
                )
            elif op.output.is_states:
                self._states(op)
            else:
                self._float_step(op)
        end = program.output
        tail: tuple[SimpleOp, ...] = ()
        if not end.is_states:
            tail = self._tails[end.name]
            if tail and tail[0].kind == "dequantize":
                end = tail[0].inputs[0]
        if end.is_states:
            self._unpack(end)
        return Calls(
            tuple(self._calls),
            {
                held.name: held
                for held in self._held.values()
                if held.name != INPUT
            },
            math.prod(program.output.shape),
            end.is_states,
            tail,
        )

    # Ops.

    def _discrete(self, op: DiscreteOp) -> None:
        if op.thresholds is None and op.output.is_states and op.bound <= 1:
            # Such sums are states: the ternary activation of themselves.
            steps = np.repeat([[0], [1]], len(op.kernel), 1).astype(np.int32)
            op = dataclasses.replace(op, thresholds=Thresholds(steps))
        sums = op.thresholds is None
        # In C it is the convolution whose kernel covers the input.
        conv = dataclasses.replace(op, fully_connected=False)
        _check_discrete(conv)
        height, width, channels = op.input_shape
        packed = op.input.peak == 1
        source = self._read(op.input, channels if packed else None, op.name)
        # Whatever else has more levels was refused where it was made.
        assert packed != (source.name == INPUT)
        params = dataclasses.asdict(gated_ops.weight_options(conv))
        if op.depthwise:
            params["input_channels"] = params.pop("channels")
            params["output_channels"] = params["input_channels"]
        constants = [Constant("weights", packing.pack_weights(op.kernel))]
        if not sums:
            thresholds = gated_ops.packed_thresholds(op)
            constants.append(Constant("thresholds", thresholds, not packed))
        name = "depthwise_conv2d" if op.depthwise else "conv2d"
        self._calls.append(
            Call(
                layer=op.name,
                kernel=f"gxnor_{name}_{'t2' if packed else 's8'}_"
                + ("s32" if sums else "t2"),
                params={
                    "batches": 1,
                    "input_height": height,
                    "input_width": width,
                    **params,
                },
                inputs=(source.name,),
                output=OUTPUT if sums else op.output.name,
                constants=tuple(constants),
                macs=math.prod(op.sums_size) * op.depth * len(op.kernel),
            )
        )
        if sums:
            self._tails[op.output.name] = ()
        else:
            self._hold(op.output)

    def _states(self, op: SimpleOp) -> None:
        if op.kind == "reshape":
            self._held[op.output.name] = self._held[op.inputs[0].name]
        elif op.kind == "max_pool":
            self._max_pool(op)
        elif op.kind == "concatenate":
            self._concatenate(op)
        elif op.kind in ("pad", "dilate"):
            self._spread(op)
        else:
            raise _no_form(op)

    def _max_pool(self, op: SimpleOp) -> None:
        assert op.window is not None
        height, width, channels = image_shape(op.inputs[0].shape)
        options = gated_ops.pool_options(channels, op.window)
        self._calls.append(
            Call(
                layer=_layer(op.output),
                kernel="gxnor_max_pool2d_t2",
                params={
                    "batches": 1,
                    "input_height": height,
                    "input_width": width,
                    **dataclasses.asdict(options),
                },
                inputs=(self._packed(op.inputs[0], op).name,),
                output=op.output.name,
            )
        )
        self._hold(op.output)

    def _concatenate(self, op: SimpleOp) -> None:
        self._hold(op.output)
        words = packed_size(op.output.shape[-1])
        positions = math.prod(op.output.shape[:-1])
        places, first = [], 0
        for tensor in op.inputs:
            own = packed_size(tensor.shape[-1])
            group, shift = divmod(first, 32)
            places.append(
                Placement(1, positions, own, 2 * group, shift, words, 0)
            )
            first += tensor.shape[-1]
        self._place(op, places)

    def _spread(self, op: SimpleOp) -> None:
        """A `pad` or `dilate`."""
        assert op.window is not None
        height, width, channels = image_shape(op.inputs[0].shape)
        row = image_shape(op.output.shape)[1]
        words = packed_size(channels)
        self._hold(op.output)
        top, _, left, _ = op.window.padding
        down, right = op.window.strides
        self._place(
            op,
            [
                Placement(
                    height,
                    width,
                    words,
                    (top * row + left) * words,
                    0,
                    right * words,
                    down * row * words,
                )
            ],
        )

    def _place(self, op: SimpleOp, places: list[Placement]) -> None:
        self._calls.append(
            Call(
                layer=_layer(op.output),
                kernel="place",
                params={},
                inputs=tuple(self._packed(t, op).name for t in op.inputs),
                output=op.output.name,
                places=tuple(places),
            )
        )

    def _unpack(self, end: Tensor) -> None:
        """Gives the states that the model ends in."""
        held = self._held[end.name]
        if held.name == INPUT or not self._calls:
            raise ExportError(
                f"The model ends in `{_layer(end)}`, its own input: there is "
                "nothing to compute. Use discrete layers."
            )
        self._calls.append(
            Call(
                layer=_layer(end),
                kernel="gxnor_unpack_t2_s8",
                params={"positions": held.positions, "channels": held.channels},
                inputs=(held.name,),
                output=OUTPUT,
            )
        )

    def _float_step(self, op: SimpleOp) -> None:
        if op.kind not in ("dequantize", "affine", "relu", "reshape"):
            raise _no_form(op)
        if op.affine is not None and not np.isfinite(op.affine.operand).all():
            raise ExportError(
                f"`{_layer(op.output)}` has an infinite factor. Train the "
                "model again with a smaller learning rate."
            )
        before = (
            () if op.kind == "dequantize" else self._tails[op.inputs[0].name]
        )
        self._tails[op.output.name] = (*before, op)

    # States in memory.

    def _hold(self, tensor: Tensor) -> None:
        self._held[tensor.name] = Held(
            tensor.name, math.prod(tensor.shape[:-1]), tensor.shape[-1]
        )

    def _read(self, tensor: Tensor, channels: int | None, layer: str) -> Held:
        """States that lie in groups of so many channels."""
        held = self._held[tensor.name]
        if channels is None or held.channels == channels:
            return held
        if held.channels % 32 or channels % 32:
            raise ExportError(
                f"`{layer}` reads {held.channels} channels that were reshaped "
                f"to {channels}: in C both must be multiples of 32. Leave the "
                f"reshape out, or choose such channels. {_OR_TFLITE}"
            )
        return held

    def _packed(self, tensor: Tensor, op: SimpleOp) -> Held:
        held = self._read(tensor, tensor.shape[-1], _layer(op.output))
        if held.name == INPUT:
            raise ExportError(
                f"`{_layer(op.output)}` ({_kind(op)}) works on the int8 input, "
                "which in C only a discrete layer can read. Put it behind the "
                "first activation, or do it before the model."
            )
        return held


def _check_discrete(op: DiscreteOp) -> None:
    """Raises ExportError if no kernel can compute an op; names why."""
    if int(np.abs(op.kernel.astype(np.int64)).max()) > 1:
        problem = (
            "has weights of more levels than -1, 0 and +1. Use "
            "weight_space=DiscreteSpace(1) or DiscreteSpace(0)."
        )
    elif op.thresholds is not None and not gated_ops.gives_packed(op):
        problem = (
            f"is followed by an activation of {len(op.thresholds.steps) + 1} "
            "levels. Use DiscreteSpace(1) or DiscreteSpace(0) for it."
        )
    elif op.thresholds is None and op.output.is_states:
        problem = (
            "gives sums that another layer reads, without an activation. Put "
            "a DiscreteActivation behind it."
        )
    elif not gated_ops.has_gated_form(op):
        problem = (
            "is a grouped convolution, a depthwise one of the model's input, "
            "or one with a depth_multiplier. Use a DiscreteConv2D."
            if op.groups > 1
            else f"sums {op.depth} products. Use fewer inputs."
        )
    else:
        return
    raise ExportError(f"`{op.name}` {problem} {_OR_TFLITE}")


def _no_form(op: SimpleOp) -> ExportError:
    cure = _CURES.get(
        op.kind, "Put a DiscreteActivation behind every discrete layer."
    )
    return ExportError(
        f"`{_layer(op.output)}` ({_kind(op)}) has no form in C "
        f"source. {cure} {_OR_TFLITE}"
    )


def _kind(op: SimpleOp) -> str:
    kind = op.kind.replace("_", " ")
    # Of states it has a form: the numbers are what stands in the way.
    of_reals = op.kind == "max_pool" and not op.inputs[0].is_states
    return f"{kind} of real numbers" if of_reals else kind


def _layer(tensor: Tensor) -> str:
    return tensor.layer or tensor.name
