# SPDX-License-Identifier: Apache-2.0
"""Step rules: from a gradient to the increment that DST turns into hops.

A rule is pure: it maps a gradient and the moments of a weight tensor to the
increment dW and the new moments. All rules are scaled such that a typical
|dW| (of `error_feedback`, its growth per step) equals the learning rate, in
units of the weights' values; those of `momentum` and `sign` shrink where
their memory is long.
"""

import abc
import dataclasses
import math
import numbers
from collections.abc import Callable
from typing import Any, ClassVar

import tensorflow as tf

from gxnor_tf import reductions, transitions
from gxnor_tf.discrete_space import DiscreteSpace

Moments = tuple[tf.Tensor, ...]

# What a setting may be: the words of the error, and the test.
Limit = tuple[str, Callable[[float], bool]]

# A tensor whose gradient is below it stays still; far below any real one.
_TINY = 1e-30

# Largest size of a gradient element. Its square is finite in float32, and so
# is a sum of such squares; infinity would stay in the moments for ever.
_LARGEST = 1e18


class StepRule(abc.ABC):
    """What the optimizer needs of a step rule.

    Attributes:
        moment_names: Names of the moments, tensors of the weights' shape
            that start at 0.
        moment_dtypes: How they can be held, the default first.
        default_gain: The gain m where none is given; None for a rule without
            a gain, whose hops are certain.
        limits: Of its settings, where they are not those of all rules.
    """

    moment_names: ClassVar[tuple[str, ...]] = ("momentum",)
    moment_dtypes: ClassVar[tuple[str, ...]] = (
        *("int8", "bfloat16", "float32", "int6", "int4"),
    )
    default_gain: ClassVar[float | None] = 3.0
    limits: ClassVar[dict[str, Limit]] = {}

    @abc.abstractmethod
    def increment(
        self,
        gradient: tf.Tensor,
        moments: Moments,
        step: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> tuple[tf.Tensor, Moments]:
        """The increment dW of a step, and the moments it leaves.

        Args:
            gradient: float32, of any shape. Every rule counts an element that
                is not finite as 0, and a huge one as 1e18.
            moments: A float32 tensor of that shape for each name.
            step: Its number, from 1; an int64 scalar.
            learning_rate: A float32 scalar, finite.

        Returns:
            `(increment, new_moments)`, of the gradient's shape and type; the
            increment in units of the weights' values.
        """

    def probability(
        self, residue: tf.Tensor, transition_gain: float | tf.Tensor
    ) -> tf.Tensor:
        """That of a hop; the paper's unless a rule differs.

        Args:
            residue: What whole hops leave of the increment, in steps of the
                space: float32, in (-1, 1).
            transition_gain: m, > 0 where weights are to hop at random.

        Returns:
            In [0, 1], of the shape of `residue`.
        """
        return transitions.transition_probability(residue, transition_gain)

    def largest_moment(self, space: DiscreteSpace) -> float | None:
        """What no moment exceeds, after a transition and before it is rounded.

        None if there is no such limit.

        Args:
            space: Space of the weights.
        """
        del space
        return None

    def least_decay(self, learning_rate: float, space: DiscreteSpace) -> float:
        """The `beta_1` below which typical gradients never add up to a hop.

        Of those, too, that always have the same sign and the tensor's RMS. 0
        for rules that hop by chance, or whose moment is an average.

        Args:
            learning_rate: At the start, >= 0.
            space: Space of the weights.
        """
        del learning_rate, space
        return 0.0

    def feedback(self, moments: Moments, remainder: tf.Tensor) -> Moments:
        """The moments after a transition; as they were unless a rule differs.

        Args:
            moments: What `increment` left.
            remainder: What the transition did not take of the bounded
                increment, in units of the weights' values; of their shape.
        """
        del remainder
        return moments


def _finite(gradient: tf.Tensor) -> tf.Tensor:
    """A gradient that moments can take: 0 where it is not finite, and bounded.

    >>> _finite(tf.constant([float("nan"), -2.0])).numpy().tolist()
    [0.0, -2.0]
    """
    gradient = tf.where(tf.math.is_finite(gradient), gradient, 0.0)
    return tf.clip_by_value(gradient, -_LARGEST, _LARGEST)


def _normalise(
    x: tf.Tensor, of: Callable[[tf.Tensor], tf.Tensor] = tf.identity
) -> tf.Tensor:
    """Divides by the RMS over the tensor, without underflow of the squares.

    Where there is no gradient at all, as for a batch without any loss, there is
    none afterwards. A small number added to the RMS would not do: XLA is free
    to join both divisions to one by a product, which would be 0.

    Args:
        x: Tensor of any shape.
        of: What is divided: maps an element of x to a number. XLA would write
            down what is mapped before, for the slices of both reductions.
    """
    peak = tf.maximum(reductions.largest(x, of=lambda y: tf.abs(of(y))), _TINY)
    squares = reductions.total(x, of=lambda y: tf.square(of(y) / peak))
    rms = peak * tf.sqrt(squares / math.prod(x.shape))
    return tf.where(rms >= _TINY, of(x) / tf.maximum(rms, _TINY), 0.0)


@dataclasses.dataclass(frozen=True)
class Sgd(StepRule):
    """`dW = -lr * g / rms(g)`: no state beside the weight."""

    moment_names: ClassVar[tuple[str, ...]] = ()

    def increment(
        self,
        gradient: tf.Tensor,
        moments: Moments,
        step: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> tuple[tf.Tensor, Moments]:
        """See `StepRule`."""
        del step
        return -learning_rate * _normalise(gradient, _finite), moments


@dataclasses.dataclass(frozen=True)
class _MovingAverage(StepRule):
    """`m <- b m + (1 - b) g`, `dW = -rate * m / rms(m)`.

    How far back it goes must fit the length of the run, which an optimizer
    does not know: the memory grows with the steps t,
    `memory = min(1 / (1 - beta_1), 1 + memory_growth t)`, `b = 1 - 1 / memory`.

    Attributes:
        beta_1: Largest decay.
        memory_growth: Steps of memory per step of training; infinity makes
            the decay `beta_1` from the start.
    """

    beta_1: float = 0.998
    memory_growth: float = 0.1

    def share(self, step: tf.Tensor) -> tf.Tensor:
        """`1 - b`, what the newest gradient makes of the moment."""
        grown = 1 + self.memory_growth * tf.cast(step, tf.float32)
        return tf.maximum(1 - self.beta_1, 1 / grown)

    def moment(
        self, gradient: tf.Tensor, moments: Moments, step: tf.Tensor
    ) -> tf.Tensor:
        """The new moving average."""
        return moments[0] + (_finite(gradient) - moments[0]) * self.share(step)

    def rate(self, learning_rate: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Size of a typical increment."""
        del step
        return learning_rate

    def increment(
        self,
        gradient: tf.Tensor,
        moments: Moments,
        step: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> tuple[tf.Tensor, Moments]:
        """See `StepRule`."""
        moment = self.moment(gradient, moments, step)
        return -self.rate(learning_rate, step) * _normalise(moment), (moment,)


@dataclasses.dataclass(frozen=True)
class Momentum(_MovingAverage):
    """`dW = -lr * min(1, full_rate_memory / memory) * m / rms(m)`.

    The RMS is taken over the tensor: hops follow the direction that past
    gradients agree on. Within its memory such a direction moves a typical
    weight by lr * memory. Where that is far beyond the width of the space,
    weights go to and fro and never settle, so that the increments shrink as
    the memory grows.

    Attributes:
        full_rate_memory: Steps of memory up to which increments have the size
            of the learning rate; at infinity they always have.
    """

    full_rate_memory: float = 20.0

    def rate(self, learning_rate: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """See `_MovingAverage`."""
        return learning_rate * tf.minimum(
            1.0, self.full_rate_memory * self.share(step)
        )


@dataclasses.dataclass(frozen=True)
class Sign(Momentum):
    """`Momentum` with `sign(m)`: a small moment moves as much as a large."""

    def increment(
        self,
        gradient: tf.Tensor,
        moments: Moments,
        step: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> tuple[tf.Tensor, Moments]:
        """See `StepRule`."""
        moment = self.moment(gradient, moments, step)
        return -self.rate(learning_rate, step) * tf.sign(moment), (moment,)


@dataclasses.dataclass(frozen=True)
class Bop(_MovingAverage):
    """Bop (Helwegen et al., 2019, arXiv 1906.02107) for any space.

    Every weight whose moment is beyond a threshold hops, and for certain: the
    increment `-lr * m / rms(m)` is rounded to the nearest whole number of
    steps; beyond three times the threshold it is two of them. The threshold is
    `step / (2 lr)`, in RMS of the moment, so that it rises as the learning
    rate falls.
    """

    default_gain: ClassVar[float | None] = None

    def probability(
        self, residue: tf.Tensor, transition_gain: float | tf.Tensor
    ) -> tf.Tensor:
        """See `StepRule`."""
        del transition_gain
        return transitions.certain(residue)


@dataclasses.dataclass(frozen=True)
class ErrorFeedback(StepRule):
    """`e <- b e - lr * g / rms(g)`, `dW = e`; then e is what was not taken.

    The whole steps of the increment are taken, and one more where the rest is
    beyond `threshold`; the remainder waits in the moment e for its turn. What
    would lead out of the space is dropped.

    Attributes:
        beta_1: Decay b of what waits; 1 forgets nothing. What waits is at
            most about `lr / (1 - b)` of a gradient of typical size: below
            `least_decay()` few weights ever hop.
        threshold: In steps. Having hopped, a weight hops back only where it
            is `2 threshold - 1` below the place from which it hopped. With a
            half, the nearest state, a weight midway between two would go to
            and fro by the rounding of its moment.
    """

    beta_1: float = 1.0
    threshold: ClassVar[float] = 0.55
    moment_names: ClassVar[tuple[str, ...]] = ("error",)
    default_gain: ClassVar[float | None] = None
    limits: ClassVar[dict[str, Limit]] = {
        "beta_1": ("in [0, 1]", lambda x: 0 <= x <= 1)
    }

    def probability(
        self, residue: tf.Tensor, transition_gain: float | tf.Tensor
    ) -> tf.Tensor:
        """See `StepRule`."""
        del transition_gain
        return transitions.certain(residue, self.threshold)

    def largest_moment(self, space: DiscreteSpace) -> float:
        """See `StepRule`."""
        # So little less that the largest code is not beyond the threshold,
        # however its product with the unit is rounded.
        return self.threshold * space.step * (1 - 2**-20)

    def least_decay(self, learning_rate: float, space: DiscreteSpace) -> float:
        """See `StepRule`."""
        # Such a gradient adds up to lr / (1 - b). With a rate of 0 no weight
        # is meant to hop.
        if learning_rate == 0:
            return 0.0
        least = 1 - learning_rate / (self.threshold * space.step)
        # Up, so that what an error prints can be given.
        return max(0.0, math.ceil(1e6 * least) / 1e6)

    def increment(
        self,
        gradient: tf.Tensor,
        moments: Moments,
        step: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> tuple[tf.Tensor, Moments]:
        """See `StepRule`."""
        del step
        direction = _normalise(gradient, _finite)
        error = self.beta_1 * moments[0] - learning_rate * direction
        return error, (error,)

    def feedback(self, moments: Moments, remainder: tf.Tensor) -> Moments:
        """See `StepRule`."""
        del moments
        return (remainder,)


@dataclasses.dataclass(frozen=True)
class Adam(StepRule):
    """The Adam step (Kingma and Ba, 2015), as in the paper's own code."""

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    moment_names: ClassVar[tuple[str, ...]] = ("momentum", "velocity")
    # Where a velocity of int8 is rounded to 0, a step is a million times too
    # large: squared gradients of one tensor differ by more than its range.
    moment_dtypes: ClassVar[tuple[str, ...]] = ("bfloat16", "float32")

    def increment(
        self,
        gradient: tf.Tensor,
        moments: Moments,
        step: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> tuple[tf.Tensor, Moments]:
        """See `StepRule`."""
        moment, velocity = moments
        gradient = _finite(gradient)
        moment = moment + (gradient - moment) * (1 - self.beta_1)
        velocity = velocity + (tf.square(gradient) - velocity) * (
            1 - self.beta_2
        )
        step = tf.cast(step, tf.float32)
        rate = (
            learning_rate
            * tf.sqrt(1 - tf.pow(self.beta_2, step))
            / (1 - tf.pow(self.beta_1, step))
        )
        increment = -rate * moment / (tf.sqrt(velocity) + self.epsilon)
        return increment, (moment, velocity)


_RULES: dict[str, Any] = {
    "adam": Adam,
    "bop": Bop,
    "error_feedback": ErrorFeedback,
    "momentum": Momentum,
    "sgd": Sgd,
    "sign": Sign,
}
NAMES = tuple(_RULES)

_LIMITS: dict[str, Limit] = {
    "beta_1": ("in [0, 1)", lambda x: 0 <= x < 1),
    "beta_2": ("in [0, 1)", lambda x: 0 <= x < 1),
    "epsilon": ("> 0", lambda x: x > 0),
    "memory_growth": ("> 0", lambda x: x > 0),
    "full_rate_memory": (">= 1", lambda x: x >= 1),
}


def limit(rule: StepRule | type[StepRule], setting: str) -> Limit:
    """What a setting of a rule may be.

    Args:
        rule: A rule or its class.
        setting: Name of one of its settings.

    Returns:
        The limit in words, and whether a number keeps it.

    >>> limit(Momentum, "beta_1")[0]
    'in [0, 1)'
    """
    return rule.limits.get(setting, _LIMITS[setting])


def refuse_gain(name: str, given: Any) -> None:
    """Raises an error if a gain was given to a rule that has none.

    Args:
        name: Name of the rule.
        given: The gain, a number or a schedule; None if there is none.

    Raises:
        ValueError: If so.
    """
    if given is not None and _RULES[name].default_gain is None:
        raise ValueError(
            f"`transition_gain` must be left out with step_rule={name!r}, "
            "whose hops are certain; a rule such as 'momentum' has a gain. "
            f"Received: transition_gain={given!r}"
        )


def get(name: str, **settings: float | None) -> StepRule:
    """Makes a step rule by name.

    Args:
        name: `"momentum"`, `"adam"`, `"sgd"`, `"sign"`, `"bop"` or
            `"error_feedback"`.
        **settings: Settings such as `beta_1`; None keeps the rule's default.

    Returns:
        The rule, with these settings.

    Raises:
        ValueError: For an unknown name, a setting that the rule does not have
            or one out of range.

    >>> get("momentum", beta_1=0.9)
    Momentum(beta_1=0.9, memory_growth=0.1, full_rate_memory=20.0)
    """
    if not isinstance(name, str) or name not in _RULES:
        raise ValueError(
            f"`step_rule` must be one of {sorted(_RULES)}. "
            f"Received: step_rule={name!r}"
        )
    rule = _RULES[name]
    given = {k: v for k, v in settings.items() if v is not None}
    known = {field.name for field in dataclasses.fields(rule)}
    for key, value in given.items():
        if key not in known:
            raise ValueError(
                f"Step rule {name!r} has no `{key}`; it has "
                f"{sorted(known) or 'no settings'}. Received: {key}={value}"
            )
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise ValueError(
                f"`{key}` must be a number. Received: {key}={value!r}"
            )
        text, allows = limit(rule, key)
        if math.isnan(value) or not allows(value):
            raise ValueError(f"`{key}` must be {text}. Received: {key}={value}")
    made: StepRule = rule(**{k: float(v) for k, v in given.items()})
    return made
