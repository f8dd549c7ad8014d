# SPDX-License-Identifier: Apache-2.0
"""What goes into and comes out of every layer while a model runs."""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from gxnor_tf import _compat


@dataclasses.dataclass(frozen=True, eq=False)
class LayerCall:
    """One call of a layer, see `named_layers`.

    Attributes:
        name: The layer's name, behind those of the models and layers that it
            lies in: `"conv"`, or `"encoder/conv"` in a nested model.
        layer: The layer.
        inputs: Its first argument: a tensor or a structure of tensors.
        outputs: What it returned.
    """

    name: str
    layer: keras.layers.Layer
    inputs: Any
    outputs: Any


def check_model(model: Any) -> None:
    """Raises TypeError unless `model` is a Keras model."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` must be a built Keras model. Received: model={model!r}"
        )


def all_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Everything that a model is made of, at any depth, by its path.

    A layer that is used in several places has the path of the first. Names
    that layers of one place share, as they may in a class, are numbered.

    Args:
        model: A Keras model.

    Example:

    >>> dense = keras.layers.Dense(2, name="dense")
    >>> model = keras.Sequential(
    ...     [keras.layers.TimeDistributed(dense, name="steps")])
    >>> list(all_layers(model))
    ['steps', 'steps/dense']
    """
    found: dict[str, keras.layers.Layer] = {}
    seen = {id(model)}

    def visit(parent: keras.layers.Layer, prefix: str) -> None:
        parts = [part for part in _parts(parent) if id(part) not in seen]
        names = numbered([part.name for part in parts])
        for name, part in zip(names, parts, strict=True):
            if id(part) not in seen:
                seen.add(id(part))
                found[prefix + name] = part
                visit(part, f"{prefix}{name}/")

    visit(model, "")
    return found


def named_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """The layers that do a model's work, by `LayerCall.name`.

    Those are the ones of `all_layers` that hold no others, or have variables
    besides theirs. Models, wrappers and blocks that only hold layers are
    seen in what they hold.

    Args:
        model: A Keras model.
    """
    return {
        name: layer
        for name, layer in all_layers(model).items()
        if not isinstance(layer, keras.Model)
        and (own_variables(layer) or not _parts(layer))
    }


def own_variables(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The variables of a layer without those of the layers that it holds.

    Args:
        layer: A built layer.
    """
    others = {id(v) for part in _parts(layer) for v in part.variables}
    return [v for v in layer.variables if id(v) not in others]


def own_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Like `own_variables`, without metrics and states of random numbers.

    Args:
        layer: A built layer.
    """
    own = set(map(id, own_variables(layer)))
    return [weight for weight in layer.weights if id(weight) in own]


def numbered(names: Sequence[str]) -> list[str]:
    """Makes names unique: the second "a" becomes "a#2".

    Args:
        names: Any names.

    >>> numbered(["a", "b", "a", "a"])
    ['a', 'b', 'a#2', 'a#3']
    """
    counts: Counter[str] = Counter()
    result = []
    for name in names:
        counts[name] += 1
        count = counts[name]
        result.append(name if count == 1 else f"{name}#{count}")
    return result


def _parts(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    # These may run as one operation, without a call of their cells.
    if isinstance(layer, (keras.layers.GRU, keras.layers.LSTM)):
        return []
    return _compat.sublayers(layer)


def record_calls(model: keras.Model, x: Any) -> list[LayerCall]:
    """Runs a model at inference and records the calls of its layers.

    It sees what runs, so it works for Sequential, functional, subclassed and
    nested models alike; a shared layer has an entry for each of its calls.
    What runs in a graph, a `tf.function` in a layer, is not seen. Keras' RNN
    runs its cell once more than there are steps.

    Args:
        model: A built Keras model.
        x: A batch of inputs, as the model takes it.

    Returns:
        The calls in the order in which they ran.

    Raises:
        ValueError: If the model is not built.

    Example:

    >>> model = keras.Sequential(
    ...     [keras.Input((3,)), keras.layers.ReLU(name="relu")])
    >>> [call] = record_calls(model, np.array([[-1.0, 0.0, 2.0]]))
    >>> call.name, call.outputs.numpy().tolist()
    ('relu', [[0.0, 0.0, 2.0]])
    """
    if not getattr(model, "built", False):
        raise ValueError(
            f"Model `{model.name}` is not built, so that its layers have no "
            "weights yet. Give it a `keras.Input` or call it once."
        )
    calls: list[LayerCall] = []
    with contextlib.ExitStack() as stack:
        for name, layer in named_layers(model).items():
            stack.enter_context(_recording(name, layer, calls))
        model(x, training=False)
    return calls


@contextlib.contextmanager
def _recording(
    name: str, layer: keras.layers.Layer, calls: list[LayerCall]
) -> Iterator[None]:
    # An attribute of the instance stands before the class's method, and is
    # the only place where a layer can be listened to: Keras has no hooks.
    earlier = vars(layer).get("call")
    method = layer.call

    def call(*args: Any, **kwargs: Any) -> Any:
        outputs = method(*args, **kwargs)
        inputs = args[0] if args else next(iter(kwargs.values()), None)
        if not any(map(tf.is_symbolic_tensor, keras.tree.flatten(outputs))):
            calls.append(LayerCall(name, layer, inputs, outputs))
        return outputs

    layer.call = call
    try:
        yield
    finally:
        if earlier is None:
            del layer.call
        else:
            layer.call = earlier
