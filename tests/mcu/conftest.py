# SPDX-License-Identifier: Apache-2.0
"""The cores that the tests of this folder run on, and what is built once."""

import pathlib

import pytest

from benchmarks.mcu import cores


@pytest.fixture(scope="session")
def folder(
    mcu_tools: None, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    return tmp_path_factory.mktemp("mcu")


@pytest.fixture(scope="session", params=cores.CORES)
def bench(request: pytest.FixtureRequest, folder: pathlib.Path) -> cores.Bench:
    """Each core in turn."""
    return cores.set_up(cores.CORES[request.param], folder / request.param)


@pytest.fixture(scope="session")
def m4(folder: pathlib.Path) -> cores.Bench:
    """One core, for what is the same on all of them."""
    return cores.set_up(cores.CORES["m4"], folder / "one")
