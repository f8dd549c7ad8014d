# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM end a program with one line instead of a traceback."""

import contextlib
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

_Handler = Callable[[int, types.FrameType | None], None]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stopping(advice: Callable[[], str]) -> Iterator[None]:
    """Lets the block be stopped; to be used in the main thread.

    Args:
        advice: Says, when the block was stopped, what to do next.

    Raises:
        SystemExit: If the block was stopped; with the status that a shell
            gives to programs that a signal ends, 128 and its number.
    """
    received: list[int] = []

    def stop(number: int, frame: types.FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    with contextlib.ExitStack() as as_before:
        try:
            _install(stop, as_before)
            yield
        except BaseException as error:
            # Python drops an interrupt in some places, such as `__del__`. What
            # fails later has a cause of its own, which must be seen.
            if not (received and _has_interrupt(error)):
                raise
            for number in _handlers():
                signal.signal(number, signal.SIG_IGN)
            as_before.pop_all()  # What is left to do is not to be disturbed.
            # A terminal shows ^C in the middle of a line.
            newline = "\n" if sys.stderr.isatty() else ""
            name = signal.Signals(received[0]).name
            text = f"{newline}Stopped by {name}. {advice()}"
            print(text.rstrip(), file=sys.stderr, flush=True)
            raise SystemExit(128 + received[0]) from None


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Lets what would stop the block wait until its end.

    For the writing of files from a model: NumPy sometimes loses an interrupt
    while it asks a Keras variable for its array, and raises the TypeError that
    it had from `__array__(copy=True)` and would else have ignored. (To read the
    message of that error it calls `PyObject_Str()`, which runs the handlers of
    signals.)
    """
    # Python runs handlers in the main thread, and lets no other set them.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    with contextlib.ExitStack() as as_before:
        _install(lambda number, frame: received.append(number), as_before)
        yield
    # Where the block failed, its error ends the program, and must be seen.
    if received:
        signal.raise_signal(received[0])


def _install(handler: _Handler, as_before: contextlib.ExitStack) -> None:
    """Handles the signals that stop, until the stack puts the others back.

    Which it does to the last, even if one of them raises.
    """
    for number, before in _handlers().items():
        as_before.callback(signal.signal, number, before)
        signal.signal(number, handler)


def _handlers() -> dict[int, Any]:
    """Those of the signals that stop; what a parent had ignored stays so.

    As a shell ignores SIGINT for what runs behind it.
    """
    return {
        number: handler
        for number in _SIGNALS
        if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)
    }


def _has_interrupt(error: BaseException) -> bool:
    """Whether an error is an interrupt, or what somebody made of one.

    An import that is interrupted may end as an ImportError.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, KeyboardInterrupt):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
