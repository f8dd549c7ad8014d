# SPDX-License-Identifier: Apache-2.0
"""Layers that join, pad and reshape values."""

import dataclasses

import keras

from ..graph import ExportError, Node
from ..program import Window
from .builder import AnyValue, ProgramBuilder, Value, is_power_of_two


def add(builder: ProgramBuilder, node: Node) -> AnyValue:
    """The sum of values: of states as long as it fits an int8."""
    values = _operands(builder, node)
    states = _common_states(builder, values)
    # Keras' float32 sums are exact only in units that are powers of two.
    if states is not None and is_power_of_two(states[0].tensor.unit or 0.0):
        peak = sum(value.tensor.peak for value in states)
        if peak <= 127:
            return _joined(builder, "add", node, states, peak=peak)
    return _joined(
        builder, "add", node, [builder.dequantized(value) for value in values]
    )


def concatenate(builder: ProgramBuilder, node: Node) -> AnyValue:
    """Joins the channels of values."""
    rank = len(node.shape)
    if node.layer.axis not in (-1, rank):
        raise ExportError(
            f"`{node.layer.name}` must join the last axis. "
            f"Received: axis={node.layer.axis}"
        )
    values = _operands(builder, node)
    states = _common_states(builder, values)
    if states is None:
        states = [builder.dequantized(value) for value in values]
    channels = sum(value.tensor.shape[-1] for value in states)
    shape = (*states[0].tensor.shape[:-1], channels)
    return _joined(builder, "concatenate", node, states, shape=shape)


def _operands(builder: ProgramBuilder, node: Node) -> list[Value]:
    operands = [
        builder.whole(builder.states_or_reals(name)) for name in node.inputs
    ]
    sizes = {value.tensor.shape[:-1] for value in operands}
    if len(sizes) > 1:
        raise ExportError(
            f"`{node.layer.name}` joins values of different sizes, "
            f"{[value.tensor.shape for value in operands]}. Give them the "
            "same height and width."
        )
    return operands


def _common_states(
    builder: ProgramBuilder, values: list[Value]
) -> list[Value] | None:
    """All as states of one unit, or None if that is not possible."""
    units = [value.tensor.unit for value in values]
    if None in units:
        return None
    unit = min(u for u in units if u is not None)
    factors = [(u or 0.0) / unit for u in units]
    if not all(
        is_power_of_two(factor)
        and factor * value.tensor.peak <= 127
        # The input's -128 may stay as it is.
        or factor == 1
        for factor, value in zip(factors, values, strict=True)
    ):
        return None
    return [builder.rescaled(value, unit) for value in values]


def _joined(
    builder: ProgramBuilder,
    kind: str,
    node: Node,
    values: list[Value],
    peak: int | None = None,
    shape: tuple[int, ...] | None = None,
) -> Value:
    tensors = tuple(value.tensor for value in values)
    if kind == "add" and len({t.shape for t in tensors}) > 1:
        raise ExportError(
            f"`{node.layer.name}` adds values of different shapes, "
            f"{[t.shape for t in tensors]}. Give them the same shape."
        )
    return Value(
        builder.simple(
            kind,
            tensors,
            node.output,
            shape or tensors[0].shape,
            peak=peak,
            layer=node.output,
        )
    )


def pad(builder: ProgramBuilder, node: Node) -> AnyValue:
    """Zero padding, which a convolution behind it takes over."""
    value = builder.materialised(node.inputs[0])
    padding = node.layer.padding
    if type(node.layer) is keras.layers.ZeroPadding1D:
        padding = ((0, 0), padding)
    (top, bottom), (left, right) = padding
    window = Window((1, 1), padding=value.padding)
    return dataclasses.replace(
        value, padding=window.padded((top, bottom, left, right)).padding
    )


def flatten(builder: ProgramBuilder, node: Node) -> AnyValue:
    """Flattening, which a dense layer behind it takes over."""
    value = builder.whole(builder.materialised(node.inputs[0]), keep_flat=True)
    return dataclasses.replace(value, flat=len(value.tensor.shape) > 1)


def reshape(builder: ProgramBuilder, node: Node) -> AnyValue:
    """Another shape, channels last."""
    value = builder.whole(builder.materialised(node.inputs[0]))
    tensor = value.tensor
    if tensor.is_states:
        tensor = builder.rescaled(value, tensor.unit or 1.0).tensor
    return builder.lift(tensor, node.shape, node.output)
