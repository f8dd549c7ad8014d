# SPDX-License-Identifier: Apache-2.0
"""Signals before a run has begun; crash_test.py has those that come later."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from train.stopping import postponed, stopping

ROOT = pathlib.Path(__file__).absolute().parents[2]

# In place of TensorFlow, whose import takes seconds. Some libraries make an
# error of their own of whatever happens while they are loaded.
SLOW_IMPORT = """
import pathlib, time
pathlib.Path(__file__).with_name("importing").touch()
try:
    time.sleep(300)
except BaseException:
    raise ImportError("something else")
"""


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_while_tensorflow_is_imported(number, status, tmp_path):
    (tmp_path / "tensorflow.py").write_text(SLOW_IMPORT)
    out = tmp_path / "out"
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "train.mnist", f"--output_dir={out}"),
            "--dataset=digits",
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not (tmp_path / "importing").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert stderr == f"Stopped by {signal.Signals(number).name}.\n"
    assert process.returncode == status
    assert not out.exists()


def test_other_errors_and_handlers_stay_as_they_are():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), stopping(str):
        assert signal.getsignal(signal.SIGTERM) != before[0]
        raise ZeroDivisionError
    with stopping(str):
        pass
    after = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert after == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_error_after_a_dropped_interrupt_is_seen(capfd):
    """Python prints what `__del__` raises, and goes on."""

    class Careless:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="disk full"), stopping(str):
        Careless()
        raise ValueError("disk full")
    with stopping(str):
        Careless()
    assert signal.getsignal(signal.SIGTERM) == before
    assert "Stopped by" not in capfd.readouterr().err


def test_what_was_ignored_stays_ignored():
    """As in `python -m train.mnist ... &` of a script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stopping(str):
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def handlers():
    """Puts them back, which a program that is stopped leaves ignored."""
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_what_is_postponed_stops_the_program_afterwards(number, status, capfd):
    done = []
    with pytest.raises(SystemExit) as raised, stopping(lambda: "Advice."):
        with postponed():
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            done.append("in the block")
        done.append("after it")
    assert raised.value.code == status
    assert done == ["in the block"]
    name = signal.Signals(number).name
    assert capfd.readouterr().err == f"Stopped by {name}. Advice.\n"


def test_where_a_block_fails_that_is_postponed_its_cause_is_seen(capfd):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with (
        pytest.raises(ValueError, match="disk full"),
        stopping(lambda: "Advice."),
        postponed(),
    ):
        os.kill(os.getpid(), signal.SIGINT)
        raise ValueError("disk full")
    after = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    assert after == before
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("stopped", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("block", [postponed, lambda: stopping(str)])
@pytest.mark.usefixtures("handlers")
def test_handlers_are_back_even_if_one_of_them_raises(
    block, stopped, monkeypatch
):
    """A signal may come while they are put back."""

    def raising(number, frame):
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        signal.signal(number, raising)
    put = signal.signal

    def put_and_strike(number, handler):
        put(number, handler)
        if number == stopped and handler is raising:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(signal, "signal", put_and_strike)
    with pytest.raises(KeyboardInterrupt), block():
        pass
    monkeypatch.undo()
    assert [signal.getsignal(n) for n in numbers] == [raising, raising]


def test_errors_and_handlers_stay_as_they_are_where_nothing_is_postponed():
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ZeroDivisionError), postponed():
        raise ZeroDivisionError
    after = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    assert after == before


def test_nothing_is_postponed_in_other_threads():
    """Python allows no handlers there, nor runs them."""
    done = []

    def work():
        with postponed():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
