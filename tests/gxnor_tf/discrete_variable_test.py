# SPDX-License-Identifier: Apache-2.0
"""The trainable int8 variable."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf import DiscreteDense, DiscreteSpace, DiscreteVariable

TERNARY = DiscreteSpace(1)


def make(states, space=TERNARY):
    return DiscreteVariable(
        np.array(states, np.int8), space=space, name="kernel"
    )


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("half_range", [1.0, 0.5])
def test_gradient_is_that_of_the_values(mode, half_range):
    variable = make([[1, 0], [-1, 1]], DiscreteSpace(1, half_range))
    x = tf.constant([[2.0, 3.0]])

    def gradient():
        with tf.GradientTape() as tape:
            values = variable.read_states() * half_range
            loss = tf.reduce_sum(tf.square(x @ values))
        return tape.gradient(loss, [variable.value])[0]

    if mode != "eager":
        gradient = tf.function(gradient, jit_compile=mode == "xla")
    got = gradient()
    values = np.array([[1, 0], [-1, 1]]) * half_range
    expected = x.numpy().T @ (2 * (x.numpy() @ values))
    assert got.dtype == tf.float32
    assert got.numpy().tolist() == expected.tolist()


def test_holds_int8_and_nothing_else():
    variable = make([1, 0, -1])
    assert variable.dtype == "int8"
    assert variable.trainable
    assert variable.value.dtype == tf.int8


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_states_are_exact_in_every_dtype(dtype):
    space = DiscreteSpace(7)
    states = make(space.states, space).read_states(dtype)
    assert states.dtype == dtype
    assert (tf.cast(states, tf.int32).numpy() == space.states).all()


@pytest.mark.parametrize(
    ("space", "bad", "text"),
    [
        (TERNARY, [2, 0, 3], "2 of 3 values outside of it, such as 2, 3"),
        (TERNARY, [0.5, 0, 1], "such as 0.5"),
        (TERNARY, [np.nan, 0, 1], "such as nan"),
        (DiscreteSpace(0), [0, 1, -1], "from -1 to 1 without 0"),
        (DiscreteSpace(2), [-3, 0, 2], "from -2 to 2.*such as -3"),
    ],
)
def test_assignment_outside_the_space(space, bad, text):
    good = np.array([1, -1, 1], np.int8)
    variable = make(good, space)
    with pytest.raises(ValueError, match=f"`kernel` holds int8.*{text}"):
        variable.assign(np.array(bad))
    with pytest.raises(ValueError, match=text):
        variable.assign(tf.constant(bad))
    assert (variable.numpy() == good).all()


def test_initial_value_outside_the_space():
    with pytest.raises(ValueError, match="nearest_states"):
        make([5])


@pytest.mark.parametrize("states", [[[0, 1]], [[np.nan, 1]], [[0.5, -1]]])
def test_initial_value_of_a_callable(states):
    def initializer(shape, dtype):
        assert dtype == "int8"
        return tf.reshape(tf.constant(states), shape)

    with pytest.raises(ValueError, match="`kernel` holds .* without 0"):
        DiscreteVariable(initializer, DiscreteSpace(0), (2,), name="kernel")


# Keras says that the format is old.
@pytest.mark.filterwarnings("ignore:.*HDF5")
def test_legacy_files_are_checked_for_states(tmp_path):
    models = []
    for n in (1, 2):
        layer = DiscreteDense(2, weight_space=n)
        model = keras.Sequential([keras.Input((3,)), layer])
        layer.kernel.assign(np.full((3, 2), n, np.int8))
        model.save(tmp_path / f"{n}.h5")
        models.append(model)
    with pytest.raises(ValueError, match="holds int8 states.*such as 2"):
        models[0].load_weights(tmp_path / "2.h5")
