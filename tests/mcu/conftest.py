# SPDX-License-Identifier: Apache-2.0
"""The cores that the tests of this folder run on, and what is built once."""

import dataclasses
import functools
import os
import pathlib

import pytest

from benchmarks.mcu import cores


@dataclasses.dataclass(frozen=True)
class Target:
    """A core with what all its images have in common.

    Attributes:
        core: The core.
        kernels: Objects of the kernels.
        board: Objects of the start-up code.
        folder: Where images go.
    """

    core: cores.Core
    kernels: list[pathlib.Path]
    board: list[pathlib.Path]
    folder: pathlib.Path

    @property
    def objects(self) -> list[pathlib.Path]:
        """What an image is linked with."""
        return [*self.kernels, *self.board]


@pytest.fixture(scope="session", params=cores.CORES)
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Target:
    return build(cores.CORES[request.param], tmp_path_factory)


@pytest.fixture(scope="session")
def m4(tmp_path_factory: pytest.TempPathFactory) -> Target:
    """One core, for what is the same on all of them."""
    return build(cores.CORES["m4"], tmp_path_factory)


def build(core: cores.Core, tmp_path_factory: pytest.TempPathFactory) -> Target:
    missing = cores.missing_packages()
    if missing:
        # Who has no such tools may test the rest; CI must have them.
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"Debian packages are not installed: {' '.join(missing)}")
    folder = tmp_path_factory.mktemp(core.name)
    return Target(
        core,
        cores.compile_c(core, cores.KERNELS, folder / "kernels"),
        cores.compile_board(core, folder / "board"),
        folder,
    )
