# SPDX-License-Identifier: Apache-2.0
"""Pooling layers."""

import dataclasses
import math

import numpy as np

from ..graph import ExportError, Node
from ..program import DiscreteOp, Tensor, Window
from . import kernels
from .builder import (
    NO_PADDING,
    AnyValue,
    ProgramBuilder,
    Sums,
    Value,
    constant_affine,
    is_power_of_two,
)
from .kernel_layers import sums_of
from .staircase import SumFunction


def max_pool(builder: ProgramBuilder, node: Node) -> AnyValue:
    """Max-pool of sums, states or reals."""
    value = builder.take(node.inputs[0])
    if isinstance(value, Sums):
        if value.function.pools:
            value = builder.to_reals(value)
        else:
            return dataclasses.replace(
                value,
                name=node.output,
                function=value.function.then(node.layer),
                unit=None,
            )
    value = builder.whole(value)
    window = kernels.pool_window(node.layer, value.tensor.shape)
    fused = _with_pool(builder, node, value.tensor, window)
    if fused is not None:
        return fused
    if value.tensor.is_states:
        value = builder.rescaled(value, value.tensor.unit or 1.0)
    return Value(
        builder.pooled(
            "max_pool",
            value.tensor,
            window,
            node.output,
            layer=node.output,
        )
    )


def _with_pool(
    builder: ProgramBuilder, node: Node, tensor: Tensor, window: Window
) -> Value | None:
    """The pool as part of the op before it, if nobody else reads that."""
    place = builder.place(tensor)
    op = builder.ops[place] if place is not None else None
    if (
        not isinstance(op, DiscreteOp)
        or op.thresholds is None
        or op.pool is not None
        or builder.uses[node.inputs[0]] > 1
    ):
        return None
    size = window.output_size(*tensor.shape[:2])
    pooled = dataclasses.replace(
        tensor,
        name=node.output,
        layer=node.output,
        shape=(*size, tensor.shape[-1]),
    )
    assert place is not None
    builder.ops[place] = dataclasses.replace(op, output=pooled, pool=window)
    return Value(pooled)


def average(builder: ProgramBuilder, node: Node) -> AnyValue:
    """Average pooling: of states a sum of them, divided by their number."""
    layer = node.layer
    value = builder.whole(builder.states_or_reals(node.inputs[0]))
    tensor = value.tensor
    is_global = not hasattr(layer, "pool_size")
    window = (
        Window((tensor.shape[0], tensor.shape[1]))
        if is_global
        else kernels.pool_window(layer, tensor.shape)
    )
    if tensor.is_states and window.padding == NO_PADDING:
        return _summed(node, value, window, is_global)
    if builder.float_layers == "refuse":
        raise ExportError(
            f"`{layer.name}` averages "
            + (
                "windows of different sizes at the border"
                if tensor.is_states
                else "real numbers, whose sums depend on their order"
            )
            + ', which is not exact. Use padding="valid" behind a '
            'DiscreteActivation, or pass float_layers="float32".'
        )
    tensor = builder.dequantized(value).tensor
    if is_global:
        shape: tuple[int, ...] = (tensor.shape[-1],)
        if len(node.shape) > 1:
            shape = (1, 1, *shape)
        return Value(
            builder.simple(
                "mean",
                (tensor,),
                node.output,
                shape,
                exact=False,
                layer=node.output,
            )
        )
    return Value(
        builder.pooled(
            "average_pool",
            tensor,
            window,
            node.output,
            exact=False,
            layer=node.output,
        )
    )


def _summed(node: Node, value: Value, window: Window, is_global: bool) -> Sums:
    """The sums of states over windows, divided by their number."""
    tensor = value.tensor
    unit, channels = tensor.unit, tensor.shape[-1]
    assert unit is not None
    count = math.prod(window.size)
    kernel = kernels.Kernel(
        np.ones((channels, *window.size, 1), np.int8), window, channels
    )
    affines = [] if unit == 1 else [constant_affine("multiply", unit, channels)]
    affines.append(constant_affine("divide", count, channels))
    sums = sums_of(
        node,
        value,
        kernel,
        SumFunction(
            lambda sums: sums * unit / float(count),
            tuple(affines),
            rank=len(node.shape) + 1,
        ),
        unit=unit / count if is_power_of_two(count) else None,
        exact=tensor.exact,
    )
    return dataclasses.replace(sums, flat=is_global and len(node.shape) == 1)
