# SPDX-License-Identifier: Apache-2.0
"""A setting that is a number, or a function of the training step."""

import math
import numbers
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

# A learning rate schedule of Keras is such a callable, too.
Schedule = float | Callable[[tf.Tensor], Any]


def checked(name: str, value: Any) -> Schedule:
    """Returns `value` if it can be a schedule of positive numbers.

    Args:
        name: What to call it in an error.
        value: A number, a `keras.optimizers.schedules.LearningRateSchedule`
            or another callable of the step.

    Raises:
        ValueError: If it is neither callable nor a finite number > 0.
    """
    # NumPy's numbers are such, too.
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if number and math.isfinite(value) and value > 0:
        return float(value)
    if callable(value) and not isinstance(value, type):
        schedule: Callable[[tf.Tensor], Any] = value
        return schedule
    raise ValueError(
        f"`{name}` must be a finite number > 0, a keras LearningRateSchedule "
        f"or another callable of the step. Received: {name}={value!r}"
    )


def at(schedule: Schedule, step: tf.Tensor) -> tf.Tensor:
    """The value at a step, a float32 scalar.

    In a graph the callable becomes part of it: its value follows `step`.

    >>> schedule = keras.optimizers.schedules.PolynomialDecay(3.0, 10, 1.0)
    >>> float(at(schedule, tf.constant(5)))
    2.0
    """
    value = schedule(step) if callable(schedule) else schedule
    return tf.cast(value, tf.float32)


def to_config(schedule: Schedule) -> Any:
    """A schedule as JSON-like data, for `get_config()`.

    Raises:
        ValueError: For a Python lambda, which cannot be loaded again.
    """
    if getattr(schedule, "__name__", None) == "<lambda>":
        raise ValueError(
            "A lambda cannot be saved as a schedule. Use a function that is "
            "registered with `keras.saving.register_keras_serializable`, or a "
            f"keras LearningRateSchedule. Received: {schedule!r}"
        )
    if callable(schedule):
        return keras.saving.serialize_keras_object(schedule)
    return schedule


def from_config(config: Any, custom_objects: Any = None) -> Any:
    """The inverse of `to_config()`."""
    if isinstance(config, dict):
        return keras.saving.deserialize_keras_object(config, custom_objects)
    return config
