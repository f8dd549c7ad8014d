# SPDX-License-Identifier: Apache-2.0
"""Names of values, tensors and constants that must be told apart."""

from collections.abc import Container


def free_name(name: str, taken: Container[str], separator: str = "#") -> str:
    """The name, with a number behind where it is taken.

    Args:
        name: The name.
        taken: Names that are in use.
        separator: What stands before the number.

    Example:

    >>> free_name("conv", {"conv", "conv#2"})
    'conv#3'
    """
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}{separator}{number}"
    return free
