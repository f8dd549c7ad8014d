# SPDX-License-Identifier: Apache-2.0
"""One training step of one discrete weight tensor, as a pure function.

It is compiled by XLA, whether or not the rest of the step is: some forty
elementwise operations, each a pass over memory, become a few loops.
"""

import functools
from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf

from gxnor_tf import random_bits, reductions, transitions
from gxnor_tf.discrete_space import DiscreteSpace
from gxnor_tf.moment_formats import MomentFormat, Stored, UniformInteger
from gxnor_tf.shared_byte import SharedByte
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
    ) -> tuple[tf.Tensor, tuple[Stored, ...], tf.Tensor]:
        """One step.

        Args:
            gradient: Gradient with respect to the values, floating. An
                element that is not finite counts as 0.
            states: int8 states, or the bytes that they share with moments.
            moments: The rule's moments, as the format holds them; none that
                share bytes with states.
            seed: Of the random numbers of the run, an int64 scalar.
            stream: Number of the weight tensor, for random numbers of its
                own, likewise.
            iteration: Steps so far, likewise.
            learning_rate: float32 scalar. One that is not finite counts as 0.
            transition_gain: m, float32 scalar. Rules without one ignore it.

        Returns:
            The new states or bytes, the new moments, and how many states are
            others than before, a float32 scalar.
        """


# Tensors that are alike share one function, so that it is compiled once in a
# process; a limit, so that a search over settings does not fill the memory.
@functools.lru_cache(maxsize=256)
def make(
    space: DiscreteSpace,
    step_rule: StepRule,
    moment_format: MomentFormat,
    shape: tuple[int, ...],
) -> DiscreteUpdate:
    """The update of states and moments by a gradient.

    Args:
        space: Space of the states.
        step_rule: Gives the increment.
        moment_format: How the rule's moments are held.
        shape: Shape of the states.
    """
    return _compiled(_update(space, step_rule, moment_format, shape))


@functools.lru_cache(maxsize=256)
def make_shared(
    shared: SharedByte, step_rule: StepRule, shape: tuple[int, ...]
) -> DiscreteUpdate:
    """The same for states that share their bytes with the rule's moment.

    Args:
        shared: How they do.
        step_rule: `ErrorFeedback`, whose only moment has a largest value.
        shape: Shape of the states.
    """
    largest = step_rule.largest_moment(shared.space)
    assert largest is not None
    apart = _update(
        shared.space,
        step_rule,
        UniformInteger(shared.bits, largest=largest),
        shape,
    )

    def update(
        gradient: tf.Tensor,
        states: tf.Tensor,
        moments: tuple[Stored, ...],
        *others: tf.Tensor,
    ) -> tuple[tf.Tensor, tuple[Stored, ...], tf.Tensor]:
        new_states, ((codes,),), moved = apart(
            gradient,
            tf.cast(shared.states(states), tf.int8),
            ((shared.codes(states),),),
            *others,
        )
        floats = (tf.cast(x, tf.float32) for x in (new_states, codes))
        return shared.join(*floats), moments, moved

    return _compiled(update)


def _compiled(update: Callable[..., Any]) -> DiscreteUpdate:
    compiled: Any = tf.function(update, autograph=False, jit_compile=True)
    made: DiscreteUpdate = compiled
    return made


def _update(
    space: DiscreteSpace,
    step_rule: StepRule,
    moment_format: MomentFormat,
    shape: tuple[int, ...],
) -> Callable[..., Any]:
    def update(
        gradient: tf.Tensor,
        states: tf.Tensor,
        moments: tuple[Stored, ...],
        seed: tf.Tensor,
        stream: tf.Tensor,
        iteration: tf.Tensor,
        learning_rate: tf.Tensor,
        transition_gain: tf.Tensor,
    ) -> tuple[tf.Tensor, tuple[Stored, ...], tf.Tensor]:
        key = random_bits.make_key(seed, stream, iteration)
        # Certain hops need no chance, and no time for it. A scalar, for of a
        # constant tensor the compilation makes several copies.
        uniform = (
            tf.constant(0.0)
            if step_rule.default_gain is None
            else random_bits.uniform(random_bits.random_bits(shape, key, 0))
        )
        # That of a product over several axes comes without its sizes.
        gradient = tf.ensure_shape(tf.cast(gradient, tf.float32), shape)
        increment, new_moments = step_rule.increment(
            _finite(gradient),
            tuple(moment_format.decode(stored) for stored in moments),
            iteration + 1,
            tf.where(tf.math.is_finite(learning_rate), learning_rate, 0.0),
        )
        new_states, bounded = transitions.transition(
            states,
            increment,
            uniform,
            space,
            transition_gain,
            step_rule.probability,
        )
        # A branch, though always taken: on a CPU, XLA then reads the states
        # that it has written, where it would otherwise compute them once more
        # for each of the other results.
        new_states = tf.cond(iteration >= 0, lambda: new_states, lambda: states)
        remainder = transitions.remainder(states, new_states, bounded, space)
        new_moments = step_rule.feedback(new_moments, remainder)
        stored = tuple(
            moment_format.encode(
                moment, random_bits.random_bits(shape, key, draw)
            )
            for draw, moment in enumerate(new_moments, start=1)
        )
        moved = reductions.total(
            states, new_states, of=lambda x, y: tf.cast(x != y, tf.int32)
        )
        return new_states, stored, tf.cast(moved, tf.float32)

    return update


def _finite(gradient: tf.Tensor) -> tf.Tensor:
    gradient = tf.where(tf.math.is_finite(gradient), gradient, 0.0)
    return tf.clip_by_value(gradient, -_LARGEST, _LARGEST)
