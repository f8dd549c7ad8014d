# SPDX-License-Identifier: Apache-2.0
"""One training step of one discrete weight tensor, as a pure function.

It is compiled by XLA, whether or not the rest of the step is: some forty
elementwise operations, each a pass over memory, become a few loops.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf

from gxnor_tf import random_bits, reductions, transitions
from gxnor_tf.discrete_space import DiscreteSpace
from gxnor_tf.moment_formats import MomentFormat, Stored, UniformInteger
from gxnor_tf.narrowing import to_int8
from gxnor_tf.shared_byte import SharedByte
from gxnor_tf.step_rules import StepRule


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
    flat = _compiled(space, step_rule, moment_format, math.prod(shape))
    return _reshaped(flat, moment_format, shape)


def make_shared(
    shared: SharedByte, step_rule: StepRule, shape: tuple[int, ...]
) -> DiscreteUpdate:
    """The same for states that share their bytes with the rule's moment.

    Args:
        shared: How they do.
        step_rule: `ErrorFeedback`, whose only moment has a largest value.
        shape: Shape of the states.
    """
    flat = _compiled_shared(shared, step_rule, math.prod(shape))
    return _reshaped(flat, _format_of(shared, step_rule), shape)


def _format_of(shared: SharedByte, step_rule: StepRule) -> MomentFormat:
    largest = step_rule.largest_moment(shared.space)
    assert largest is not None
    return UniformInteger(shared.bits, largest=largest)


def _reshaped(
    flat: Callable[..., Any],
    moment_format: MomentFormat,
    shape: tuple[int, ...],
) -> DiscreteUpdate:
    """An update of tensors that have a shape, by one of flat tensors.

    Loops that XLA makes of them have one axis, and positions, of which random
    bits are made, that are vectors; unless it compiles the whole step, where
    shapes are changed inside.
    """

    def with_shape(
        moments: tuple[Stored, ...], of_weights: tuple[int, ...]
    ) -> tuple[Stored, ...]:
        parts = moment_format.parts(of_weights)
        return tuple(
            tuple(
                tf.reshape(part, part_shape)
                for part, (_, part_shape, _) in zip(moment, parts, strict=True)
            )
            for moment in moments
        )

    one_axis = (math.prod(shape),)

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
        # That of a product over several axes comes without its sizes.
        gradient = tf.ensure_shape(gradient, shape)
        new_states, new_moments, moved = flat(
            tf.reshape(gradient, one_axis),
            tf.reshape(states, one_axis),
            with_shape(moments, one_axis),
            seed,
            stream,
            iteration,
            learning_rate,
            transition_gain,
        )
        return (
            tf.reshape(new_states, shape),
            with_shape(new_moments, shape),
            moved,
        )

    return update


# Tensors that are alike share one function, so that it is compiled once in a
# process; a limit, so that a search over settings does not fill the memory.
@functools.lru_cache(maxsize=256)
def _compiled(
    space: DiscreteSpace,
    step_rule: StepRule,
    moment_format: MomentFormat,
    size: int,
) -> Any:
    update = _update(space, step_rule, moment_format, size)
    return tf.function(update, autograph=False, jit_compile=True)


@functools.lru_cache(maxsize=256)
def _compiled_shared(shared: SharedByte, step_rule: StepRule, size: int) -> Any:
    apart = _update(
        shared.space, step_rule, _format_of(shared, step_rule), size
    )

    def update(
        gradient: tf.Tensor,
        states: tf.Tensor,
        moments: tuple[Stored, ...],
        *others: tf.Tensor,
    ) -> tuple[tf.Tensor, tuple[Stored, ...], tf.Tensor]:
        new_states, ((codes,),), moved = apart(
            gradient,
            to_int8(shared.states(states)),
            ((shared.codes(states),),),
            *others,
        )
        floats = (tf.cast(x, tf.float32) for x in (new_states, codes))
        return shared.join(*floats), moments, moved

    return tf.function(update, autograph=False, jit_compile=True)


def _update(
    space: DiscreteSpace,
    step_rule: StepRule,
    moment_format: MomentFormat,
    size: int,
) -> Callable[..., Any]:
    """The update of flat tensors."""
    shape = (size,)

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
        increment, new_moments = step_rule.increment(
            tf.cast(gradient, tf.float32),
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
        # for each of the other results. The other branch needs them, too, or
        # TensorFlow would have them computed in the branch that is taken.
        new_states = tf.cond(
            iteration >= 0, lambda: new_states, lambda: -new_states
        )
        remainder = transitions.remainder(states, new_states, bounded, space)
        new_moments = step_rule.feedback(new_moments, remainder)
        stored = tuple(
            moment_format.encode(
                moment, random_bits.random_bits(shape, key, draw)
            )
            for draw, moment in enumerate(new_moments, start=1)
        )
        moved = reductions.count_different(states, new_states)
        return new_states, stored, tf.cast(moved, tf.float32)

    return update
