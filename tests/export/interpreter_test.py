# SPDX-License-Identifier: Apache-2.0
"""Running a file with and without timing."""

import numpy as np
import pytest

from export import conversion, delegate, interpreter
from tests.export import nets


@pytest.mark.parametrize("ops", ["custom", "builtin"])
def test_runs_any_batch_and_is_timed(ops):
    model = nets.dense_only(1)
    runner = interpreter.Runner(conversion.convert(model, ops))
    x = nets.images(model, 6, 1)
    (whole,) = runner(x).values()
    for batch in (1, 4, 2):
        (part,) = runner(x[:batch]).values()
        assert (part == whole[:batch]).all()
    timed = interpreter.Runner(conversion.convert(model, ops))
    timed.load(x[:1])
    timed.invoke()
    timed.load(x[:2])
    timed.invoke()


def test_threads_and_kernels_do_not_change_the_result():
    model = nets.paper_like(1)
    x = nets.images(model, 6, 1)
    results = [
        next(iter(interpreter.Runner(data, threads, xnnpack)(x).values()))
        for data in (
            conversion.convert(model, "custom"),
            conversion.convert(model, "builtin"),
        )
        for threads in (1, 2)
        for xnnpack in (True, False)
    ]
    assert all((result == results[0]).all() for result in results)


def test_missing_delegate_library(monkeypatch, tmp_path):
    monkeypatch.setenv("GXNOR_DELEGATE_LIBRARY", str(tmp_path / "none.so"))
    with pytest.raises(FileNotFoundError, match="none.so"):
        interpreter.Runner(conversion.convert(nets.dense_only(0)))
    # Builtin ops need no delegate.
    interpreter.Runner(conversion.convert(nets.dense_only(0), "builtin"))
    assert delegate.get_include().is_dir()


def test_no_tflite_file():
    with pytest.raises(ValueError):
        interpreter.Runner(np.zeros(64, np.uint8).tobytes())
