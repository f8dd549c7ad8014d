# SPDX-License-Identifier: Apache-2.0
"""Layers that treat every element alike: norms, activations, softmax."""

import dataclasses
from typing import Any

import keras
import numpy as np

from gxnor_tf.activations import thresholds

from ..graph import ExportError, Node
from ..program import SimpleOp, Tensor
from . import kernels
from .builder import AnyValue, ProgramBuilder, Sums, Value
from .staircase import find, normalization_affines


def identity(builder: ProgramBuilder, node: Node) -> AnyValue:
    """Layers that do nothing at inference."""
    return builder.take(node.inputs[0])


def norm_or_relu(builder: ProgramBuilder, node: Node) -> AnyValue:
    """BatchNormalization and ReLU."""
    layer = node.layer
    if type(layer) is keras.layers.BatchNormalization:
        _check_batch_normalization(layer, len(node.shape))
    elif type(layer) is keras.layers.ReLU and not (
        layer.max_value is None
        and layer.negative_slope == 0
        and layer.threshold == 0
    ):
        raise ExportError(
            f"`{layer.name}`: only a plain ReLU can be exported. Received: "
            f"max_value={layer.max_value}, negative_slope="
            f"{layer.negative_slope}, threshold={layer.threshold}"
        )
    return after(builder, node, builder.take(node.inputs[0]), layer)


def after(
    builder: ProgramBuilder,
    node: Node,
    value: AnyValue,
    layer: keras.layers.Layer,
) -> AnyValue:
    """A pointwise layer behind a value."""
    if isinstance(value, Value) and value.tensor.is_states:
        value = builder.own_sums(value, len(node.shape) + 1)
    if isinstance(value, Sums):
        return dataclasses.replace(
            value,
            name=node.output,
            function=value.function.then(layer),
            unit=None,
        )
    whole = builder.whole(value)
    tensor = whole.tensor
    if type(layer) is keras.layers.BatchNormalization:
        for affine in normalization_affines(layer):
            tensor = builder.affine(tensor, affine)
    else:
        tensor = builder.simple("relu", (tensor,), node.output, tensor.shape)
    return dataclasses.replace(whole, tensor=builder.named(tensor, node.output))


def activation(builder: ProgramBuilder, node: Node) -> AnyValue:
    """DiscreteActivation: closes the sums before it."""
    layer = node.layer
    if layer.space is None:
        return after(
            builder,
            node,
            builder.take(node.inputs[0]),
            keras.layers.ReLU(dtype="float32"),
        )
    value = builder.take(node.inputs[0])
    if isinstance(value, Value) and value.tensor.is_states:
        value = builder.own_sums(value, len(node.shape) + 1)
    if isinstance(value, Sums) and not _has_a_form(value):
        value = builder.to_reals(value)
    if isinstance(value, Value):
        return _discretized(builder, node, value)
    return _closed(builder, node, value)


def _closed(builder: ProgramBuilder, node: Node, sums: Sums) -> Value:
    """The activation of sums: one op with thresholds."""
    layer, op = node.layer, sums.op
    function = sums.function.then(layer)
    staircase = find(function, len(op.kernel), op.bound)
    kernel = np.where(
        staircase.negated[:, None, None, None], -op.kernel, op.kernel
    ).astype(np.int8)
    pool = None
    for place in function.pools:
        pool = kernels.pool_window(function.steps[place], op.sums_size)
    shape: tuple[int, ...] = (len(kernel),)
    if not op.fully_connected:
        shape = (*sums.size, len(kernel))
    tensor = Tensor(
        node.output,
        shape,
        layer.space.unit,
        layer.space.max_state,
        layer=node.output,
        flipped=staircase.flipped if staircase.flipped.any() else None,
        exact=sums.exact,
    )
    builder.ops.append(
        dataclasses.replace(
            op,
            output=tensor,
            kernel=kernel,
            thresholds=staircase.thresholds,
            pool=pool,
        )
    )
    return Value(tensor, sums.flat and len(shape) > 1)


def _discretized(builder: ProgramBuilder, node: Node, value: Value) -> Value:
    """The activation of reals, compared with its jumps one by one."""
    layer = node.layer
    whole = builder.whole(value)
    steps = thresholds(layer.space, layer.zero_window)
    tensor = Tensor(
        node.output,
        whole.tensor.shape,
        layer.space.unit,
        layer.space.max_state,
        layer=node.output,
        exact=whole.tensor.exact,
    )
    builder.ops.append(
        SimpleOp(
            "discretize",
            (whole.tensor,),
            tensor,
            steps=np.array([] if layer.space.n == 0 else steps, np.float32),
        )
    )
    return dataclasses.replace(whole, tensor=tensor)


def fused_activation(
    builder: ProgramBuilder, node: Node, value: AnyValue
) -> AnyValue:
    """The `activation` argument of a Keras layer."""
    activation = getattr(node.layer, "activation", None)
    if activation in (None, keras.activations.linear):
        return value
    if activation is keras.activations.relu:
        return after(builder, node, value, keras.layers.ReLU(dtype="float32"))
    if activation is keras.activations.softmax:
        return softmax_of(builder, node, value)
    raise ExportError(
        f"The activation of `{node.layer.name}` cannot be exported. Use "
        "relu, softmax or linear, or a DiscreteActivation layer."
    )


def activation_by_name(builder: ProgramBuilder, node: Node) -> AnyValue:
    """`keras.layers.Activation`."""
    return fused_activation(builder, node, builder.take(node.inputs[0]))


def softmax(builder: ProgramBuilder, node: Node) -> AnyValue:
    """Softmax, float32."""
    if node.layer.axis not in (-1, len(node.shape)):
        raise ExportError(
            f"`{node.layer.name}` must be over the last axis. "
            f"Received: axis={node.layer.axis}"
        )
    return softmax_of(builder, node, builder.take(node.inputs[0]))


def softmax_of(builder: ProgramBuilder, node: Node, value: AnyValue) -> Value:
    """The softmax of a value over its channels."""
    if isinstance(value, Sums):
        value = builder.to_reals(value)
    value = builder.dequantized(builder.whole(value))
    return Value(
        builder.simple(
            "softmax",
            (value.tensor,),
            f"{node.output}/softmax",
            value.tensor.shape,
            exact=False,
            layer=node.output,
        )
    )


def _has_a_form(sums: Sums) -> bool:
    """Whether sums, pool and activation can be one op: one pool at most."""
    return len(sums.function.pools) <= 1


def _check_batch_normalization(layer: Any, rank: int) -> None:
    if layer.axis not in (-1, rank):
        raise ExportError(
            f"`{layer.name}` must normalise the last axis. "
            f"Received: axis={layer.axis}"
        )
    for variable in layer.variables:
        kernels.check_finite(variable)
    if (layer.moving_variance.numpy() + layer.epsilon <= 0).any():
        raise ExportError(
            f"`{layer.moving_variance.path}` holds negative variances. "
            "Load weights of a trained model."
        )
