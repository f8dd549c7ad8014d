# SPDX-License-Identifier: Apache-2.0
"""A look at the outputs inside of a model."""

from collections.abc import Iterable

import keras


def probe(model: keras.Model, names: Iterable[str]) -> keras.Model:
    """A model with the same weights that gives the outputs of named layers.

    Args:
        model: A built Sequential or functional model.
        names: Names of its layers.

    Returns:
        A model with outputs `{name: output}`.

    Raises:
        ValueError: If the model has no layer of that name.

    Example:

    >>> model = keras.Sequential(
    ...     [keras.Input((3,)), keras.layers.ReLU(name="relu")])
    >>> probe(model, ["relu"])(np.array([[-1.0, 0.0, 2.0]]))["relu"].numpy()
    array([[0., 0., 2.]], dtype=float32)
    """
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    if isinstance(model, keras.Sequential):
        # A layer's `output` is that of its first call, which for a loaded
        # Sequential model is not the one in its graph.
        known, x = {}, inputs
        for layer in model.layers:
            known[layer.name] = x = layer(x)
    else:
        known = {layer.name: layer.output for layer in model.layers}
    missing = [name for name in names if name not in known]
    if missing:
        raise ValueError(
            f"Model `{model.name}` has no layers {missing}. It has "
            f"{list(known)}."
        )
    return keras.Model(inputs, {name: known[name] for name in names})
