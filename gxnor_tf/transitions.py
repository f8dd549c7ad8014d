# SPDX-License-Identifier: Apache-2.0
"""Discrete state transition (DST): how a weight hops between its states.

Pure functions. With the increment dW that an ordinary optimizer would apply
(Deng et al., 2018, arXiv 1705.09283, section 2.4)::

    rho = clip(dW, -H - W, H - W)              bounded increment
    rho = kappa * dz + nu                      kappa truncated toward zero
    tau = tanh(m * |nu| / dz)                  transition probability
    W  <- W + dz * (kappa + sign(rho) * B)     B = 1 with probability tau
"""

from collections.abc import Callable

import tensorflow as tf

from gxnor_tf.discrete_space import DiscreteSpace
from gxnor_tf.narrowing import to_int8

Probability = Callable[[tf.Tensor, float | tf.Tensor], tf.Tensor]


def bounded_increment(
    increment: tf.Tensor, states: tf.Tensor, space: DiscreteSpace
) -> tf.Tensor:
    """The increment in steps, bounded so that the weight stays in the space.

    Args:
        increment: float32 increment of the weight's value.
        states: Current states, floating, of the same shape.
        space: The space of the states.

    Returns:
        float32 `rho / dz`. An increment that is NaN gives 0: a hop needs a
        direction, and the state must stay in the space.
    """
    steps = increment / tf.constant(space.step, tf.float32)
    steps = tf.where(tf.math.is_nan(steps), 0.0, steps)
    lower = (-space.max_state - states) / space.state_stride
    upper = (space.max_state - states) / space.state_stride
    return tf.clip_by_value(steps, lower, upper)


def split(bounded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits a bounded increment (in steps) into `(jump, residue)`.

    >>> jump, residue = split(tf.constant([1.75, -0.25]))
    >>> jump.numpy().tolist(), residue.numpy().tolist()
    ([1.0, -0.0], [0.75, -0.25])
    """
    jump = tf.math.sign(bounded) * tf.math.floor(tf.math.abs(bounded))
    return jump, bounded - jump


def transition_probability(
    residue: tf.Tensor, transition_gain: float | tf.Tensor
) -> tf.Tensor:
    """Tau = tanh(m |nu| / dz), for a residue in steps."""
    return tf.math.tanh(transition_gain * tf.math.abs(residue))


def certain(residue: tf.Tensor, threshold: float = 0.5) -> tf.Tensor:
    """A probability of 0 or 1: whether a residue is beyond a threshold.

    Args:
        residue: float32, in steps.
        threshold: In steps; at a half the weight hops to the nearest state.

    >>> certain(tf.constant([-0.4, 0.6])).numpy().tolist()
    [0.0, 1.0]
    """
    return tf.cast(tf.math.abs(residue) > threshold, residue.dtype)


def transition(
    states: tf.Tensor,
    increment: tf.Tensor,
    uniform: tf.Tensor,
    space: DiscreteSpace,
    transition_gain: float | tf.Tensor = 3.0,
    probability: Probability = transition_probability,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One discrete state transition of every weight.

    Args:
        states: int8 states of the space.
        increment: float32 increment of the values, same shape.
        uniform: float32 random numbers in [0, 1), same shape; a scalar where
            hops are certain, which need none.
        space: The space of the states.
        transition_gain: m, a number or a float32 scalar. Where it is not
            > 0, no weight hops at random.
        probability: Maps `(residue, transition_gain)` to the probability of
            a hop.

    Returns:
        `(new_states, bounded)`: the new states, int8, always inside the
        space; and the increment in steps that was offered to them, float32.

    Example:

    >>> states = tf.constant([-1, 0, 1], tf.int8)
    >>> new, bounded = transition(states, tf.constant([2.0, 0.25, 5.0]),
    ...                           tf.constant([0.5, 0.1, 0.0]),
    ...                           DiscreteSpace(1))
    >>> new.numpy().tolist(), bounded.numpy().tolist()
    ([1, 1, 1], [2.0, 0.25, 0.0])
    """
    current = tf.cast(states, tf.float32)
    bounded = bounded_increment(increment, current, space)
    jump, residue = split(bounded)
    hop = tf.cast(uniform < probability(residue, transition_gain), tf.float32)
    taken = jump + tf.math.sign(bounded) * hop
    return to_int8(current + taken * space.state_stride), bounded


def remainder(
    states: tf.Tensor,
    new_states: tf.Tensor,
    bounded: tf.Tensor,
    space: DiscreteSpace,
) -> tf.Tensor:
    """What a transition did not take of the bounded increment.

    Apart from `transition()`, so that a compiler can take the states that are
    in memory by then.

    Args:
        states: int8 states before the transition.
        new_states: Those after it.
        bounded: The bounded increment, in steps.
        space: The space of the states.

    Returns:
        float32, in values.

    >>> remainder(tf.constant([0, 0], tf.int8), tf.constant([1, 0], tf.int8),
    ...           tf.constant([0.75, 0.25]), DiscreteSpace(1)).numpy().tolist()
    [-0.25, 0.25]
    """
    # Differences of states of 8 bits may need 9.
    before, after = (tf.cast(x, tf.float32) for x in (states, new_states))
    return (bounded - (after - before) / space.state_stride) * space.step
