# SPDX-License-Identifier: Apache-2.0
"""A look at the outputs inside of a model."""

from collections.abc import Callable, Iterable
from typing import Any

import keras

Outputs = dict[str, Any]


def probe(model: keras.Model, names: Iterable[str]) -> Callable[[Any], Outputs]:
    """A function that gives the outputs of named layers at inference.

    Args:
        model: A built Sequential or functional model.
        names: Names of its layers.

    Returns:
        A function from a batch of inputs to `{name: output}`. It may be
        wrapped in `tf.function`.

    Raises:
        ValueError: If the model is not built, has no layer of a name, or its
            layers were called elsewhere before.

    Example:

    >>> model = keras.Sequential(
    ...     [keras.Input((3,)), keras.layers.ReLU(name="relu")])
    >>> probe(model, ["relu"])(np.array([[-1.0, 0.0, 2.0]]))["relu"].numpy()
    array([[0., 0., 2.]], dtype=float32)
    """
    names = list(names)
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"Model `{model.name}` has no known input. Build it first, with a "
            "`keras.Input`."
        )
    known = [layer.name for layer in model.layers]
    missing = [name for name in names if name not in known]
    if missing:
        raise ValueError(
            f"Model `{model.name}` has no layers {missing}. It has {known}."
        )
    if isinstance(model, keras.Sequential):
        # A layer's `output` is that of its first call, which for a loaded
        # Sequential model is not the one in its graph.
        return lambda x: _run_chain(model, names, x)
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    try:
        inner = keras.Model(
            inputs, {name: model.get_layer(name).output for name in names}
        )
    except ValueError as error:
        raise ValueError(
            f"The layers {names} of model `{model.name}` were called with "
            "another input before. Build the model anew, for instance with "
            "`keras.models.clone_model`, and copy the weights."
        ) from error
    return lambda x: inner(x, training=False)


def _run_chain(model: keras.Sequential, names: list[str], x: Any) -> Outputs:
    outputs = {}
    for layer in model.layers:
        x = layer(x, training=False)
        if layer.name in names:
            outputs[layer.name] = x
    return outputs
