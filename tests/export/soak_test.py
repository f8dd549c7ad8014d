# SPDX-License-Identifier: Apache-2.0
"""The short form of `make soak`, and that it would see a leak."""

import mmap
import pathlib
import subprocess
import sys

import pytest

from tests.export import soak

ROOT = pathlib.Path(__file__).absolute().parents[2]


def test_memory_does_not_grow_and_results_do_not_change() -> None:
    """In a process of its own: in that of the tests much memory is free."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.export.soak"),
            *("--invokes=3000", "--cycles=200"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    assert lines[-1].startswith("All results are those of the integer referenc")


def test_a_leak_is_seen() -> None:
    kept = []

    def leak() -> None:
        kept.append(mmap.mmap(-1, mmap.PAGESIZE))
        kept[-1].write(b"x")

    found = soak.growth(1000, leak)
    assert soak.LIMIT_BYTES < found.end - found.warm < 2 * 1000 * mmap.PAGESIZE


def test_a_wrong_result_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    run = soak.Session.run

    def wrong(self: soak.Session, x: object) -> object:
        y = run(self, x)
        return y[::-1] if len(y) == 3 else y

    monkeypatch.setattr(soak.Session, "run", wrong)
    with pytest.raises(AssertionError, match="batch 3: "):
        list(soak.soak(50, 1))
