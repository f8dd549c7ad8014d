# SPDX-License-Identifier: Apache-2.0
"""Values of command line arguments that several benchmarks read."""

import argparse
from collections.abc import Callable
from typing import TypeVar

Number = TypeVar("Number", int, float)


def positive(kind: Callable[[str], Number]) -> Callable[[str], Number]:
    """A reader of numbers > 0, the `type` of an argument of argparse.

    Args:
        kind: `int` or `float`.
    """

    def number(text: str) -> Number:
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"must be > 0. Received: {text}")
        return value

    return number


def count(text: str) -> int:
    """A reader of integers >= 0."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be >= 0. Received: {text}")
    return value
