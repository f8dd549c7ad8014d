# SPDX-License-Identifier: Apache-2.0
"""DiscreteActivation; the formulas are tested in activations_test.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src import testing

from gxnor_tf import DiscreteActivation, DiscreteSpace, activations


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"space": DiscreteSpace(0), "derivative_width": 1.0},
        {"space": DiscreteSpace(3, 2.0), "derivative": "triangular"},
        {"zero_window": 0.1},
    ],
)
def test_is_discretize_and_survives_saving(kwargs, tmp_path):
    layer = DiscreteActivation(**kwargs)
    x = np.linspace(-3, 3, 101, dtype=np.float32).reshape(1, 101)
    expected = activations.discretize(
        keras.ops.convert_to_tensor(x),
        layer.space,
        layer.zero_window,
        layer.derivative,
        layer.derivative_width,
    )
    assert (layer(x).numpy() == expected.numpy()).all()
    model = keras.Sequential([keras.Input((101,)), layer])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert (again(x).numpy() == expected.numpy()).all()
    assert again.layers[0].get_config() == layer.get_config()


def test_default_window_suits_the_space():
    assert DiscreteActivation().zero_window == 0.5
    assert DiscreteActivation(DiscreteSpace(0)).zero_window == 0
    for n in range(1, 8):
        assert DiscreteActivation(n).zero_window == 0.5
        layer = DiscreteActivation(DiscreteSpace(n, half_range=0.25))
        assert layer.zero_window == 0.125
    x = tf.constant([0.0, 0.2, 0.25, 0.3])
    y = activations.discretize(x, DiscreteSpace(2, 0.5))
    assert y.numpy().tolist() == [0, 0, 0, 0.25]


@pytest.mark.parametrize("space", [None, 0, 1])
def test_integers_are_cast(space):
    layer = DiscreteActivation(space)
    x = np.array([[-2, 0, 1]])
    y = layer(x)
    assert y.dtype == tf.float32
    assert (y.numpy() == layer(x.astype(np.float32)).numpy()).all()
    symbolic = layer(keras.Input((3,), dtype="int32"))
    assert symbolic.dtype == "float32"


def test_bad_arguments():
    with pytest.raises(ValueError, match="zero_window=-1"):
        DiscreteActivation(zero_window=-1)
    with pytest.raises(ValueError, match="derivative_width=0"):
        DiscreteActivation(derivative_width=0)
    with pytest.raises(TypeError, match="zero_window='a'"):
        DiscreteActivation(1, "a")
    with pytest.raises(TypeError, match="derivative_width=None"):
        DiscreteActivation(derivative_width=None)
    with pytest.raises(TypeError, match="Received: 2.5"):
        DiscreteActivation(2.5)
    with pytest.raises(ValueError, match="ReLU.*zero_window=0.5"):
        DiscreteActivation("float", zero_window=0.5)


@pytest.mark.parametrize("space", [None, "float"])
def test_full_precision_is_relu(space, tmp_path):
    layer = DiscreteActivation(space)
    assert (layer.space, layer.zero_window) == (None, None)
    x = tf.constant([[-2.0, -0.0, 0.25, 3.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    assert y.numpy().tolist() == [[0, 0, 0.25, 3]]
    assert tape.gradient(y, x).numpy().tolist() == [[0, 0, 1, 1]]
    model = keras.Sequential([keras.Input((4,)), layer])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.layers[0].space is None
    assert again.layers[0].get_config() == layer.get_config()
    assert (again(x).numpy() == y.numpy()).all()


@pytest.mark.parametrize("n", range(8))
def test_an_integer_is_a_space(n):
    assert DiscreteActivation(n).space == DiscreteSpace(n)


# Keras' training check gives a generator and leaves shuffle=True, and there
# is nothing to train.
@pytest.mark.filterwarnings(
    "ignore:.shuffle=True. was passed:UserWarning",
    "ignore:The model does not have any trainable:UserWarning",
)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("space", [None, 0, 1, 3, DiscreteSpace(2, 0.7)])
def test_keras_conformance(space, dtype):
    case = testing.TestCase()
    case.setUp()
    try:
        case.run_layer_test(
            DiscreteActivation,
            init_kwargs={"space": space, "dtype": dtype},
            input_shape=(2, 3, 4),
            expected_output_shape=(2, 3, 4),
            expected_output_dtype=dtype.removeprefix("mixed_"),
            expected_num_trainable_weights=0,
            expected_num_non_trainable_weights=0,
            expected_num_seed_generators=0,
            expected_num_losses=0,
            supports_masking=True,
        )
    finally:
        case.tearDown()


@pytest.mark.parametrize("training", [None, False, True])
def test_only_training_has_what_converters_misread(training):
    """TensorFlow Lite's would make a quantised tensor of it."""
    layer = DiscreteActivation()
    step = tf.function(lambda x: layer(x, training=training))
    graph = step.get_concrete_function(tf.TensorSpec((2, 3))).graph
    operations = {operation.type for operation in graph.get_operations()}
    assert ("QuantizeAndDequantizeV2" in operations) == bool(training)
