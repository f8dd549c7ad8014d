# SPDX-License-Identifier: Apache-2.0
"""Reads a Keras model as a list of layer calls, in the order in which they run.

Nested models are unfolded; a layer that is called twice gives two nodes.
"""

import dataclasses
import reprlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import keras

from .names import free_name


class ExportError(ValueError):
    """A model cannot be exported exactly; the text says why and the cure."""


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """One call of a layer.

    Attributes:
        layer: The layer.
        inputs: Names of the values that it is called with.
        listed: Whether it is called with a list of them.
        output: Name of the value that it gives: the layer's name, with the
            name of its model before and a number behind where it must be
            told apart.
        shape: Shape of that value without the batch, as Keras has it.
    """

    layer: Any
    inputs: tuple[str, ...]
    listed: bool
    output: str
    shape: tuple[int | None, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """The calls of a model with one input and one output.

    Attributes:
        name: Name of the model.
        input_name: Name of the input value.
        input_shape: Its shape without the batch.
        input_dtype: Its dtype in Keras.
        nodes: The calls, in an order in which every value is there before it
            is read.
        output: Name of the value that the model gives.
    """

    name: str
    input_name: str
    input_shape: tuple[int | None, ...]
    input_dtype: str
    nodes: tuple[Node, ...]
    output: str

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the output without the batch; unknown sizes are 0."""
        shape = self.input_shape
        for node in self.nodes:
            if node.output == self.output:
                shape = node.shape
        return tuple(size or 0 for size in shape)

    @property
    def uses(self) -> Counter[str]:
        """How often each value is read, the model's output included."""
        counts = Counter(name for node in self.nodes for name in node.inputs)
        counts[self.output] += 1
        return counts


def read_graph(model: keras.Model) -> Graph:
    """Reads the calls of a model.

    Args:
        model: A built Sequential or functional model.

    Returns:
        Its calls. What does not lead to the output is left out.

    Raises:
        ExportError: If the model has no known graph, more than one input or
            output, or calls a layer in a way that only training has.
    """
    if not isinstance(model, keras.Model):
        raise ExportError(
            "A Keras model is needed for export; load a file with "
            f"`keras.models.load_model`. Received: {type(model).__name__}"
        )
    _check_graph(model)
    source = model.inputs[0]
    shape = tuple(source.shape[1:])
    nodes: list[Node] = []
    output = _unfold(model, source.name, "", nodes)
    needed = _with_shapes(_needed(nodes, output), source.name, shape)
    return Graph(
        model.name, source.name, shape, source.dtype, tuple(needed), output
    )


def evaluate(graph: Graph, names: Iterable[str]) -> Callable[[Any], Any]:
    """A function from a batch to the values of some nodes, by name.

    It calls the very layers at inference and may be wrapped in `tf.function`.
    """
    wanted = list(names)

    def run(x: Any) -> dict[str, Any]:
        values = {graph.input_name: x}
        for node in graph.nodes:
            inputs = [values[name] for name in node.inputs]
            values[node.output] = node.layer(
                inputs if node.listed else inputs[0], training=False
            )
        return {name: values[name] for name in wanted}

    return run


def _check_graph(model: keras.Model) -> None:
    if not getattr(model, "inputs", None):
        raise ExportError(
            f"Model `{model.name}` has no known input. A Sequential model "
            "needs a `keras.Input` first; a subclassed model cannot be "
            "exported: rebuild it with the functional API."
        )
    ours: Any = next(
        kind
        for kind in type(model).__mro__
        if kind.__module__.startswith("keras.")
    )
    if (
        type(model).call is not ours.call
        or type(model).__call__ is not ours.__call__
    ):
        raise ExportError(
            f"Model `{model.name}` ({type(model).__name__}) has a `call` of "
            "its own, which may compute anything. Rebuild it with the "
            "functional API."
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ExportError(
            f"Model `{model.name}` must have one input and one output. "
            f"Received: {len(model.inputs)} inputs and {len(model.outputs)} "
            "outputs. Export a model with one of each."
        )


def _unfold(
    model: keras.Model, source: str, prefix: str, nodes: list[Node]
) -> str:
    """Appends the calls of a model on the value `source`; names its output."""
    _check_graph(model)
    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            source = _call(layer, (source,), False, prefix, nodes)
        return source
    config = _config(model)
    operations = {operation.name: operation for operation in model.operations}
    names: dict[tuple[str, int], str] = {}
    pending = [
        (layer, index, inbound)
        for layer in config["layers"]
        for index, inbound in enumerate(layer["inbound_nodes"])
    ]
    for layer in config["layers"]:
        if not layer["inbound_nodes"]:
            names[layer["name"], 0] = source  # the model's only input
    # A layer's later calls may read layers that stand behind it in the list.
    while pending:
        later = []
        for layer, index, inbound in pending:
            keys, listed = _sources(layer["name"], inbound)
            if not all(key in names for key in keys):
                later.append((layer, index, inbound))
                continue
            names[layer["name"], index] = _call(
                operations[layer["name"]],
                tuple(names[key] for key in keys),
                listed,
                prefix,
                nodes,
            )
        if len(later) == len(pending):
            raise ExportError(
                f"The graph of model `{model.name}` cannot be read at "
                f"{[layer['name'] for layer, _, _ in later]}. Rebuild it "
                "with the functional API."
            )
        pending = later
    # Only calls that lead to the output are kept: it is its layer's last.
    (output,) = _references(config["output_layers"])
    last = max(number for name, number in names if name == output)
    return names[output, last]


def _config(model: keras.Model) -> dict[str, Any]:
    """The graph of a functional model, as Keras writes it."""
    try:
        config: dict[str, Any] = model.get_config()
    except Exception as error:  # Any layer's own `get_config` may raise.
        raise ExportError(
            f"Model `{model.name}` cannot be read, because one of its layers "
            f"has no configuration ({type(error).__name__}: {error}). Give "
            "the layer a `get_config`, or use another one."
        ) from error
    if "layers" not in config:
        raise ExportError(
            f"Model `{model.name}` ({type(model).__name__}) has a constructor "
            "of its own. Rebuild it with `keras.Model(model.inputs, "
            "model.outputs)`."
        )
    return config


def _references(layers: Any) -> list[str]:
    """Names of the layers in a structure of `[name, call, output]`."""
    if isinstance(layers, dict):
        layers = list(layers.values())
    if layers and isinstance(layers[0], str):
        return [layers[0]]
    return [name for item in layers for name in _references(item)]


def _sources(
    name: str, inbound: dict[str, Any]
) -> tuple[list[tuple[str, int]], bool]:
    """The calls whose results a call reads, and whether they are in a list.

    A call is named by its layer and its number.
    """
    keys: list[tuple[str, int]] = []

    def visit(argument: Any) -> None:
        if isinstance(argument, (list, tuple)):
            for item in argument:
                visit(item)
        elif (
            isinstance(argument, dict)
            and argument.get("class_name") == "__keras_tensor__"
        ):
            layer, node, _ = argument["config"]["keras_history"]
            keys.append((layer, node))
        else:
            raise ExportError(
                f"`{name}` is called with {reprlib.repr(argument)}; only "
                "outputs of layers can be exported. Use a layer for it."
            )

    visit(inbound["args"])
    for key, value in inbound["kwargs"].items():
        if value is not None and value is not False:
            raise ExportError(
                f"`{name}` is called with {key}={reprlib.repr(value)}, which "
                "an exported file cannot do. Call it with its inputs only."
            )
    listed = isinstance(inbound["args"][0], list) if inbound["args"] else False
    return keys, listed or len(inbound["args"]) > 1


def _call(
    layer: Any,
    inputs: tuple[str, ...],
    listed: bool,
    prefix: str,
    nodes: list[Node],
) -> str:
    """Appends a call, or those of a nested model; names its output."""
    if isinstance(layer, keras.layers.InputLayer):
        return inputs[0]
    if not isinstance(layer, keras.layers.Layer):
        layer = _as_layer(layer)
    if isinstance(layer, keras.Model):
        if len(inputs) != 1:
            _check_graph(layer)
        return _unfold(layer, inputs[0], f"{prefix}{layer.name}/", nodes)
    taken = {node.output for node in nodes}
    name = free_name(f"{prefix}{layer.name}", taken)
    nodes.append(Node(layer, inputs, listed, name, ()))
    return name


def _as_layer(operation: Any) -> keras.layers.Layer:
    """The layer that does what an operation of `keras.ops` does."""
    kind = type(operation)
    if kind.__name__ == "Add" and kind.__module__.startswith("keras."):
        return keras.layers.Add(name=operation.name, dtype="float32")
    raise ExportError(
        f"Operation `{operation.name}` ({type(operation).__name__}) cannot be "
        "exported. Use a layer for it; of the operations only `+` can be."
    )


def _needed(nodes: list[Node], output: str) -> list[Node]:
    """The nodes that lead to the output."""
    needed = {output}
    kept = []
    for node in reversed(nodes):
        if node.output in needed:
            needed.update(node.inputs)
            kept.append(node)
    return kept[::-1]


def _with_shapes(
    nodes: list[Node], source: str, shape: tuple[int | None, ...]
) -> list[Node]:
    """The nodes with the shapes of their values for this model's input.

    A layer's own `output` would be that of its first call, which may have been
    in another model.
    """
    specs = {source: keras.KerasTensor((None, *shape))}
    shaped = []
    for node in nodes:
        inputs: Any = [specs[name] for name in node.inputs]
        layer = node.layer
        try:
            spec = layer.compute_output_spec(
                inputs if node.listed else inputs[0]
            )
        except Exception as error:  # Layers may want other arguments.
            raise ExportError(
                f"The call of `{layer.name}` ({type(layer).__name__}) cannot "
                f"be exported ({type(error).__name__}: {error}). Use a layer "
                "that is called with one value, or with a list of them."
            ) from error
        if not isinstance(spec, keras.KerasTensor):
            raise ExportError(
                f"`{layer.name}` ({type(layer).__name__}) gives more than one "
                "value, which cannot be exported. Use a layer that gives one."
            )
        specs[node.output] = spec
        shaped.append(dataclasses.replace(node, shape=tuple(spec.shape[1:])))
    return shaped
