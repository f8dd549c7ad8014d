# SPDX-License-Identifier: Apache-2.0
"""Discrete state transition: stays in the space, hops as often as it says."""

import math

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gxnor_tf import DiscreteSpace, random_bits, transitions

spaces = st.builds(
    DiscreteSpace, st.integers(0, 7), st.sampled_from([0.3, 1.0, 2.5])
)
increments = hnp.arrays(
    np.float32,
    st.integers(1, 40),
    elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
)


def uniform_numbers(shape, iteration):
    key = random_bits.make_key(1, 2, iteration)
    return random_bits.uniform(random_bits.random_bits(shape, key, 0))


@hypothesis.given(spaces, increments, st.integers(0, 2**32 - 1))
def test_state_stays_in_space(space, increment, seed):
    rng = np.random.default_rng(seed)
    states = rng.choice(space.states, increment.shape)
    uniform = rng.random(increment.shape, np.float32)
    new, _ = transitions.transition(states, increment, uniform, space, 3.0)
    assert new.dtype == tf.int8
    assert space.contains(new.numpy())


@hypothesis.given(spaces, increments)
def test_agrees_with_the_paper_in_float64(space, increment):
    """Eq. by eq. in values, where no rounding decides a branch."""
    rng = np.random.default_rng(increment.size)
    increment = np.nan_to_num(increment, nan=0.0)
    states = rng.choice(space.states, increment.shape)
    uniform = rng.random(increment.shape, np.float32)
    half, step = space.half_range, space.step
    value = states * np.float64(space.unit)
    rho = np.clip(increment.astype(np.float64), -half - value, half - value)
    kappa = np.trunc(rho / step)
    nu = rho - kappa * step
    tau = np.tanh(3.0 * np.abs(nu) / step)
    hop = np.sign(rho) * (uniform < tau)
    expected = (value + step * (kappa + hop)) / space.unit
    new, _ = transitions.transition(states, increment, uniform, space, 3.0)
    # float32 may put an increment on the other side of a whole number of
    # steps, or tau on the other side of the random number.
    clear = (np.abs(rho / step - np.rint(rho / step)) > 1e-4) | (rho == 0)
    clear &= np.abs(tau - uniform) > 1e-4
    np.testing.assert_allclose(
        new.numpy()[clear], expected[clear], atol=1e-6 * space.max_state
    )


@pytest.mark.parametrize("n", [0, 1, 2, 4])
@pytest.mark.parametrize("residue", [0.01, 0.1, 0.4, -0.25])
def test_transition_frequency(n, residue):
    """A z-test of the hops against tanh(m |nu| / dz), fixed seed."""
    space = DiscreteSpace(n)
    count = 200_000
    start = space.states[0] if residue > 0 else space.states[-1]
    states = np.full(count, start)
    increment = np.full(count, residue * space.step, np.float32)
    uniform = uniform_numbers((count,), 3)
    new, _ = transitions.transition(states, increment, uniform, space, 3.0)
    moved = (new.numpy() != states).mean()
    direction = np.unique(np.sign(new.numpy().astype(int) - states))
    assert set(direction) == {0, np.sign(residue)}
    probability = math.tanh(3.0 * abs(residue))
    deviation = math.sqrt(probability * (1 - probability) / count)
    assert abs(moved - probability) < 4 * deviation


def test_whole_steps_are_certain():
    space = DiscreteSpace(3)
    new, _ = transitions.transition(
        tf.constant([-4, 0, 3, 4], tf.int8),
        tf.constant([2.0, -0.5, 1.0, -2.0]),
        tf.ones(4) * 0.999,
        space,
    )
    assert new.numpy().tolist() == [4, -2, 4, -4]


def test_nan_increment_does_not_move():
    new, _ = transitions.transition(
        tf.constant([-1, 1], tf.int8),
        tf.constant([np.nan, np.nan]),
        tf.zeros(2),
        DiscreteSpace(1),
    )
    assert new.numpy().tolist() == [-1, 1]


def test_infinite_increment_goes_to_the_edge():
    new, _ = transitions.transition(
        tf.constant([1, -1], tf.int8),
        tf.constant([-np.inf, np.inf]),
        tf.zeros(2),
        DiscreteSpace(1),
    )
    assert new.numpy().tolist() == [-1, 1]


def test_eager_graph_and_xla_agree():
    space = DiscreteSpace(2)
    rng = np.random.default_rng(0)
    states = tf.constant(rng.choice(space.states, (300, 41)))
    increment = tf.constant(rng.normal(0, 0.4, (300, 41)), tf.float32)

    def step(iteration):
        uniform = uniform_numbers((300, 41), iteration)
        return transitions.transition(states, increment, uniform, space)[0]

    iteration = tf.constant(12, tf.int64)
    eager = step(iteration).numpy()
    graph = tf.function(step)(iteration).numpy()
    xla = tf.function(step, jit_compile=True)(iteration).numpy()
    assert (eager == graph).all()
    # tanh of XLA may differ in the last bit, which decides a hop only where
    # the random number, a multiple of 2^-24, falls into that bit.
    assert (eager != xla).mean() < 1e-4


@pytest.mark.parametrize("n", [0, 1, 3])
def test_certain_hops_round_and_leave_the_remainder(n):
    space = DiscreteSpace(n, half_range=0.5)
    rng = np.random.default_rng(n)
    states = rng.choice(space.states, 1000)
    increment = rng.normal(0, space.step, 1000).astype(np.float32)
    new, bounded = transitions.transition(
        states,
        increment,
        rng.random(1000, np.float32),
        space,
        probability=lambda residue, _: transitions.certain(residue),
    )
    remainder = transitions.remainder(states, new, bounded, space)
    values = states * space.unit
    bounded = np.clip(increment, -0.5 - values, 0.5 - values)
    taken = (new.numpy().astype(int) - states) * space.unit
    np.testing.assert_allclose(
        taken, np.rint(bounded / space.step) * space.step, atol=1e-6
    )
    np.testing.assert_allclose(remainder, bounded - taken, atol=1e-6)
    assert np.abs(remainder).max() <= space.step * 0.5001
