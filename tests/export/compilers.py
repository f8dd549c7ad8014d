# SPDX-License-Identifier: Apache-2.0
"""The compilers that tests call."""

import os
import shutil

import pytest


def host_compiler() -> list[str]:
    """The C compiler of this computer, `CC` or `cc`."""
    command = os.environ.get("CC", "cc").split()
    assert shutil.which(command[0]), (
        f"The C compiler {command[0]} is missing: install one or set CC."
    )
    return command


def need(*tools: str) -> None:
    """Skips a test without a tool; with `CI` in the environment it fails.

    Who has no tools for other processors may test the rest; CI must have them.
    """
    for tool in tools:
        if shutil.which(tool) is None:
            give_up = pytest.fail if os.environ.get("CI") else pytest.skip
            give_up(f"{tool} is not installed; see CONTRIBUTING.md")
