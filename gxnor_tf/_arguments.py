# SPDX-License-Identifier: Apache-2.0
"""Checks of arguments, each with the one text of its error."""

import numbers
from typing import Any


def check_number(value: Any, name: str) -> None:
    """Raises TypeError unless `value` is a real number, NaN included."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"`{name}` must be a number. Received: {name}={value!r}"
        )


def integer(value: Any, name: str, least: int = 1) -> int:
    """Returns `value` as an int; ValueError unless it is one >= `least`.

    >>> integer(np.int64(3), "units")
    3
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, numbers.Integral)
        or value < least
    ):
        raise ValueError(
            f"`{name}` must be an integer >= {least}. "
            f"Received: {name}={value!r}"
        )
    return int(value)
