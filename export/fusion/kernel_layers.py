# SPDX-License-Identifier: Apache-2.0
"""Dense layers and convolutions, discrete or not."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ..graph import ExportError, Node, evaluate
from ..program import (
    Affine,
    DiscreteOp,
    FloatOp,
    SimpleOp,
    Tensor,
    Window,
)
from . import kernels
from .builder import (
    AnyValue,
    ProgramBuilder,
    Sums,
    Value,
    constant_affine,
    is_power_of_two,
)
from .pointwise import fused_activation
from .staircase import SumFunction

# float32 holds every integer up to here, so Keras' sums are exact.
_MAX_SUM = 2**24


def weighted(builder: ProgramBuilder, node: Node) -> AnyValue:
    """Dense, Conv1D, Conv2D and DepthwiseConv2D, discrete or not."""
    layer = node.layer
    value = builder.states_or_reals(node.inputs[0])
    if type(layer) in kernels.DENSE:
        value = builder.whole(value, keep_flat=True)  # it has no window
    kernel = kernels.read_kernel(
        layer, value.tensor.shape, value.flat, value.padding
    )
    return _multiplied(builder, node, value, kernel)


def _multiplied(
    builder: ProgramBuilder, node: Node, value: Value, kernel: kernels.Kernel
) -> AnyValue:
    layer = node.layer
    is_discrete = getattr(layer, "weight_space", None) is not None
    if layer.bias is not None:
        kernels.check_finite(layer.bias)
    result: AnyValue
    if is_discrete and value.tensor.is_states:
        result = _discrete(node, value, kernel)
    elif builder.float_layers == "refuse":
        raise ExportError(_inexact(node, is_discrete))
    elif builder.float_layers == "int8":
        value = _quantized(builder, node, value)
        result = (
            _discrete(node, value, kernel)
            if is_discrete
            else _quantized_kernel(node, value, kernel)
        )
    else:
        result = _float(builder, node, value, kernel)
    return fused_activation(builder, node, result)


def _discrete(node: Node, value: Value, kernel: kernels.Kernel) -> Sums:
    """Sums of states with integer weights."""
    layer, unit = node.layer, value.tensor.unit
    assert unit is not None
    affines = _finish_affines(node, unit)
    plain = layer.bias is None and layer.output_scale is None
    return sums_of(
        node,
        value,
        kernel,
        # The first sum is exact, and so is its product with a power of two.
        SumFunction(
            lambda sums: layer.finish(sums * unit),
            affines,
            rank=len(node.shape) + 1,
        ),
        unit=unit * layer.unit if plain else None,
        exact=value.tensor.exact,
    )


def sums_of(
    node: Node,
    value: Value,
    kernel: kernels.Kernel,
    function: SumFunction,
    unit: float | None,
    exact: bool,
) -> Sums:
    """Sums of states that no op gives yet.

    Args:
        node: The call of the layer that has them.
        value: The states.
        kernel: int8 weights.
        function: What Keras makes of the sums.
        unit: If it makes `sum * unit` of them, exactly; else None.
        exact: Whether the sums are Keras' own.

    Raises:
        ExportError: If Keras' sums would not be exact.
    """
    tensor = value.tensor
    weights = kernel.weights
    if tensor.flipped is not None and tensor.flipped.any():
        weights = _with_flipped_inputs(weights, kernel.groups, tensor.flipped)
    op = DiscreteOp(
        name=node.output,
        input=tensor,
        output=Tensor("", ()),
        kernel=np.ascontiguousarray(weights),
        window=kernel.window,
        groups=kernel.groups,
        fully_connected=kernel.fully_connected,
    )
    if op.bound >= _MAX_SUM:
        raise ExportError(
            f"The sums of `{node.layer.name}` can reach {op.bound}, beyond "
            f"the {_MAX_SUM} up to which Keras' float32 sums are exact. "
            "Use fewer inputs."
        )
    if exact and not is_power_of_two(tensor.unit or 0.0):
        raise ExportError(
            f"The input of `{node.layer.name}` is a multiple of "
            f"{tensor.unit}, which must be a power of two for an exact "
            "export. Give the activation before it a `half_range` that "
            "is one."
        )
    return Sums(
        node.output,
        op,
        function,
        unit,
        flat=kernel.fully_connected,
        exact=exact,
    )


def _quantized(builder: ProgramBuilder, node: Node, value: Value) -> Value:
    """Reals as int8, in the range that the calibration set shows."""
    tensor = value.tensor
    if tensor.is_states:
        return value
    if builder.calibration is None:
        raise ExportError(
            f"The input of `{node.layer.name}` is real-valued: its range "
            "is needed to quantise it. Pass `calibration`, some inputs of "
            "the model."
        )
    peak = _calibrated_peak(builder, node.inputs[0])
    name = builder.free_name(f"{tensor.name}/quantized")
    output = Tensor(name, tensor.shape, peak / 127, 127, exact=False)
    builder.ops.append(SimpleOp("quantize", (tensor,), output))
    return dataclasses.replace(value, tensor=output)


def _calibrated_peak(builder: ProgramBuilder, name: str) -> float:
    assert builder.calibration is not None
    try:
        x = np.asarray(builder.calibration, np.float32)
    except (TypeError, ValueError) as error:
        raise ExportError(
            f"`calibration` must be an array of numbers ({error})."
        ) from error
    shape = builder.graph.input_shape
    if x.shape[1:] != shape or not len(x) or not np.isfinite(x).all():
        raise ExportError(
            "`calibration` must hold finite inputs of the model, (samples, "
            f"{', '.join(map(str, shape))}). Received: shape={x.shape}"
        )
    unit = builder.input_scale
    if x.min() < -128 * unit or x.max() > 127 * unit:
        raise ExportError(
            f"`calibration` has values in {x.min():g}..{x.max():g}, but the "
            f"file's input covers {-128 * unit:g}..{127 * unit:g}. Give what "
            "Keras takes, for images (pixel - 128) / 128, or another "
            "`input_scale`."
        )
    run = evaluate(builder.graph, [name])
    peak = max(
        float(np.abs(run(x[i : i + 100])[name]).max())
        for i in range(0, len(x), 100)
    )
    return peak or 1.0


def _quantized_kernel(node: Node, value: Value, kernel: kernels.Kernel) -> Sums:
    """Sums of states with real weights, those rounded to int8."""
    layer, unit = node.layer, value.tensor.unit
    assert unit is not None
    weights = kernel.weights.astype(np.float32)
    peaks = np.abs(weights).max((1, 2, 3))
    scale = np.where(peaks > 0, peaks / 127, 1).astype(np.float32)
    states = np.rint(weights / scale[:, None, None, None]).astype(np.int8)
    factor = (scale * np.float32(unit)).astype(np.float32)
    affines = [Affine("multiply", factor)]
    bias = None
    if layer.bias is not None:
        bias = np.asarray(layer.bias.numpy(), np.float32)
        affines.append(Affine("add", bias))

    def first(sums: tf.Tensor) -> tf.Tensor:
        scaled = sums * factor
        return scaled if bias is None else scaled + bias

    return sums_of(
        node,
        value,
        dataclasses.replace(kernel, weights=states),
        SumFunction(first, tuple(affines), rank=len(node.shape) + 1),
        unit=None,
        exact=False,
    )


def _float(
    builder: ProgramBuilder, node: Node, value: Value, kernel: kernels.Kernel
) -> Value:
    """A layer in float32."""
    value = builder.dequantized(value)
    op = FloatOp(
        name=node.output,
        input=value.tensor,
        output=Tensor("", ()),
        kernel=np.ascontiguousarray(kernel.weights),
        window=kernel.window,
        groups=kernel.groups,
        fully_connected=kernel.fully_connected,
    )
    tensor = Tensor(
        builder.free_name(f"{node.output}/sums"), op.sums_shape, exact=False
    )
    builder.ops.append(dataclasses.replace(op, output=tensor))
    for affine in _finish_affines(node, 1.0):
        tensor = builder.affine(tensor, affine)
    return Value(builder.named(tensor, node.output))


def transposed(builder: ProgramBuilder, node: Node) -> AnyValue:
    """DiscreteConv2DTranspose: a convolution of its dilated input."""
    layer = node.layer
    value = builder.whole(builder.states_or_reals(node.inputs[0]))
    tensor = value.tensor
    height, width, channels = tensor.shape
    down, right = layer.strides
    output_size = (int(node.shape[0] or 0), int(node.shape[1] or 0))
    kernel = kernels.transposed_kernel(layer, tensor.shape, output_size)
    if (down, right) != (1, 1):
        tensor = builder.simple(
            "dilate",
            (tensor,),
            f"{node.output}/dilated",
            (height * down, width * right, channels),
            window=Window((1, 1), strides=(down, right)),
            flipped=tensor.flipped,
        )
    return _multiplied(builder, node, Value(tensor), kernel)


def separable(builder: ProgramBuilder, node: Node) -> AnyValue:
    """Depthwise, then pointwise: two ops, or one with both kernels."""
    layer = node.layer
    value = builder.states_or_reals(node.inputs[0])
    depth = kernels.depthwise_kernel(
        layer,
        kernels.checked_values(layer.depthwise_kernel),
        value.tensor.shape,
        value.padding,
    )
    point = kernels.pointwise_kernel(
        kernels.checked_values(layer.pointwise_kernel)
    )
    if layer.weight_space is not None and value.tensor.is_states:
        first = sums_of(
            node,
            value,
            depth,
            SumFunction(lambda sums: sums, (), rank=len(node.shape) + 1),
            unit=value.tensor.unit,
            exact=value.tensor.exact,
        )
        op = dataclasses.replace(first.op, name=f"{node.output}/depthwise")
        inner = builder.to_states(dataclasses.replace(first, name=None, op=op))
        if inner is not None:
            return _multiplied(builder, node, inner, point)
        return _multiplied(builder, node, value, _combined(depth, point))
    raise ExportError(
        _inexact(node, layer.weight_space is not None)
        if builder.float_layers == "refuse"
        else f"`{layer.name}` with real weights or inputs cannot be "
        "exported. Use a DepthwiseConv2D and a Conv2D of size 1."
    )


def _finish_affines(node: Node, input_unit: float) -> tuple[Affine, ...]:
    """The float32 steps of `layer.finish`, in its own order."""
    layer, channels = node.layer, int(node.shape[-1] or 0)
    steps = []
    if input_unit != 1:
        steps.append(constant_affine("multiply", input_unit, channels))
    space = getattr(layer, "weight_space", None)
    if space is not None:
        if layer.unit != 1:
            steps.append(constant_affine("multiply", layer.unit, channels))
        if layer.output_scale is not None:
            steps.append(
                constant_affine("multiply", layer.output_scale, channels)
            )
    if layer.bias is not None:
        steps.append(constant_affine("add", layer.bias, channels))
    return tuple(steps)


def _with_flipped_inputs(
    weights: npt.NDArray[Any], groups: int, flipped: npt.NDArray[np.bool_]
) -> npt.NDArray[Any]:
    """The weights for inputs of which some hold the negated value."""
    outputs, _, _, inputs = weights.shape
    signs = np.where(flipped, -1, 1).astype(weights.dtype)
    by_output = np.repeat(signs.reshape(groups, inputs), outputs // groups, 0)
    flipped_weights: npt.NDArray[Any] = weights * by_output[:, None, None, :]
    return flipped_weights


def _combined(depth: kernels.Kernel, point: kernels.Kernel) -> kernels.Kernel:
    """The one convolution that a depthwise and a pointwise one make."""
    channels = depth.groups
    multiplier = len(depth.weights) // channels
    first = depth.weights[..., 0].reshape(
        channels, multiplier, *depth.window.size
    )
    second = point.weights[:, 0, 0].reshape(-1, channels, multiplier)
    combined = np.einsum(
        "cmyx,ocm->oyxc", first.astype(np.int64), second.astype(np.int64)
    )
    if np.abs(combined).max() > 127:
        raise ExportError(
            "The combined kernel of a separable convolution does not fit int8. "
            "Use a smaller `depth_multiplier`, or two layers with an "
            "activation between them."
        )
    return kernels.Kernel(combined.astype(np.int8), depth.window)


def _inexact(node: Node, is_discrete: bool) -> str:
    name = node.layer.name
    ways = (
        'pass float_layers="float32" (equal up to float32 rounding) or '
        'float_layers="int8"'
    )
    if is_discrete:
        return (
            f"Discrete layer `{name}` reads real numbers from "
            f"`{node.inputs[0]}`, which cannot be exported exactly. Put "
            "BatchNormalization and DiscreteActivation before it, or "
            f"{ways}."
        )
    return (
        f"`{name}` ({type(node.layer).__name__}) has real weights, which "
        "cannot be exported exactly. Use a discrete layer, or "
        f"{ways}."
    )
