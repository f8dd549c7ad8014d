# SPDX-License-Identifier: Apache-2.0
"""Reads the layers of a Keras model in the order in which they run."""

import keras


class ExportError(ValueError):
    """A model cannot be exported exactly; the text says why and the cure."""


def read_chain(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers between a model's input and output, in order.

    Args:
        model: A built Sequential or functional model that is a chain.

    Returns:
        All layers but the input layer.

    Raises:
        ExportError: If the model has no known graph, more than one input or
            output, or branches.
    """
    if not isinstance(model, keras.Model):
        raise ExportError(
            "A Keras model is needed for export; load a file with "
            f"`keras.models.load_model`. Received: {type(model).__name__}"
        )
    if not getattr(model, "inputs", None):
        raise ExportError(
            f"Model `{model.name}` has no known input. A Sequential model "
            "needs a `keras.Input` first; a subclassed model cannot be "
            "exported: rebuild it with the functional API."
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ExportError(
            f"Model `{model.name}` must have one input and one output. "
            f"Received: {len(model.inputs)} inputs and {len(model.outputs)} "
            "outputs. Export a model of one branch."
        )
    layers = [
        layer
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    ]
    if isinstance(model, keras.Sequential):
        for layer in layers:
            _refuse_model(layer)
        return layers
    consumers: dict[int, list[keras.layers.Layer]] = {}
    for layer in layers:
        for tensor in _inputs(layer):
            consumers.setdefault(id(tensor), []).append(layer)
    chain: list[keras.layers.Layer] = []
    tensor = model.inputs[0]
    while tensor is not model.outputs[0]:
        found = consumers.get(id(tensor), [])
        before = f"`{chain[-1].name}`" if chain else "the input"
        if not found:
            # Keras tells only the first call of a layer.
            raise ExportError(
                f"The layer after {before} is shared: it was called before "
                "with another input. Export needs every layer to be called "
                "once."
            )
        if len(found) > 1:
            raise ExportError(
                f"The output of {before} goes to {len(found)} layers: "
                f"{[layer.name for layer in found]}. Branches cannot be "
                "exported; use a chain of layers."
            )
        chain.append(found[0])
        tensor = found[0].output
    return chain


def _inputs(layer: keras.layers.Layer) -> list[keras.KerasTensor]:
    """The input tensor of a layer's first call."""
    _refuse_model(layer)
    tensors = layer.input
    tensors = tensors if isinstance(tensors, list) else [tensors]
    if len(tensors) != 1:
        raise ExportError(
            f"Layer `{layer.name}` ({type(layer).__name__}) joins "
            f"{len(tensors)} branches. Branches cannot be exported; use a "
            "chain of layers."
        )
    return tensors


def _refuse_model(layer: keras.layers.Layer) -> None:
    if isinstance(layer, keras.Model):
        raise ExportError(
            f"`{layer.name}` is a model inside a model, which cannot be "
            "exported. Put its layers into the outer model."
        )
