# SPDX-License-Identifier: Apache-2.0
"""Times of runners that take turns, so that they share the noise."""

import time
from collections.abc import Mapping, Sequence

import numpy as np

from export.interpreter import Runner

# A turn takes about as long. In shorter ones the system has not yet placed the
# threads of the runner whose turn it is on processors of their own.
_TURN_SECONDS = 1e-2


def interleaved(
    runners: Mapping[str, Runner], rounds: int
) -> dict[str, Sequence[float]]:
    """Seconds of an invocation, by runner, one number for each round.

    Args:
        runners: What is measured; inputs are loaded.
        rounds: Turns of each.
    """
    counts = {name: _warm_up(runner) for name, runner in runners.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(rounds):
        for name, runner in runners.items():
            seconds[name].append(_turn(runner, counts[name]))
    return dict(seconds)


def median_microseconds(seconds: Sequence[float]) -> float:
    """The median of times, in microseconds."""
    return float(np.median(seconds)) * 1e6


def _turn(runner: Runner, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        runner.invoke()
    return (time.perf_counter() - start) / count


def _warm_up(runner: Runner) -> int:
    """Runs some turns; the number of invocations of one."""
    _turn(runner, 3)
    count = max(1, round(_TURN_SECONDS / _turn(runner, 3)))
    _turn(runner, count)
    return count
