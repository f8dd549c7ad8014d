# SPDX-License-Identifier: Apache-2.0
"""Two variables in the same bytes, which look like two."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf import DiscreteSpace
from gxnor_tf.shared_variable import MomentView, SharedVariable

STATES = np.array([[1, 0, -1], [0, 1, 1]], np.int8)
CODES = np.array([[-63, 63, 5], [-7, 0, -1]], np.int8)


@pytest.fixture
def weights():
    return SharedVariable(STATES, space=DiscreteSpace(1), name="kernel")


@pytest.fixture
def moment(weights):
    view = MomentView(weights, "moment")
    view.assign(CODES)
    return view


def test_one_byte_for_both(weights, moment):
    assert moment.value is weights.value
    assert weights.value.dtype == tf.int8
    assert weights.value.numpy().tolist() == [[64, 63, -122], [-7, 127, 126]]


LOOKS = {
    "numpy": lambda x: x.numpy(),
    "array": np.asarray,
    "array of a type": lambda x: np.asarray(x, np.float32),
    "tensor": tf.convert_to_tensor,
    "keras.ops": keras.ops.convert_to_numpy,
    "cast": lambda x: keras.ops.cast(x, "float32"),
    "operation of TensorFlow": lambda x: tf.add(x, tf.zeros_like(x)),
    "operation of Keras": lambda x: keras.ops.negative(keras.ops.negative(x)),
    "operator": lambda x: x * np.int8(1),
    "other side": lambda x: np.int8(0) + x,
    "minus": lambda x: np.int8(-1) * -x,
    "row": lambda x: x[:],
    "graph": lambda x: tf.function(lambda: tf.convert_to_tensor(x))(),
    "operator in a graph": lambda x: tf.function(lambda: x + np.int8(0))(),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_looks_like_its_part(weights, moment, look):
    assert (np.asarray(look(weights)) == STATES).all()
    assert (np.asarray(look(moment)) == CODES).all()


def test_comparisons_are_of_its_part(weights, moment):
    assert ((weights == STATES) & (moment <= CODES)).numpy().all()
    assert not ((weights != STATES) | (moment > CODES)).numpy().any()


def test_no_operator_is_left_to_the_bytes(weights, moment):
    """Keras has them where its own `value` is what they work on."""
    classes = inspect.getmro(keras.Variable)
    (base,) = (made for made in classes if "__add__" in vars(made))
    operators = {
        name
        for name, made in vars(base).items()
        if name.startswith("__")
        and callable(made)
        and "value" in made.__code__.co_names
    }
    assert len(operators) > 20
    for name in operators:
        for view in (weights, moment):
            assert getattr(type(view), name) is not getattr(base, name), name
    assert (+weights).numpy().tolist() == STATES.tolist()
    assert round(moment).numpy().tolist() == CODES.tolist()
    scalar = SharedVariable(np.int8(-1), space=DiscreteSpace(1))
    assert int(scalar) == float(scalar) == -1


def test_shows_no_bytes(weights, moment):
    assert repr(weights) == (
        "<SharedVariable path=kernel, shape=(2, 3), dtype=int8>"
    )
    assert repr(moment).startswith("<MomentView path=moment")


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_reads_states_with_the_gradient_of_the_values(mode, dtype):
    space = DiscreteSpace(4, 0.5)
    states = np.resize(space.states, (2, 17))
    weights = SharedVariable(states, space=space)

    def run():
        with tf.GradientTape() as tape:
            read = weights.read_states(dtype)
            loss = tf.reduce_sum(3 * tf.cast(read, "float32"))
        return read, tape.gradient(loss, [weights])[0]

    if mode != "eager":
        run = tf.function(run, jit_compile=mode == "xla")
    read, gradient = run()
    assert read.dtype == dtype
    assert (tf.cast(read, "int32").numpy() == states).all()
    assert (gradient.numpy() == 3 / space.unit).all()


@pytest.mark.parametrize("shape", [None, (2, 3), (None, 3)])
def test_states_that_stay_keep_their_moments(weights, moment, shape):
    other = STATES.copy()
    other[0, 0], other[1, 2] = -1, 0
    kept = np.where(other == STATES, CODES, 0)
    if shape is None:
        weights.assign(other)
    else:
        signature = [tf.TensorSpec(shape, tf.int8)]
        tf.function(lambda x: weights.assign(x), signature)(other)
    assert (weights.numpy() == other).all()
    assert (moment.numpy() == kept).all()


def test_moments_that_point_out_of_the_space_are_dropped(weights, moment):
    moment.assign(np.full((2, 3), 9, np.int8))
    assert (weights.numpy() == STATES).all()
    assert (moment.numpy() == np.where(STATES == 1, 0, 9)).all()


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (np.full((2, 3), 64), "-63 to 63. Received 6 of 6 others, such as 64"),
        (np.full((2, 3), 0.5), "such as 0.5"),
        (np.full((2, 3), "a"), "such as a"),
        (np.zeros(3), r"as shape \(2, 3\), .*Received: shape \(3,\)"),
    ],
)
def test_what_is_no_moment(weights, moment, bad, text):
    with pytest.raises(ValueError, match=f"`moment` h.*{text}"):
        moment.assign(bad)
    assert (moment.numpy() == CODES).all()
    assert (weights.numpy() == STATES).all()


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (np.full((2, 3), 2), "6 of 6 values outside of it, such as 2"),
        (np.ones((1, 3), np.int8), r"has shape \(2, 3\).*shape \(1, 3\)"),
        (np.ones(3, np.int8), r"has shape \(2, 3\).*shape \(3,\)"),
    ],
)
def test_what_are_no_states(weights, moment, bad, text):
    with pytest.raises(ValueError, match=text):
        weights.assign(bad)
    assert (moment.numpy() == CODES).all()
    assert (weights.numpy() == STATES).all()


def test_initial_states_are_checked():
    with pytest.raises(ValueError, match="such as 5"):
        SharedVariable(np.array([5]), space=DiscreteSpace(1))
    made = SharedVariable(
        lambda shape, dtype: tf.fill(shape, tf.cast(-1, dtype)),
        DiscreteSpace(0),
        (2,),
    )
    assert made.numpy().tolist() == [-1, -1]


def test_a_checkpoint_of_tensorflow_has_both(weights, moment, tmp_path):
    path = tf.train.Checkpoint(weights=weights).write(str(tmp_path / "saved"))
    other = SharedVariable(np.zeros_like(STATES), space=DiscreteSpace(1))
    tf.train.Checkpoint(weights=other).read(path).assert_consumed()
    assert (other.numpy() == STATES).all()
    assert (MomentView(other, "other").numpy() == CODES).all()
