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
            "A Keras model is needed for export. "
            f"Received: {type(model).__name__}"
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
    consumers: dict[int, list[keras.layers.Layer]] = {}
    for layer in layers:
        for tensor in _single_call_inputs(layer):
            consumers.setdefault(id(tensor), []).append(layer)
    chain = []
    tensor = model.inputs[0]
    while tensor is not model.outputs[0]:
        found = consumers.get(id(tensor), [])
        if len(found) != 1:
            names = [layer.name for layer in found]
            raise ExportError(
                f"The output of `{chain[-1].name if chain else 'the input'}` "
                f"must go to one layer. Received: {names}. Branches cannot be "
                "exported; use a chain of layers."
            )
        chain.append(found[0])
        tensor = found[0].output
    return chain


def _single_call_inputs(layer: keras.layers.Layer) -> list[keras.KerasTensor]:
    """The input tensors of a layer that is called once."""
    if isinstance(layer, keras.Model):
        raise ExportError(
            f"`{layer.name}` is a model inside a model, which cannot be "
            "exported. Put its layers into the outer model."
        )
    try:
        tensors = layer.input
    except (AttributeError, ValueError) as error:
        raise ExportError(
            f"Layer `{layer.name}` is called more than once or never. "
            "Export needs every layer to be called exactly once."
        ) from error
    tensors = tensors if isinstance(tensors, list) else [tensors]
    if len(tensors) != 1:
        raise ExportError(
            f"Layer `{layer.name}` ({type(layer).__name__}) joins "
            f"{len(tensors)} branches. Branches cannot be exported; use a "
            "chain of layers."
        )
    return tensors
