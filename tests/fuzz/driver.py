# SPDX-License-Identifier: Apache-2.0
"""Runs fuzz targets one after the other and reports what they found.

A target is any program with libFuzzer's command line.
"""

import dataclasses
import os
import pathlib
import re
import shlex
import subprocess
import time
from collections.abc import Sequence

_GRACE = 300
"""Seconds for starting, for the inputs that are there, and for a report."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A fuzz target.

    Attributes:
        name: Its name, which is that of its folders.
        command: How it is called.
        flags: Options of libFuzzer, the limits.
    """

    name: str
    command: tuple[str, ...]
    flags: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run found.

    Attributes:
        name: Name of the target.
        executions: Inputs that were tried.
        edges: Edges of the code's flow that were seen.
        seconds: How long it took, with what is not fuzzing.
        crashes: Inputs that crashed it, 1 at most: libFuzzer ends there.
        reproducer: The input's file, None if there is none.
        log: What it printed.
    """

    name: str
    executions: int
    edges: int
    seconds: float
    crashes: int
    reproducer: pathlib.Path | None
    log: pathlib.Path


def shares(seconds: int, count: int) -> list[int]:
    """Divides whole seconds among targets, at least 1 each."""
    ends = [seconds * i // count for i in range(count + 1)]
    return [max(1, b - a) for a, b in zip(ends, ends[1:], strict=False)]


def run(target: Target, seconds: int, folder: pathlib.Path) -> Result:
    """Runs a target.

    Args:
        target: The target.
        seconds: How long it fuzzes.
        folder: Keeps `corpus/NAME`, from which the next run goes on,
            `crashes/NAME`, which are tried first, and `logs`. Inputs to start
            from are in `seeds/NAME`.
    """
    corpus, seeds, crashes = (
        folder / kind / target.name for kind in ("corpus", "seeds", "crashes")
    )
    for path in (corpus, seeds, crashes, folder / "logs"):
        path.mkdir(parents=True, exist_ok=True)
    log = folder / "logs" / f"{target.name}.txt"
    before = time.time()
    with log.open("wb") as stream:
        status = subprocess.run(
            [
                # Its child, unlike ours, does not inherit our peak memory,
                # which libFuzzer would take for that of the target.
                *("timeout", "--foreground", "--signal=KILL"),
                f"{seconds + _GRACE}",
                *target.command,
                *map(str, (corpus, seeds, crashes)),
                *target.flags,
                f"-max_total_time={seconds}",
                f"-artifact_prefix={crashes}{os.sep}",
                "-print_final_stats=1",
            ],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    text = log.read_bytes().decode("utf-8", "replace")
    written = re.findall(r"Test unit written to (.*)", text)
    return Result(
        name=target.name,
        executions=_last(r"number_of_executed_units:\s*(\d+)", text)
        or _last(r"^#(\d+)", text),
        edges=_last(r"\bcov: (\d+)", text),
        seconds=time.time() - before,
        crashes=int(status != 0),
        reproducer=(
            pathlib.Path(written[-1]) if status != 0 and written else None
        ),
        log=log,
    )


def _last(pattern: str, text: str) -> int:
    found = re.findall(pattern, text, re.MULTILINE)
    return int(found[-1]) if found else 0


def has_run(result: Result) -> bool:
    """Whether a run tried anything: what cannot start finds nothing."""
    return result.crashes > 0 or (result.executions > 0 and result.edges > 0)


def explain(result: Result, target: Target) -> str:
    """How to see a crash again."""
    if result.reproducer is None:
        return f"{result.name}: no input was kept; see {result.log}"
    command = shlex.join(
        [*target.command, *target.flags, str(result.reproducer)]
    )
    return f"{result.name}: {result.reproducer}\n  {command}"


def format_table(results: Sequence[Result]) -> str:
    """A table for a terminal of 80 columns."""
    lines = [
        f"{'target':<12}{'seconds':>9}{'executions':>14}{'edges':>9}"
        f"{'crashes':>9}"
    ]
    for result in results:
        lines.append(
            f"{result.name:<12}{result.seconds:>9.0f}{result.executions:>14,}"
            f"{result.edges:>9,}{result.crashes:>9}"
        )
    return "\n".join(lines)
