# SPDX-License-Identifier: Apache-2.0
"""One training step of one discrete weight tensor, as a pure function.

It is compiled by XLA, whether or not the rest of the step is: some forty
elementwise operations become a few loops over the weights, and no random
number, moment or increment in float32 is written to memory.
"""

import functools
from typing import Any, Protocol

import tensorflow as tf

from gxnor_tf import random_bits, transitions
from gxnor_tf.discrete_space import DiscreteSpace
from gxnor_tf.moment_formats import MomentFormat, Stored
from gxnor_tf.step_rules import StepRule

# Largest size of a gradient element. Its square is finite in float32, and so
# is a sum of such squares; infinity would stay in the moments for ever.
_LARGEST = 1e18


class DiscreteUpdate(Protocol):
    """What `make()` makes."""

    def __call__(
        self,
        gradient: tf.Tensor,
        states: tf.Tensor,
        moments: tuple[Stored, ...],
        seed: tf.Tensor,
        stream: tf.Tensor,
        iteration: tf.Tensor,
        learning_rate: tf.Tensor,
        transition_gain: tf.Tensor,
    ) -> tuple[tf.Tensor, tuple[Stored, ...]]:
        """One step.

        Args:
            gradient: Gradient with respect to the values, floating. An
                element that is not finite counts as 0.
            states: int8 states.
            moments: The rule's moments, as the format holds them.
            seed: Of the random numbers of the run, an int64 scalar.
            stream: Number of the weight tensor, for random numbers of its
                own, likewise.
            iteration: Steps so far, likewise.
            learning_rate: float32 scalar.
            transition_gain: m, float32 scalar.

        Returns:
            The new states and the new moments.
        """


# All tensors of a kind share one function, so that those of one shape are
# compiled once in a process.
@functools.cache
def make(
    space: DiscreteSpace, step_rule: StepRule, moment_format: MomentFormat
) -> DiscreteUpdate:
    """The update `(states, moments) -> (states, moments)` of a gradient.

    Args:
        space: Space of the states.
        step_rule: Gives the increment.
        moment_format: How the rule's moments are held.
    """

    def update(
        gradient: tf.Tensor,
        states: tf.Tensor,
        moments: tuple[Stored, ...],
        seed: tf.Tensor,
        stream: tf.Tensor,
        iteration: tf.Tensor,
        learning_rate: tf.Tensor,
        transition_gain: tf.Tensor,
    ) -> tuple[tf.Tensor, tuple[Stored, ...]]:
        key = random_bits.make_key(seed, stream, iteration)
        increment, new_moments = step_rule.increment(
            _finite(tf.cast(gradient, tf.float32)),
            tuple(moment_format.decode(stored) for stored in moments),
            iteration + 1,
            learning_rate,
        )
        new_states, remainder = transitions.transition(
            states,
            increment,
            random_bits.uniform(random_bits.random_bits(states.shape, key, 0)),
            space,
            transition_gain,
            step_rule.probability,
        )
        new_moments = step_rule.feedback(new_moments, remainder)
        return new_states, tuple(
            moment_format.encode(
                moment, random_bits.random_bits(states.shape, key, draw)
            )
            for draw, moment in enumerate(new_moments, start=1)
        )

    compiled: Any = tf.function(update, autograph=False, jit_compile=True)
    made: DiscreteUpdate = compiled
    return made


def _finite(gradient: tf.Tensor) -> tf.Tensor:
    gradient = tf.where(
        tf.math.is_finite(gradient), gradient, tf.zeros_like(gradient)
    )
    return tf.clip_by_value(gradient, -_LARGEST, _LARGEST)
