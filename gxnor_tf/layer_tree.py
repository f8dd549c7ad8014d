# SPDX-License-Identifier: Apache-2.0
"""The layers and weights that a model is made of, at any depth, by name."""

from collections.abc import Sequence
from typing import Any

import keras

from gxnor_tf import _compat
from gxnor_tf.discrete_variable import DiscreteVariable


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
    """The layers that do a model's work, by their path.

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


def discrete_variables(model: keras.Model) -> dict[str, DiscreteVariable]:
    """All discrete weight tensors of a model, by path.

    A path that occurs again, as it may in a class, is numbered.

    Args:
        model: A Keras model.
    """
    check_model(model)
    found = [v for v in model.variables if isinstance(v, DiscreteVariable)]
    return dict(zip(numbered([v.path for v in found]), found, strict=True))


def numbered(names: Sequence[str]) -> list[str]:
    """Makes names unique: the second "a" becomes "a#2".

    Args:
        names: Any names.

    >>> numbered(["a", "b", "a", "a"])
    ['a', 'b', 'a#2', 'a#3']
    >>> numbered(["a", "a", "a#2"])
    ['a', 'a#2', 'a#2#2']
    """
    # A dict, for its order and for a quick look.
    unique: dict[str, None] = {}
    for name in names:
        free, count = name, 1
        while free in unique:
            count += 1
            free = f"{name}#{count}"
        unique[free] = None
    return list(unique)


def _parts(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    # These may run as one operation, without a call of their cells.
    if isinstance(layer, (keras.layers.GRU, keras.layers.LSTM)):
        return []
    return _compat.sublayers(layer)
