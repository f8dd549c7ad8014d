# SPDX-License-Identifier: Apache-2.0
"""The cores that the tests of this folder run on, and what is built once."""

import os
import pathlib

import pytest

from benchmarks.mcu import cores, tools


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    missing = tools.missing_packages()
    if missing:
        # Who has no such tools may test the rest; CI must have them.
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"Debian packages are not installed: {' '.join(missing)}")
    return tmp_path_factory.mktemp("mcu")


@pytest.fixture(scope="session", params=cores.CORES)
def bench(request: pytest.FixtureRequest, folder: pathlib.Path) -> cores.Bench:
    """Each core in turn."""
    return cores.set_up(cores.CORES[request.param], folder / request.param)


@pytest.fixture(scope="session")
def m4(folder: pathlib.Path) -> cores.Bench:
    """One core, for what is the same on all of them."""
    return cores.set_up(cores.CORES["m4"], folder / "one")
