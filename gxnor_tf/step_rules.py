# SPDX-License-Identifier: Apache-2.0
"""Step rules: from a gradient to the increment that DST turns into hops.

A rule is pure: it maps a gradient and the moments of a weight tensor to the
increment dW and the new moments. All three rules are scaled such that a
typical |dW| equals the learning rate, in units of the weights' values.
"""

import dataclasses
import numbers
from typing import Any, ClassVar, Protocol

import tensorflow as tf

Moments = tuple[tf.Tensor, ...]

# Keeps a tensor without any gradient still; far below any gradient's RMS.
_TINY = 1e-30


class StepRule(Protocol):
    """What the optimizer needs of a step rule."""

    moment_names: ClassVar[tuple[str, ...]]

    def increment(
        self,
        gradient: tf.Tensor,
        moments: Moments,
        step: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> tuple[tf.Tensor, Moments]:
        """Gives `(increment, new_moments)`; `step` counts from 1."""


def _normalise(direction: tf.Tensor) -> tf.Tensor:
    """Divides by the RMS over the tensor, without underflow of the squares."""
    peak = tf.reduce_max(tf.abs(direction)) + _TINY
    scaled = direction / peak
    return scaled / (tf.sqrt(tf.reduce_mean(tf.square(scaled))) + _TINY)


@dataclasses.dataclass(frozen=True)
class Sgd:
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
        return -learning_rate * _normalise(gradient), moments


@dataclasses.dataclass(frozen=True)
class Momentum:
    """`m <- beta_1 m + (1 - beta_1) g`, `dW = -lr * m / rms(m)`.

    The RMS is taken over the tensor: hops follow the direction that the
    gradients of the last `1 / (1 - beta_1)` steps agree on.
    """

    beta_1: float = 0.99
    moment_names: ClassVar[tuple[str, ...]] = ("momentum",)

    def increment(
        self,
        gradient: tf.Tensor,
        moments: Moments,
        step: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> tuple[tf.Tensor, Moments]:
        """See `StepRule`."""
        del step
        (moment,) = moments
        moment = moment + (gradient - moment) * (1 - self.beta_1)
        return -learning_rate * _normalise(moment), (moment,)


@dataclasses.dataclass(frozen=True)
class Adam:
    """The Adam step (Kingma and Ba, 2015), as in the paper's own code."""

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    moment_names: ClassVar[tuple[str, ...]] = ("momentum", "velocity")

    def increment(
        self,
        gradient: tf.Tensor,
        moments: Moments,
        step: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> tuple[tf.Tensor, Moments]:
        """See `StepRule`."""
        moment, velocity = moments
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


_RULES: dict[str, Any] = {"adam": Adam, "momentum": Momentum, "sgd": Sgd}


def get(name: str, **settings: float | None) -> StepRule:
    """Makes a step rule by name.

    Args:
        name: `"adam"`, `"momentum"` or `"sgd"`.
        **settings: Settings such as `beta_1`; None keeps the rule's default.

    Raises:
        ValueError: For an unknown name, a setting that the rule does not have
            or one out of range.

    >>> get("momentum", beta_1=0.9)
    Momentum(beta_1=0.9)
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
        if key.startswith("beta") and not 0 <= value < 1:
            raise ValueError(
                f"`{key}` must be in [0, 1). Received: {key}={value}"
            )
        if key == "epsilon" and not value > 0:
            raise ValueError(f"`epsilon` must be > 0. Received: {value}")
    made: StepRule = rule(**{k: float(v) for k, v in given.items()})
    return made
