# SPDX-License-Identifier: Apache-2.0
"""The short form of `make soak`, and that it would see a leak."""

import ctypes

import pytest

from tests.export import soak


def test_memory_does_not_grow_and_results_do_not_change() -> None:
    lines = list(soak.soak(3000, 200))
    assert len(lines) == 5


def test_a_leak_is_seen() -> None:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p

    def leak() -> None:
        block = library.malloc(ctypes.c_size_t(1000))
        ctypes.memset(block, 1, 1000)

    found = soak.growth(1000, leak)
    assert soak.LIMIT_BYTES < found.end - found.warm < 2_000_000


def test_a_wrong_result_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    run = soak.Session.run

    def wrong(self: soak.Session, x: object) -> object:
        y = run(self, x)
        return y[::-1] if len(y) == 3 else y

    monkeypatch.setattr(soak.Session, "run", wrong)
    with pytest.raises(AssertionError, match="batch 3: "):
        list(soak.soak(50, 1))
