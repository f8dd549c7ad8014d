# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM end a program with one line instead of a traceback."""

import contextlib
import signal
import sys
import types
from collections.abc import Callable, Iterator

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

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    except BaseException:
        # Of any type: an import that is interrupted may end as ImportError.
        if not received:
            raise
        for number in _SIGNALS:  # What is left to do is not to be disturbed.
            signal.signal(number, signal.SIG_IGN)
        # A terminal shows ^C in the middle of a line.
        newline = "\n" if sys.stderr.isatty() else ""
        name = signal.Signals(received[0]).name
        text = f"{newline}Stopped by {name}. {advice()}"
        print(text.rstrip(), file=sys.stderr, flush=True)
        raise SystemExit(128 + received[0]) from None
    finally:
        if not received:
            for number, handler in before.items():
                signal.signal(number, handler)
