# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest

from gxnor_tf.analysis.layer_calls import named_layers, record_calls


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


def test_names():
    model, inner = nested_model()
    names = named_layers(model)
    assert names["inner/dense"] is inner.get_layer("dense")
    assert "inner" not in names
    assert len(set(map(id, names.values()))) == len(names)


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
