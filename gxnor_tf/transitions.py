# SPDX-License-Identifier: Apache-2.0
"""Discrete state transition (DST): how a weight hops between its states.

Pure functions. With the increment dW that an ordinary optimizer would apply
(Deng et al., 2018, arXiv 1705.09283, section 2.4)::

    rho = clip(dW, -H - W, H - W)              bounded increment
    rho = kappa * dz + nu                      kappa truncated toward zero
    tau = tanh(m * |nu| / dz)                  transition probability
    W  <- W + dz * (kappa + sign(rho) * B)     B = 1 with probability tau
"""

import tensorflow as tf

from gxnor_tf.discrete_space import DiscreteSpace


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
    steps = tf.where(tf.math.is_nan(steps), tf.zeros_like(steps), steps)
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


def transition(
    states: tf.Tensor,
    increment: tf.Tensor,
    uniform: tf.Tensor,
    space: DiscreteSpace,
    transition_gain: float | tf.Tensor = 3.0,
) -> tf.Tensor:
    """One discrete state transition of every weight.

    Args:
        states: int8 states of the space.
        increment: float32 increment of the values, same shape.
        uniform: float32 random numbers in [0, 1), same shape.
        space: The space of the states.
        transition_gain: m, a number or a float32 scalar. Where it is not
            > 0, no weight hops at random.

    Returns:
        The new states, int8, always inside the space.

    Example:

    >>> new = transition(tf.constant([-1, 0, 1], tf.int8),
    ...                  tf.constant([2.0, 0.1, 5.0]),
    ...                  tf.constant([0.5, 0.1, 0.0]), DiscreteSpace(1))
    >>> new.numpy().tolist()
    [1, 1, 1]
    """
    current = tf.cast(states, tf.float32)
    bounded = bounded_increment(increment, current, space)
    jump, residue = split(bounded)
    hop = tf.cast(
        uniform < transition_probability(residue, transition_gain), tf.float32
    )
    steps = jump + tf.math.sign(bounded) * hop
    return tf.cast(current + steps * space.state_stride, tf.int8)


def stateless_uniform(
    shape: tf.TensorShape, seed: int, stream: int, iteration: tf.Tensor
) -> tf.Tensor:
    """Random numbers in [0, 1) that depend on the arguments only.

    So a run can be repeated and resumed, and every replica draws the same.
    The bits come from TensorFlow's Philox generator, which is identical in
    eager mode, graphs and XLA; its own conversion to float32 is not, hence
    the 24 upper bits are scaled here.

    Args:
        shape: Static shape of the result.
        seed: Seed of the run.
        stream: Number of the variable that is drawn for.
        iteration: Integer scalar tensor, the training step.

    Returns:
        float32 tensor of multiples of 2^-24.
    """
    key = tf.stack(
        [
            tf.constant(seed, tf.int64),
            tf.cast(iteration, tf.int64) * 2**16 + stream,
        ]
    )
    bits = tf.random.stateless_uniform(
        shape, key, minval=None, maxval=None, dtype=tf.uint32, alg="philox"
    )
    upper = tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32))
    return tf.cast(upper, tf.float32) * 2.0**-24
