# SPDX-License-Identifier: Apache-2.0
"""The learning rate over a run, as a product of Keras' schedules."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from train.config import Config

_schedules = keras.optimizers.schedules


@keras.saving.register_keras_serializable(package="gxnor_tf_train")
class Product(_schedules.LearningRateSchedule):
    """The product of several learning rate schedules at the same step.

    Args:
        factors: Schedules; the first has the unit of a learning rate, the
            others scale it.

    Example:

    >>> halves = _schedules.PiecewiseConstantDecay([2], [1.0, 0.5])
    >>> rate = Product([_schedules.ExponentialDecay(0.1, 1, 0.1), halves])
    >>> f"{float(rate(1)):.3f}, {float(rate(3)):.5f}"
    '0.010, 0.00005'
    """

    def __init__(
        self, factors: Sequence[_schedules.LearningRateSchedule]
    ) -> None:
        super().__init__()
        self.factors = list(factors)

    def __call__(self, step: Any) -> tf.Tensor:
        """The learning rate at a step."""
        value = tf.constant(1.0)
        for factor in self.factors:
            value *= tf.cast(factor(step), tf.float32)
        return value

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return {"factors": [_schedules.serialize(f) for f in self.factors]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Product":
        """Makes it from what `get_config()` gave."""
        return cls([_schedules.deserialize(f) for f in config["factors"]])


def learning_rate(config: Config, steps_per_epoch: int) -> Any:
    """The learning rate of a run: a number, or a schedule over its steps.

    The base goes from `learning_rate` to `final_learning_rate` over the whole
    run; milestones and the warm-up multiply it.

    Args:
        config: The settings of the run.
        steps_per_epoch: Steps of an epoch.

    Example:

    >>> rate = learning_rate(Config(epochs=10, schedule="multistep"), 100)
    >>> [round(float(rate(step)), 6) for step in (0, 500, 501, 1000)]
    [0.03, 0.03, 0.003, 0.0003]
    """
    steps = config.epochs * steps_per_epoch
    factors = []
    if config.schedule == "exponential":
        factors.append(
            _schedules.ExponentialDecay(
                config.learning_rate,
                decay_steps=steps,
                decay_rate=config.final_learning_rate / config.learning_rate,
            )
        )
    elif config.schedule == "cosine":
        factors.append(
            _schedules.CosineDecay(
                config.learning_rate,
                decay_steps=steps,
                alpha=config.final_learning_rate / config.learning_rate,
            )
        )
    # The first factor carries the rate itself, the others start from one.
    if shares := config.milestone_shares:
        start = 1.0 if factors else config.learning_rate
        factors.append(
            _schedules.PiecewiseConstantDecay(
                [round(share * steps) for share in shares],
                [
                    start * config.milestone_factor**passed
                    for passed in range(len(shares) + 1)
                ],
            )
        )
    if warmup_steps := round(config.warmup_epochs * steps_per_epoch):
        end = 1.0 if factors else config.learning_rate
        factors.append(
            _schedules.PolynomialDecay(
                end / (warmup_steps + 1),
                decay_steps=warmup_steps,
                end_learning_rate=end,
            )
        )
    if not factors:
        return config.learning_rate
    return factors[0] if len(factors) == 1 else Product(factors)
