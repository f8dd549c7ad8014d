# SPDX-License-Identifier: Apache-2.0
"""The discrete space Z_N."""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from gxnor_tf import DiscreteSpace, get_space

spaces = st.builds(
    DiscreteSpace, st.integers(0, 7), st.floats(0.0625, 64, width=32)
)


@hypothesis.given(spaces)
def test_definition(space):
    """Z_N = {-H + k dz}, dz = 2H / 2^N."""
    count = 2 if space.n == 0 else 2**space.n + 1
    step = 2 * space.half_range / (count - 1)
    assert space.num_states == count == len(space.states)
    assert space.step == pytest.approx(step)
    expected = -space.half_range + step * np.arange(count)
    np.testing.assert_allclose(
        space.values, expected, atol=1e-6 * space.half_range
    )
    assert space.states.dtype == np.int8
    assert (np.diff(space.states.astype(int)) == space.state_stride).all()
    assert space.contains(space.states)
    assert not space.contains([space.max_state + 1])
    assert space.contains([0]) == (space.n > 0)


@hypothesis.given(spaces, st.lists(st.floats(-200, 200), min_size=1))
def test_nearest_state_is_nearest(space, values):
    states = space.nearest_states(values).numpy()
    assert space.contains(states)
    found = np.abs(states * space.unit - values)
    best = np.abs(space.values[None] - np.array(values)[:, None]).min(1)
    np.testing.assert_allclose(found, best, atol=1e-4)


@hypothesis.given(spaces)
def test_states_are_their_own_nearest(space):
    nearest = space.nearest_states(space.values).numpy()
    assert (nearest == space.states).all()


@hypothesis.given(spaces)
def test_config_round_trip(space):
    assert DiscreteSpace.from_config(space.get_config()) == space
    assert DiscreteSpace.from_config(space) is space


@pytest.mark.parametrize("n", [-1, 8, 100])
def test_n_outside_the_range(n):
    with pytest.raises(ValueError, match=rf"0..7.*Received: n={n}"):
        DiscreteSpace(n)


@pytest.mark.parametrize("n", [1.0, "1", None, True])
def test_n_must_be_an_integer(n):
    with pytest.raises(TypeError, match="`n` must be an integer"):
        DiscreteSpace(n)


@pytest.mark.parametrize("half_range", [0, -1.0, np.nan, np.inf])
def test_half_range_outside_the_range(half_range):
    with pytest.raises(ValueError, match="`half_range` must be"):
        DiscreteSpace(1, half_range)


@pytest.mark.parametrize("half_range", [True, "a", None, [1.0]])
def test_half_range_must_be_a_number(half_range):
    with pytest.raises(TypeError, match="`half_range` must be a number"):
        DiscreteSpace(1, half_range)


def test_nearest_state_of_nan():
    with pytest.raises(ValueError, match="must be finite"):
        DiscreteSpace(1).nearest_states([0.0, np.nan])
    with pytest.raises(ValueError, match="Received 1 NaN"):
        DiscreteSpace(0).nearest_states(tf.constant([0.0, np.nan]))


@pytest.mark.parametrize(("n", "state"), [(0, -1), (1, 0), (3, 0)])
def test_nearest_state_of_nan_in_a_graph(n, state):
    space = DiscreteSpace(n)
    for compiled in (False, True):
        nearest = tf.function(space.nearest_states, jit_compile=compiled)
        states = nearest(tf.constant([np.nan, 1.0, np.inf])).numpy()
        assert states.tolist() == [state, space.max_state, space.max_state]


def test_from_config_refuses_other_things():
    with pytest.raises(TypeError, match=r"DiscreteSpace\(n\)"):
        DiscreteSpace.from_config(1)
    for config in ({"n": 1, "x": 2}, {}, {"half_range": 1.0}):
        with pytest.raises(ValueError, match="has the keys 'n' and"):
            get_space(config)


@hypothesis.given(spaces)
def test_get_space_of_a_space(space):
    assert get_space(space) is space
    assert get_space(space.get_config()) == space
    assert get_space(space.n) == DiscreteSpace(space.n)
    assert get_space(np.int64(space.n)) == DiscreteSpace(space.n)


@pytest.mark.parametrize("identifier", [None, "float"])
def test_get_space_of_full_precision(identifier):
    assert get_space(identifier) is None


@pytest.mark.parametrize(
    "identifier", [True, 1.0, "ternary", "1", [1], object, np.array([1, 2])]
)
def test_get_space_refuses_other_things(identifier):
    with pytest.raises(TypeError, match="must be a `DiscreteSpace`, an int"):
        get_space(identifier)


@pytest.mark.parametrize("identifier", [-1, 8, {"n": 9}])
def test_get_space_outside_the_range(identifier):
    with pytest.raises(ValueError, match="0..7"):
        get_space(identifier)
