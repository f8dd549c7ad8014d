# SPDX-License-Identifier: Apache-2.0
"""What a model costs: bytes on disk and in training, operations, memory."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from gxnor_tf.analysis.costs import LayerCost, ModelSummary
from gxnor_tf.analysis.dataflow import Dataflow, Signal, Step, follow
from gxnor_tf.analysis.file_size import ExportedSizes, exported_sizes
from gxnor_tf.analysis.gates import kernels, products
from gxnor_tf.analysis.inputs import as_inputs, as_tensors, zero_inputs
from gxnor_tf.analysis.layer_calls import record_calls
from gxnor_tf.analysis.operations import (
    Operations,
    count_macs,
    count_operations,
    elements,
    size_of,
    space_of,
)
from gxnor_tf.discrete_space import DiscreteSpace
from gxnor_tf.discrete_variable import DiscreteVariable
from gxnor_tf.layer_tree import (
    check_model,
    named_layers,
    own_variables,
    own_weights,
)
from gxnor_tf.layers.activation import DiscreteActivation
from gxnor_tf.layers.base import DiscreteKernelLayer
from gxnor_tf.packed.bit_packing import bits_per_state

_COUNTED = (
    DiscreteKernelLayer,
    keras.layers.Conv1D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3D,
    keras.layers.Conv3DTranspose,
    keras.layers.Dense,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)


def summary(
    model: keras.Model,
    inputs: Any = None,
    print_fn: Callable[[str], Any] | None = print,
) -> ModelSummary:
    """Prints and returns what a model costs, layer by layer.

    With `inputs`, operations are counted at the sparsity that they really
    give. Without, weights are counted and discrete activations taken as
    uniform over their states, which the table says.

    Layers are counted that have a kernel: those of this library and Keras'
    `Dense`, `Conv*`, `DepthwiseConv*` and `SeparableConv*`. Other layers with
    weights are named in the notes.

    Args:
        model: A built Keras model: Sequential, functional, nested, or a class
            that can be called with one batch. Shared layers count for each
            of their calls.
        inputs: Samples `(samples, ...)`; for several inputs a list or dict. A
            few dozen are enough: they run as one batch.
        print_fn: What the table is given to; None prints nothing.

    Returns:
        The numbers.

    Raises:
        TypeError: If `model` is no Keras model, or `inputs` no array.
        ValueError: If the model is not built, `inputs` is empty, or it is
            None and the model does not know the shape of its inputs.

    Example:

    >>> from gxnor_tf import DiscreteActivation, DiscreteDense
    >>> model = keras.Sequential([
    ...     keras.Input((64,)), DiscreteActivation(), DiscreteDense(32)])
    >>> x = np.random.default_rng(0).normal(size=(16, 64))
    >>> cost = summary(model, x, print_fn=None)
    >>> cost.macs, cost.multiplies, 0 < cost.xnors < cost.macs
    (2048, 0, True)

    References:

    - [Deng et al., 2018](https://arxiv.org/abs/1705.09283), section 3.4.
    """
    check_model(model)
    if inputs is None:
        arrays, samples = zero_inputs(model), 0
    else:
        arrays, samples = as_inputs(model, inputs, "inputs")
    tensors = as_tensors(model, arrays)
    flow = follow(record_calls(model, tensors), tensors)
    file = exported_sizes(model)
    steps: dict[str, list[Step]] = {}
    for step in flow.steps:
        steps.setdefault(step.call.name, []).append(step)
    state_bytes = _state_bytes(model) or 1.0
    layers = tuple(
        _layer_cost(own, flow, file, samples > 0, state_bytes)
        for own in steps.values()
    )
    notes = _notes(model, flow, file)
    result = _totals(model, layers, samples, file, notes)
    if print_fn is not None:
        print_fn(str(result))
    return result


def _layer_cost(
    calls: Sequence[Step],
    flow: Dataflow,
    file: ExportedSizes,
    measured: bool,
    state_bytes: float,
) -> LayerCost:
    call = calls[0].call
    layer = call.layer
    found = kernels(layer) if isinstance(layer, _COUNTED) else {}
    weights = sum(map(size_of, found.values()))
    discrete = [k for k in found.values() if isinstance(k, DiscreteVariable)]
    states = sum(size_of(kernel) for kernel in discrete)
    zeros = sum(int(np.count_nonzero(k.numpy() == 0)) for k in discrete)
    others = sum(map(size_of, own_variables(layer))) - weights
    bits = sum(size_of(k) * _bits(space_of(k)) for k in found.values())
    operations = Operations()
    for step in calls if found else ():
        for product in products(layer, step.call.inputs):
            operations += count_operations(product, step.input.space, measured)
    return LayerCost(
        name=call.name,
        kind=type(layer).__name__,
        calls=len(calls),
        output_shape=_shape(calls[-1].call.outputs),
        weights=weights,
        bits_per_weight=bits / weights if weights else None,
        other_parameters=others,
        custom_bytes=file.of_layer("custom", call.name),
        builtin_bytes=file.of_layer("builtin", call.name),
        training_bytes=int(states * state_bytes)
        + 4 * (weights - states + others),
        macs=sum(count_macs(step.call) for step in calls) if found else 0,
        multiplies=operations.multiplies,
        accumulates=operations.accumulates,
        xnors=operations.xnors,
        bit_counts=operations.bit_counts,
        weight_zero_share=zeros / states if states else None,
        open_share=(
            operations.open / operations.products
            if operations.products
            else None
        ),
        activation_bytes=max(
            4 * (elements(step.call.inputs) + elements(step.call.outputs))
            for step in calls
        ),
        packed_activation_bytes=(
            None
            if file.custom is None
            else max(_packed_bytes(step, flow) for step in calls)
        ),
    )


def _packed_bytes(step: Step, flow: Dataflow) -> int:
    """Input and output of the exported operator that a call becomes.

    For a model that can be exported, in which channels are last.
    """
    call = step.call
    if step.output.space is not None and isinstance(
        call.layer, DiscreteActivation
    ):
        return 0  # Part of the operator before it.
    last = step
    if step.output.source == call.name:
        # What follows up to the activation is part of this operator.
        last = flow.activations.get(call.name, step)
    elif step.output.source in flow.activations:
        return 0
    return _tensor_bytes(call.inputs, step.input) + _tensor_bytes(
        last.call.outputs, last.output
    )


def _tensor_bytes(tensors: Any, signal: Signal) -> int:
    total = 0
    for tensor in keras.tree.flatten(tensors):
        size, channels = elements(tensor), int(tensor.shape[-1])
        if signal.space is not None and signal.space.n <= 1:
            # Two words for 32 channels.
            total += size // channels * 8 * -(-channels // 32)
        elif signal.space is not None or signal.is_input:
            total += size
        else:
            total += 4 * size
    return total


def _totals(
    model: keras.Model,
    layers: tuple[LayerCost, ...],
    samples: int,
    file: ExportedSizes,
    notes: tuple[str, ...],
) -> ModelSummary:
    def total(name: str) -> Any:
        return sum(getattr(layer, name) for layer in layers)

    def largest(name: str) -> Any:
        return max((getattr(layer, name) for layer in layers), default=0)

    weights = total("weights")
    bits = sum(
        layer.weights * layer.bits_per_weight
        for layer in layers
        if layer.bits_per_weight is not None
    )
    return ModelSummary(
        model=model.name,
        samples=samples,
        layers=layers,
        weights=weights,
        bits_per_weight=bits / weights if weights else None,
        other_parameters=total("other_parameters"),
        custom_bytes=file.total("custom"),
        builtin_bytes=file.total("builtin"),
        training_bytes=total("training_bytes"),
        macs=total("macs"),
        multiplies=total("multiplies"),
        accumulates=total("accumulates"),
        xnors=total("xnors"),
        bit_counts=total("bit_counts"),
        activation_bytes=largest("activation_bytes"),
        packed_activation_bytes=(
            None if file.custom is None else largest("packed_activation_bytes")
        ),
        notes=notes,
    )


def _state_bytes(model: keras.Model) -> float | None:
    """Training bytes of a discrete weight, None if the model is untrained."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    value = getattr(optimizer, "state_bytes_per_weight", None)
    return None if value is None else float(value)


def _notes(
    model: keras.Model, flow: Dataflow, file: ExportedSizes
) -> tuple[str, ...]:
    state_bytes = _state_bytes(model)
    discrete = (
        "1 byte per discrete weight, without moments, as the model is not "
        "compiled with DiscreteStateTransition"
        if state_bytes is None
        else f"{state_bytes:g} bytes per discrete weight with its moments"
    )
    notes = [f"Training: {discrete}; 4 per float, without moments."]
    called = {step.call.name for step in flow.steps}
    weighted = {
        name: layer
        for name, layer in named_layers(model).items()
        if own_weights(layer)
    }
    known = (*_COUNTED, keras.layers.BatchNormalization)
    uncounted = [
        name
        for name, layer in weighted.items()
        if name in called and not isinstance(layer, known)
    ]
    unused = [name for name in weighted if name not in called]
    lost = {
        step.call.name: None
        for step in flow.steps
        if step.input.is_lost
        and isinstance(step.call.layer, _COUNTED)
        and kernels(step.call.layer)
    }
    if lost:
        notes.append(
            f"Inputs taken as real numbers in: {', '.join(lost)}. An operation "
            "that is no layer, or a cast, made them, and their space is not "
            "known; discrete ones make fewer or cheaper operations than shown."
        )
    if uncounted:
        notes.append(f"Operations not counted in: {', '.join(uncounted)}.")
    if file.note:
        notes.append(file.note)
    if unused:
        notes.append(
            "Left out, as it does not run, or in a graph of its own: "
            f"{', '.join(unused)}."
        )
    return tuple(notes)


def _bits(space: DiscreteSpace | None) -> int:
    return 32 if space is None else bits_per_state(space)


def _shape(tensors: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in keras.tree.flatten(tensors)[0].shape[1:])
