# SPDX-License-Identifier: Apache-2.0
import keras
import pytest

from gxnor_tf.layer_tree import check_model, named_layers, own_variables


def test_names_of_a_nested_model():
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(4, name="dense")], name="inner"
    )
    inputs = keras.Input((4,))
    once = inner(inputs)
    outputs = keras.layers.Add(name="add")([once, inner(once)])
    names = named_layers(keras.Model(inputs, outputs))
    assert names["inner/dense"] is inner.get_layer("dense")
    assert "inner" not in names
    assert len(set(map(id, names.values()))) == len(names)


def test_fused_layers_are_no_blocks():
    lstm = keras.layers.LSTM(3, name="lstm")
    model = keras.Sequential([keras.Input((5, 2)), lstm])
    assert list(named_layers(model)) == ["lstm"]
    assert own_variables(lstm) == lstm.variables


def test_what_is_no_model_is_named():
    with pytest.raises(TypeError, match="must be a built Keras model"):
        check_model("model.keras")
