# SPDX-License-Identifier: Apache-2.0
"""What goes into and comes out of every layer while a model runs."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from gxnor_tf.layer_tree import named_layers


@dataclasses.dataclass(frozen=True, eq=False)
class LayerCall:
    """One call of a layer, see `record_calls`.

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
