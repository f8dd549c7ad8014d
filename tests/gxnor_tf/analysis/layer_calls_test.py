# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest

from gxnor_tf.analysis.layer_calls import record_calls
from gxnor_tf.layer_tree import all_layers, named_layers, own_variables


def nested_model():
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(4, name="dense")], name="inner"
    )
    inputs = keras.Input((4,))
    once = inner(inputs)
    outputs = keras.layers.Add(name="add")([once, inner(once)])
    return keras.Model(inputs, outputs), inner


def test_calls_are_recorded_in_order_with_their_tensors():
    model, inner = nested_model()
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    calls = record_calls(model, x)
    calls = [c for c in calls if c.name in ("inner/dense", "add")]
    assert [call.name for call in calls] == ["inner/dense"] * 2 + ["add"]
    first, second, added = calls
    assert first.layer is second.layer is inner.get_layer("dense")
    np.testing.assert_array_equal(first.inputs, x)
    np.testing.assert_array_equal(first.outputs, inner(x))
    assert second.inputs is first.outputs
    assert added.inputs[1] is second.outputs
    np.testing.assert_array_equal(added.outputs, model(x))


def test_recording_leaves_no_trace():
    model, inner = nested_model()
    record_calls(model, np.ones((1, 4)))
    with pytest.raises(ValueError):
        record_calls(model, np.ones((1, 5)))
    for layer in named_layers(model).values():
        assert "call" not in vars(layer)


def test_a_layers_own_call_attribute_comes_back():
    model, inner = nested_model()
    layer = inner.get_layer("dense")
    method = layer.call

    def call(inputs, training=None):
        return 2 * method(inputs)

    layer.call = call
    x = np.ones((1, 4), np.float32)
    recorded = record_calls(model, x)
    assert vars(layer)["call"] is call
    found = [c for c in recorded if c.layer is layer]
    np.testing.assert_array_equal(found[0].outputs, 2 * method(x))


def test_model_that_is_not_built():
    with pytest.raises(ValueError, match="is not built"):
        record_calls(keras.Sequential([keras.layers.Dense(2)]), np.ones((1, 2)))


class Block(keras.layers.Layer):
    """A layer that holds others, and perhaps a weight."""

    def __init__(self, *layers, own_weight=False, **kwargs):
        super().__init__(**kwargs)
        self.inner = list(layers)
        self.own_weight = own_weight

    def build(self, shape):
        if self.own_weight:
            self.factor = self.add_weight(name="factor", initializer="ones")
        for layer in self.inner:
            layer.build(shape)

    def call(self, x):
        for layer in self.inner:
            x = layer(x)
        return self.factor * x if self.own_weight else x


def test_layers_within_layers():
    dense, other = (keras.layers.Dense(4, name=n) for n in ("dense", "other"))
    deep = Block(Block(dense, name="in"), name="out")
    steps = keras.layers.TimeDistributed(other, name="steps")
    own = Block(keras.layers.ReLU(name="relu"), own_weight=True, name="own")
    model = keras.Sequential([keras.Input((3, 4)), deep, steps, own])
    assert list(all_layers(model)) == [
        *("out", "out/in", "out/in/dense", "steps", "steps/other"),
        *("own", "own/relu"),
    ]
    names = named_layers(model)
    assert names["out/in/dense"] is dense and names["steps/other"] is other
    assert list(names) == ["out/in/dense", "steps/other", "own", "own/relu"]
    assert own_variables(own) == [own.factor]
    calls = record_calls(model, np.ones((2, 3, 4)))
    assert [call.name for call in calls] == [
        "out/in/dense",
        *["steps/other"] * 3,
        *("own/relu", "own"),
    ]


def test_same_names_are_numbered():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.a = keras.layers.Dense(2, name="same")
            self.b = keras.layers.Dense(2, name="same")
            self.blocks = [
                Block(keras.layers.Dense(2, name="dense"), name="block")
                for _ in range(2)
            ]

        def call(self, x):
            for block in self.blocks:
                x = block(x)
            return self.b(self.a(x))

    model = Model()
    model(np.ones((1, 2)))
    assert list(named_layers(model)) == [
        *("same", "same#2", "block/dense", "block#2/dense"),
    ]
    assert [call.name for call in record_calls(model, np.ones((1, 2)))] == [
        *("block/dense", "block#2/dense", "same", "same#2"),
    ]
