# SPDX-License-Identifier: Apache-2.0
"""The driver of the fuzzers: what it finds, keeps and says."""

import os
import pathlib
import shlex
import subprocess

import numpy as np
import pytest

from tests.fuzz import driver, tools

HERE = pathlib.Path(__file__).parent


def planted(folder: pathlib.Path, *options: str) -> driver.Target:
    """The target of planted.c."""
    clang = tools.find_clang()
    if clang is None:
        assert "CI" not in os.environ, "CI must have Clang with libFuzzer."
        pytest.skip("There is no Clang with libFuzzer.")
    program = folder / "planted"
    subprocess.run(
        [
            *(clang, "-g", "-O1", "-fsanitize=fuzzer,address,undefined"),
            *(str(HERE / "planted.c"), "-o", str(program), *options),
        ],
        check=True,
    )
    return driver.Target("planted", (str(program),), ("-max_len=16",))


def test_finds_and_keeps_a_crash(tmp_path: pathlib.Path) -> None:
    target = planted(tmp_path)
    result = driver.run(target, 60, tmp_path)
    assert result.crashes == 1 and driver.has_run(result)
    assert result.reproducer is not None
    assert result.reproducer.parent == tmp_path / "crashes" / "planted"
    text = driver.explain(result, target)
    assert str(result.reproducer) in text
    command = shlex.split(text.splitlines()[1])
    again = subprocess.run(command, capture_output=True, check=False)
    assert again.returncode != 0
    assert b"heap-buffer-overflow" in again.stderr
    # A later run tries it first.
    result = driver.run(target, 1, tmp_path)
    assert result.crashes == 1 and result.executions < 1000


def test_goes_on_from_its_corpus(tmp_path: pathlib.Path) -> None:
    target = planted(tmp_path, "-DMENDED")
    first = driver.run(target, 1, tmp_path)
    assert first.crashes == 0 and driver.has_run(first)
    assert first.executions > 1000 and first.edges > 2
    assert list((tmp_path / "corpus" / "planted").iterdir())
    assert not list((tmp_path / "crashes" / "planted").iterdir())


def test_a_target_that_cannot_start_is_no_success(
    tmp_path: pathlib.Path,
) -> None:
    target = driver.Target("none", ("true",), ())
    assert not driver.has_run(driver.run(target, 1, tmp_path))
    target = driver.Target("none", ("false",), ())
    result = driver.run(target, 1, tmp_path)
    assert result.crashes == 1 and result.reproducer is None
    assert str(result.log) in driver.explain(result, target)


def test_all_seconds_are_shared() -> None:
    assert driver.shares(60, 7) == [8, 9, 8, 9, 8, 9, 9]
    assert driver.shares(2, 3) == [1, 1, 1]


def test_table_fits_a_terminal() -> None:
    row = driver.Result(
        "delegate", 10**10, 10**6, 10**5, 1, None, pathlib.Path("log")
    )
    lines = driver.format_table([row]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines[0]) <= 80
    assert "10,000,000,000" in lines[1]


def test_memory_of_the_caller_is_not_that_of_the_target(
    tmp_path: pathlib.Path,
) -> None:
    """A process inherits the peak of the one that started it."""
    np.ones(9 * 2**28, np.uint8)  # 2.25 GiB, the limit is 2.
    result = driver.run(planted(tmp_path, "-DMENDED"), 1, tmp_path)
    assert result.crashes == 0, result.log.read_text()
