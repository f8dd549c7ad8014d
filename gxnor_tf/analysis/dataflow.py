# SPDX-License-Identifier: Apache-2.0
"""Where the tensors of a model come from: which are discrete, which are sums.

A tensor is followed from the layer that made it to those that read it. What
the export folds together is known from that: sums that reach a discrete
activation never exist in a file. An operation that is no layer, or a cast to
a layer's dtype, makes a tensor that nothing is known of.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from gxnor_tf.analysis.gates import kernels
from gxnor_tf.analysis.layer_calls import LayerCall
from gxnor_tf.discrete_space import DiscreteSpace
from gxnor_tf.layers.activation import DiscreteActivation

# They move or select values, and make none but zeros.
_MOVING = (
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.Identity,
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.Permute,
    keras.layers.RepeatVector,
    keras.layers.Reshape,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
)


@dataclasses.dataclass(frozen=True)
class Signal:
    """What is known of a tensor.

    Attributes:
        space: The space of its values, None if they are not discrete.
        source: Name of the layer whose sums, possibly normalised, it holds.
        is_input: Whether it is an input of the model.
        is_lost: Whether no layer made it, or what it was copied from.
    """

    space: DiscreteSpace | None = None
    source: str | None = None
    is_input: bool = False
    is_lost: bool = False


_LOST = Signal(is_lost=True)


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """A call of a layer, with what goes in and comes out.

    Attributes:
        call: The call.
        input: What its inputs have in common.
        output: What its output is.
    """

    call: LayerCall
    input: Signal
    output: Signal


@dataclasses.dataclass(frozen=True, eq=False)
class Dataflow:
    """All calls of a model.

    Attributes:
        steps: In the order in which they run.
        activations: The discrete activation of a layer's sums, by the name of
            that layer.
    """

    steps: tuple[Step, ...]
    activations: dict[str, Step]


def follow(calls: Sequence[LayerCall], inputs: Any) -> Dataflow:
    """Follows the tensors of recorded calls.

    Args:
        calls: What `record_calls` gave.
        inputs: The tensors that the model was called with.
    """
    # All tensors are alive in `calls`, so that their ids are unique.
    signals = {
        id(tensor): Signal(is_input=True)
        for tensor in keras.tree.flatten(inputs)
    }
    steps: list[Step] = []
    activations: dict[str, Step] = {}
    for call in calls:
        tensors = keras.tree.flatten(call.inputs)
        found = {signals.get(id(tensor), _LOST) for tensor in tensors}
        # A sum of discrete tensors is discrete no more; side by side they are.
        merges = len(tensors) > 1 and not isinstance(
            call.layer, keras.layers.Concatenate
        )
        if merges or not found:
            signal = Signal()
        elif len(found) == 1:
            [signal] = found
        else:
            signal = _LOST if _LOST in found else Signal()
        step = Step(call, signal, _output(call, signal))
        if step.output.space is not None and signal.source is not None:
            activations[signal.source] = step
        for tensor in keras.tree.flatten(call.outputs):
            # What a layer returns may be the output of one that it holds.
            if signals.get(id(tensor), _LOST).space is None:
                signals[id(tensor)] = step.output
        steps.append(step)
    return Dataflow(tuple(steps), activations)


def _output(call: LayerCall, signal: Signal) -> Signal:
    layer = call.layer
    if isinstance(layer, DiscreteActivation):
        return Signal(space=layer.space)
    if isinstance(layer, (keras.layers.Concatenate, *_MOVING)):
        return signal
    if isinstance(layer, keras.layers.BatchNormalization):
        return Signal(source=signal.source)
    return Signal(source=call.name if kernels(layer) else None)
