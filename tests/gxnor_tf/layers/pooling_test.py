# SPDX-License-Identifier: Apache-2.0
"""MaxPooling2D is Keras' layer, in every mode and every case."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import gxnor_tf
from gxnor_tf.layers.pooling import max_of_windows

CASES = {
    "default": ({}, (8, 6, 3)),
    "3x2": ({"pool_size": (3, 2)}, (6, 6, 2)),
    "rows that fill no window": ({"pool_size": (2, 3)}, (7, 8, 2)),
    "one row": ({"pool_size": (1, 4)}, (3, 8, 1)),
    "same, divisible": ({"padding": "same"}, (4, 4, 2)),
    "same, padded": ({"padding": "same"}, (5, 4, 2)),
    "overlapping": ({"pool_size": 3, "strides": 2}, (7, 7, 2)),
    "large window": ({"pool_size": 5}, (10, 10, 2)),
    "no window": ({"pool_size": 1}, (3, 3, 2)),
}
MODES = {
    "eager": lambda f: f,
    "graph": tf.function,
    "xla": lambda f: tf.function(f, jit_compile=True),
}


def value_and_gradient(layer, x, upstream):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    return y, tape.gradient(y, x, output_gradients=upstream)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES)
def test_equals_keras(case, mode):
    arguments, shape = CASES[case]
    ours = gxnor_tf.MaxPooling2D(**arguments)
    keras_layer = keras.layers.MaxPooling2D(**arguments)
    rng = np.random.default_rng(0)
    # Few values, so that many windows have equal elements.
    x = tf.constant(rng.integers(-1, 2, (4, *shape)), tf.float32)
    sizes = keras_layer.compute_output_shape(x.shape)
    upstream = tf.constant(rng.normal(size=sizes), tf.float32)
    y, gradient = MODES[mode](
        lambda x, g: value_and_gradient(ours, x, g),
    )(x, upstream)
    expected = keras_layer(x)
    # Keras' gradient where it is known to prefer the first of equals.
    with tf.GradientTape() as tape:
        tape.watch(x)
        keras_y = keras_layer(x)
    keras_gradient = tape.gradient(keras_y, x, output_gradients=upstream)
    assert (y.numpy() == expected.numpy()).all()
    # Overlapping windows add up, in any order.
    np.testing.assert_allclose(gradient, keras_gradient, rtol=1e-6, atol=1e-6)


def test_first_of_equal_elements_gets_the_gradient():
    x = tf.constant([[1, 3, 0], [3, 3, 1]], tf.float32)[None, :, :, None]
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = max_of_windows(x, (2, 3))
    assert y.numpy().ravel().tolist() == [3]
    gradient = tape.gradient(y, x).numpy()
    assert gradient[0, :, :, 0].tolist() == [[0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    "shape, arguments, dtype",
    [
        ((4, 8, 8, 2), {"data_format": "channels_first"}, "float32"),
        ((4, None, 8, 2), {}, "float32"),
        ((4, 8, 8, 2), {"strides": 1}, "float32"),
        ((4, 5, 8, 2), {"padding": "same"}, "float32"),
        ((4, 8, 8, 2), {"pool_size": 5}, "float32"),
        ((4, 8, 8, 2), {}, "int32"),
    ],
)
def test_all_else_is_left_to_keras(shape, arguments, dtype):
    def is_simple(layer):
        found = []
        function = tf.function(lambda x: found.append(layer._is_simple(x)))
        function.get_concrete_function(tf.TensorSpec(shape, dtype))
        return found

    assert is_simple(gxnor_tf.MaxPooling2D(**arguments)) == [False]
    shape, dtype = (None, 8, 8, 2), "float32"
    assert is_simple(gxnor_tf.MaxPooling2D()) == [True]


def test_xla_gets_the_other_form_and_only_xla():
    layer = gxnor_tf.MaxPooling2D()
    x = tf.ones((1, 4, 4, 1))

    def operations(jit_compile):
        function = tf.function(lambda x: layer(x), jit_compile=jit_compile)
        graph = function.get_concrete_function(x).graph
        return {op.type for op in graph.get_operations()}

    assert "MaxPool" in operations(False)
    assert "Maximum" in operations(True) - operations(False)
    assert "MaxPool" not in operations(True)


def test_mixed_precision_and_saving(tmp_path):
    layer = gxnor_tf.MaxPooling2D((2, 4), name="pool", dtype="mixed_bfloat16")
    model = keras.Sequential([keras.Input((4, 8, 2)), layer])
    x = np.random.default_rng(0).normal(size=(3, 4, 8, 2)).astype(np.float32)
    y = tf.function(lambda x: model(x), jit_compile=True)(x)
    assert y.dtype == tf.bfloat16
    assert (y.numpy() == model(x).numpy()).all()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.layers[0]) is gxnor_tf.MaxPooling2D
    assert again.layers[0].get_config() == layer.get_config()
    assert (again(x).numpy() == y.numpy()).all()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_fit_is_the_same_as_with_keras(jit_compile):
    def trained(pool):
        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [
                keras.Input((9, 9, 1)),
                gxnor_tf.DiscreteConv2D(4, 2),
                pool,
                keras.layers.Flatten(),
                gxnor_tf.DiscreteDense(2),
            ]
        )
        model.compile(
            gxnor_tf.DiscreteStateTransition(0.1),
            "mse",
            jit_compile=jit_compile,
        )
        rng = np.random.default_rng(0)
        x = rng.integers(-1, 2, (10, 9, 9, 1)).astype(np.float32)
        # The last batch is smaller.
        model.fit(x, x[:, 0, :2, 0], 4, epochs=2, shuffle=False, verbose=0)
        return model.get_weights()

    ours = trained(gxnor_tf.MaxPooling2D())
    theirs = trained(keras.layers.MaxPooling2D())
    for a, b in zip(ours, theirs, strict=True):
        assert (a == b).all()
