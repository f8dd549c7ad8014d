# SPDX-License-Identifier: Apache-2.0
"""A program in the making: its values so far, and what is done to them."""

import dataclasses
import math
from typing import Any, Literal, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

from ..graph import ExportError, Graph, Node
from ..names import free_name
from ..program import (
    Affine,
    AffineKind,
    DiscreteOp,
    Op,
    SimpleOp,
    Tensor,
    Window,
)
from . import kernels
from .staircase import SumFunction, is_pool, normalization_affines

FloatLayers = Literal["refuse", "float32", "int8"]

NO_PADDING = (0, 0, 0, 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
    """A value that an op gives.

    Attributes:
        tensor: The value, `(channels,)` or `(height, width, channels)`.
        flat: Whether Keras has it flattened.
        padding: Zeros around it that are not there yet.
    """

    tensor: Tensor
    flat: bool = False
    padding: tuple[int, int, int, int] = NO_PADDING


@dataclasses.dataclass(frozen=True, eq=False)
class Sums:
    """A value that is a function of sums which no op gives yet.

    Attributes:
        name: Keras' value; None if Keras has none here.
        op: The op that will give the sums; its output is a placeholder.
        function: What Keras makes of them.
        unit: If the value is `sum * unit`, exactly; else None.
        flat: Whether Keras has it without height and width.
        exact: Whether it equals Keras' value.
    """

    name: str | None
    op: DiscreteOp
    function: SumFunction
    unit: float | None
    flat: bool
    exact: bool

    @property
    def size(self) -> tuple[int, int]:
        """Height and width behind the pools so far."""
        size = self.op.sums_size
        for place in self.function.pools:
            layer = self.function.steps[place]
            size = kernels.pool_window(layer, size).output_size(*size)
        return size


AnyValue: TypeAlias = Value | Sums


class ProgramBuilder:
    """Collects the ops of a program.

    Args:
        graph: The layer calls.
        input_scale: See `fuse`.
        float_layers: See `fuse`.
        calibration: See `fuse`.

    Attributes:
        ops: The ops so far.
        values: What the nodes so far have given, by name.
    """

    def __init__(
        self,
        graph: Graph,
        input_scale: float,
        float_layers: FloatLayers,
        calibration: npt.NDArray[Any] | None,
    ) -> None:
        self.graph = graph
        self.input_scale = input_scale
        self.float_layers = float_layers
        self.calibration = calibration
        self.uses = graph.uses
        self.values: dict[str, AnyValue] = {}
        self.ops: list[Op] = []

    def lift(
        self, tensor: Tensor, shape: tuple[int | None, ...], name: str
    ) -> Value:
        """A value as `(channels,)` or `(height, width, channels)`."""
        lifted = tuple(int(size or 0) for size in shape)
        if len(lifted) == 2:
            lifted = (1, *lifted)
        if len(lifted) not in (1, 3):
            raise ExportError(
                f"`{tensor.name}` must have the shape (channels,), (steps, "
                "channels) or (height, width, channels). "
                f"Received: {shape}. Use a Reshape."
            )
        if lifted == tensor.shape:
            return Value(tensor)
        return Value(
            self.simple("reshape", (tensor,), name, lifted, layer=None)
        )

    def take(self, name: str) -> AnyValue:
        """A value for a consumer; sums only if it is the only one."""
        value = self.values[name]
        if isinstance(value, Sums) and self.uses[name] > 1:
            value = self.values[name] = self.to_reals(value)
        return value

    def share_uses(self, node: Node) -> None:
        """Counts the readers of a value that a layer has passed on as it was.

        Whoever reads it under one name shares it with those of the other.
        """
        given = self.values[node.output]
        for name in set(node.inputs):
            if _same(given, self.values[name]):
                others = self.uses[name] - node.inputs.count(name)
                self.uses[node.output] += others

    def materialised(self, name: str) -> Value:
        """A value that an op gives."""
        value = self.take(name)
        return self.to_reals(value) if isinstance(value, Sums) else value

    def states_or_reals(self, name: str) -> Value:
        """A value that an op gives, sums as states where they are some."""
        value = self.take(name)
        if isinstance(value, Sums):
            value = self.to_states(value) or self.to_reals(value)
        return value

    def whole(self, value: Value, keep_flat: bool = False) -> Value:
        """The value with its padding in place and in Keras' shape."""
        tensor = value.tensor
        if value.padding != NO_PADDING:
            window = Window((1, 1), padding=value.padding)
            height, width = window.output_size(tensor.shape[0], tensor.shape[1])
            tensor = self.simple(
                "pad",
                (tensor,),
                f"{tensor.name}/padded",
                (height, width, tensor.shape[-1]),
                window=window,
                flipped=tensor.flipped,
                layer=None,
            )
        if value.flat and len(tensor.shape) > 1 and not keep_flat:
            size = math.prod(tensor.shape)
            flipped = tensor.flipped
            if flipped is not None:
                flipped = np.broadcast_to(flipped, tensor.shape).reshape(-1)
            tensor = self.simple(
                "reshape",
                (tensor,),
                f"{tensor.name}/flat",
                (size,),
                flipped=flipped,
                layer=None,
            )
            return Value(tensor)
        return Value(tensor, value.flat)

    def rescaled(self, value: Value, unit: float) -> Value:
        """States in a smaller unit, and none of them flipped.

        `unit` must divide the value's unit.
        """
        tensor = value.tensor
        assert tensor.unit is not None
        factor = round(tensor.unit / unit)
        if factor == 1 and tensor.flipped is None:
            return value
        output = dataclasses.replace(
            tensor,
            name=self.free_name(f"{tensor.name}/unflipped"),
            unit=unit,
            peak=tensor.peak * factor,
            layer=None,
            flipped=None,
        )
        self.ops.append(_multiple(output.name, tensor, output, factor))
        return dataclasses.replace(value, tensor=output)

    def to_reals(self, sums: Sums) -> Value:
        """Gives the sums and every step behind them as ops of their own."""
        shape = sums.op.sums_shape
        tensor = Tensor(
            self.free_name(f"{sums.op.name}/sums"), shape, exact=sums.exact
        )
        self.ops.append(dataclasses.replace(sums.op, output=tensor))
        for affine in sums.function.affines:
            tensor = self.affine(tensor, affine)
        for layer in sums.function.steps:
            if type(layer) is keras.layers.BatchNormalization:
                for affine in normalization_affines(layer):
                    tensor = self.affine(tensor, affine)
            elif is_pool(layer):
                window = kernels.pool_window(layer, tensor.shape)
                tensor = self.pooled("max_pool", tensor, window, layer.name)
            else:
                tensor = self.simple(
                    "relu", (tensor,), f"{tensor.name}/relu", tensor.shape
                )
        return Value(
            self.named(tensor, sums.name), sums.flat and len(shape) > 1
        )

    def named(self, tensor: Tensor, name: str | None) -> Tensor:
        """Says that the last op's output is a Keras value."""
        named = dataclasses.replace(tensor, layer=name)
        op = self.ops[-1]
        assert op.output is tensor
        self.ops[-1] = dataclasses.replace(op, output=named)
        return named

    def to_states(self, sums: Sums) -> Value | None:
        """The sums themselves as states, where they fit an int8 exactly."""
        op = sums.op
        weights = np.abs(op.kernel.astype(np.int64)).sum((1, 2, 3))
        peak = int(weights.max()) * op.input.peak
        if sums.unit is None or not is_power_of_two(sums.unit) or peak > 127:
            return None
        shape = op.sums_shape
        tensor = Tensor(
            self.free_name(f"{op.name}/states"),
            shape,
            sums.unit,
            peak,
            layer=sums.name,
            exact=sums.exact,
        )
        self.ops.append(dataclasses.replace(op, output=tensor))
        return Value(tensor, sums.flat and len(shape) > 1)

    def dequantized(self, value: Value) -> Value:
        """A value as reals."""
        tensor = value.tensor
        if not tensor.is_states:
            return value
        assert tensor.unit is not None
        value = self.rescaled(value, tensor.unit)
        tensor = self.simple(
            "dequantize",
            (value.tensor,),
            f"{tensor.name}/reals",
            tensor.shape,
            reals=True,
        )
        return dataclasses.replace(value, tensor=tensor)

    def free_name(self, name: str) -> str:
        """The name, with a number behind where it is taken."""
        taken = {op.output.name for op in self.ops} | {self.graph.input_name}
        return free_name(name, taken)

    def simple(
        self,
        kind: str,
        inputs: tuple[Tensor, ...],
        name: str,
        shape: tuple[int, ...],
        *,
        reals: bool = False,
        layer: str | None = None,
        flipped: npt.NDArray[np.bool_] | None = None,
        peak: int | None = None,
        exact: bool = True,
        window: Window | None = None,
        affine: Affine | None = None,
    ) -> Tensor:
        """Appends an op whose output has the kind and unit of its inputs."""
        first = inputs[0]
        output = Tensor(
            self.free_name(name),
            shape,
            unit=None if reals else first.unit,
            peak=max(t.peak for t in inputs) if peak is None else peak,
            layer=layer,
            flipped=flipped,
            exact=exact and all(t.exact for t in inputs),
        )
        self.ops.append(
            SimpleOp(kind, inputs, output, window=window, affine=affine)
        )
        return output

    def affine(self, tensor: Tensor, affine: Affine) -> Tensor:
        """Appends a float32 step."""
        return self.simple(
            "affine",
            (tensor,),
            f"{tensor.name}/{affine.kind}",
            tensor.shape,
            affine=affine,
        )

    def pooled(
        self,
        kind: str,
        tensor: Tensor,
        window: Window,
        name: str,
        exact: bool = True,
        layer: str | None = None,
    ) -> Tensor:
        """Appends a pooling op."""
        size = window.output_size(*tensor.shape[:2])
        return self.simple(
            kind,
            (tensor,),
            name,
            (*size, tensor.shape[-1]),
            window=window,
            exact=exact,
            layer=layer,
        )

    def own_sums(self, value: Value, rank: int) -> Sums:
        """States as sums of one term each."""
        whole = self.whole(value)
        tensor = whole.tensor
        unit = tensor.unit
        assert unit is not None
        op = _multiple(
            self.free_name(f"{tensor.name}/again"), tensor, Tensor("", ())
        )
        affine = constant_affine("multiply", unit, tensor.shape[-1])
        return Sums(
            tensor.layer or tensor.name,
            op,
            SumFunction(
                lambda sums: sums * unit, () if unit == 1 else (affine,), rank
            ),
            unit,
            flat=whole.flat,
            exact=tensor.exact,
        )

    def place(self, tensor: Tensor) -> int | None:
        """Number of the op that gives a value; None for the input."""
        for number, op in enumerate(self.ops):
            if op.output is tensor:
                return number
        return None


def _multiple(
    name: str, tensor: Tensor, output: Tensor, factor: int = 1
) -> DiscreteOp:
    """The op that multiplies states by a number, and turns flipped ones."""
    channels = tensor.shape[-1]
    weights = np.full(channels, factor, np.int8)
    if tensor.flipped is not None:
        weights = np.where(tensor.flipped, -weights, weights)
    return DiscreteOp(
        name=name,
        input=tensor,
        output=output,
        kernel=weights.reshape(channels, 1, 1, 1),
        window=Window((1, 1)),
        groups=channels,
        fully_connected=len(tensor.shape) == 1,
    )


def _same(one: AnyValue, other: AnyValue) -> bool:
    """Whether two values are what the same op gives."""
    if isinstance(one, Value) and isinstance(other, Value):
        return one.tensor is other.tensor
    return one is other


def constant_affine(kind: AffineKind, value: Any, channels: int) -> Affine:
    """A float32 step with one value, or one per channel."""
    operand = np.broadcast_to(np.asarray(value, np.float32), (channels,))
    return Affine(kind, np.ascontiguousarray(operand))


def is_power_of_two(x: float) -> bool:
    """Whether x is 2^k for an integer k."""
    return math.isfinite(x) and x > 0 and math.frexp(x)[0] == 0.5
