# SPDX-License-Identifier: Apache-2.0
"""Runs a function of ours as a fuzz target in libFuzzer, by Atheris."""

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Callable

import atheris

PACKAGES = ("export", "flatbuffers", "gxnor_tf", "train")
"""Packages whose branches guide the fuzzer."""


def load() -> contextlib.AbstractContextManager[None]:
    """Imports in this context are instrumented."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # An editable installation finds the packages with an importer of its own,
    # which Atheris cannot instrument; the checkout has them, too.
    sys.meta_path[:] = [
        finder
        for finder in sys.meta_path
        if "editable" not in type(finder).__module__
    ]
    context: contextlib.AbstractContextManager[None] = (
        atheris.instrument_imports(include=list(PACKAGES))
    )
    return context


def run(
    target: Callable[[bytes, str], None],
    mutator: Callable[[bytes, int, Callable[[bytes], bytes]], bytes]
    | None = None,
) -> None:
    """Hands the command line to libFuzzer.

    Args:
        target: Called with each input and an empty folder for its files. What
            it raises is a crash; what it prints is thrown away.
        mutator: Makes another input of an input, a seed, and a function that
            changes bytes; None: libFuzzer's own.
    """
    folder = tempfile.mkdtemp(prefix="gxnor-fuzz-")

    def one_input(data: bytes) -> None:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            target(data, folder)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        def change(some: bytes) -> bytes:
            return bytes(atheris.Mutate(some, max(len(some) + 64, 64)))

        assert mutator is not None
        return mutator(bytes(data), seed, change)[:max_size]

    custom = {} if mutator is None else {"custom_mutator": mutate}
    atheris.Setup(sys.argv, one_input, **custom)
    atheris.Fuzz()
