# SPDX-License-Identifier: Apache-2.0
"""Runs, each in a folder and a process of its own, and none of them twice.

A folder is named after all settings of its run. So whatever study asks for a
run finds it done, or half done and able to go on. What is to outlast the folder
is kept as a record, one small file.
"""

import collections
import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

from train import files
from train.config import Config
from train.errors import UserError

# What `child` leaves in the folder of a run, beside what `train.loop` does.
MACHINE = "machine.json"
FAILURE = "failure.json"
LOG = "log.txt"

_ROOT = pathlib.Path(__file__).absolute().parents[2]
_POLL_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        report: Content of its `report.json`, empty if it failed.
        machine: Processor, threads (0: all) and commit of the process that
            ended it, empty if it failed.
        failure: Why it failed, None if it did not.
    """

    report: dict[str, Any] = dataclasses.field(default_factory=dict)
    machine: dict[str, Any] = dataclasses.field(default_factory=dict)
    failure: str | None = None


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        config: All its settings.
        parent: Folder that has the folders of all runs.
        records: Folder of the records of runs that ended, None to keep none.
    """

    config: Config
    parent: pathlib.Path
    records: pathlib.Path | None = None

    @property
    def name(self) -> str:
        """Another one for any other settings."""
        return _name(self.config)

    @property
    def folder(self) -> pathlib.Path:
        """Where its results are."""
        return self.parent / self.name

    def outcome(self) -> Outcome | None:
        """What is known of its end, None if it has not ended.

        A run that diverged would do so again; other failures, such as a full
        disk, are not remembered.
        """
        return self._recorded() or self._left()

    @property
    def _record_path(self) -> pathlib.Path | None:
        """The file of its record, wherever the data were."""
        if self.records is None:
            return None
        return self.records / f"{_name(_without_folder(self.config))}.json"

    def record(self) -> None:
        """Keeps the outcome, if there is one and a place for it.

        Whoever asked has been given a record that is there; its folder may have
        what another version of the library made.
        """
        path = self._record_path
        if path is None or path.exists():
            return
        outcome = self._left()
        if outcome is None:
            return
        content = {
            "config": json.loads(_without_folder(self.config).to_json()),
            **dataclasses.asdict(outcome),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, json.dumps(content, indent=1) + "\n")

    def _recorded(self) -> Outcome | None:
        path = self._record_path
        if path is None:
            return None
        try:
            content = _read(path)
            if content is None:
                return None
            config = Config(**content.pop("config"))
            if config == _without_folder(self.config):
                return Outcome(**content)
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise UserError(
            f"{path} is no record of the run it is named after. Delete it, "
            "and the run is made again."
        )

    def _left(self) -> Outcome | None:
        """What its process left in its folder."""
        if not self.is_begun():
            return None
        failure = _read(self.folder / FAILURE)
        if failure is not None:
            return Outcome(failure=failure["error"])
        report = _read(self.folder / "report.json")
        machine = _read(self.folder / MACHINE)
        if report is None or machine is None:
            return None
        return Outcome(report, machine)

    def is_begun(self) -> bool:
        """Whether the folder has this run, and can be gone on with."""
        try:
            text = (self.folder / "config.json").read_text("utf-8")
            return Config.from_json(text) == self.config
        except (OSError, ValueError):
            return False

    def start(
        self, threads: int, data_dir: str | None
    ) -> subprocess.Popen[str]:
        """Starts a process that begins or continues the run.

        Args:
            threads: Number of TensorFlow's threads, 0 for all processors.
            data_dir: Folder for downloaded data, None for the usual one.
        """
        if not self.is_begun():
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [
            *(sys.executable, "-m", "benchmarks.learning.child"),
            *(str(self.folder), f"--threads={threads}"),
        ]
        if data_dir is not None:
            command.append(f"--data_dir={data_dir}")
        log = self.folder / LOG
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                command,
                # Relative paths stay what they are.
                env=os.environ | {"PYTHONPATH": _search_path()},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        stdin: IO[str] = process.stdin  # type: ignore[assignment]
        with stdin:
            stdin.write(self.config.to_json())
        return process

    def broken(self, returncode: int) -> Outcome:
        """What is said of a run whose process ended without an outcome."""
        text = (self.folder / LOG).read_text("utf-8", "replace").strip()
        last = text.splitlines()[-1] if text else "it said nothing"
        return Outcome(failure=f"exit status {returncode}: {last}")


@contextlib.contextmanager
def alone_in(folder: pathlib.Path) -> Iterator[None]:
    """Keeps other processes from running studies in the same folder.

    They would take a run that is being started for one that is broken.

    Args:
        folder: An output folder, which is there.

    Raises:
        UserError: If another process runs a study in it.
    """
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                "`output_dir` is in use by another study. Received: "
                f"output_dir={str(folder)!r}. Wait for it, or use another "
                "--output_dir."
            ) from error
        yield


def run_all(
    runs: Mapping[Run, str],
    jobs: int,
    data_dir: str | None,
    said: Callable[[str], None],
) -> dict[Run, Outcome]:
    """Runs what has not been run yet.

    Args:
        runs: The runs in their order, with what to call them.
        jobs: How many at the same time.
        data_dir: Folder for downloaded data, None for the usual one.
        said: Is given a line of progress after each run.

    Returns:
        The outcome of every run.
    """
    outcomes = {
        run: outcome for run in runs if (outcome := run.outcome()) is not None
    }
    for run in outcomes:
        run.record()
    waiting = collections.deque(run for run in runs if run not in outcomes)
    if outcomes:
        said(f"{len(outcomes)} runs are there, {len(waiting)} are to be done")
    progress = _Progress(list(waiting))
    # Jobs that compete for all processors slow each other down.
    threads = 0 if jobs == 1 else max(1, (os.cpu_count() or 1) // jobs)
    running: dict[Run, subprocess.Popen[str]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                run = waiting.popleft()
                running[run] = run.start(threads, data_dir)
            time.sleep(_POLL_SECONDS)
            for run, process in list(running.items()):
                if process.poll() is None:
                    continue
                del running[run]
                outcome = run.outcome() or run.broken(process.returncode)
                outcomes[run] = outcome
                run.record()
                said(progress.line(run, runs[run], outcome))
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()
    return outcomes


class _Progress:
    """Tells how far a study is; a longer run counts by its epochs.

    Args:
        runs: The runs to be done.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._started = time.monotonic()
        self._total = len(runs)
        self._epochs_left = sum(run.config.epochs for run in runs)
        self._done = 0
        self._epochs_done = 0

    def line(self, run: Run, name: str, outcome: Outcome) -> str:
        """What to say after a run."""
        self._done += 1
        self._epochs_done += run.config.epochs
        self._epochs_left -= run.config.epochs
        spent = time.monotonic() - self._started
        left = spent * self._epochs_left / self._epochs_done
        if outcome.failure is None:
            result = (
                f"validation {outcome.report['validation_accuracy']:.2%}, "
                f"{outcome.report['seconds']:.0f} s"
            )
        else:
            result = f"failed: {outcome.failure}"
        return (
            f"[{self._done}/{self._total}] {name}: {result}; "
            f"about {_duration(left)} left"
        )


def _name(config: Config) -> str:
    digest = hashlib.sha256(config.to_json().encode()).hexdigest()
    data = pathlib.Path(config.dataset or "").stem
    return f"{data}-seed{config.seed}-{digest[:16]}"


def _without_folder(config: Config) -> Config:
    """The config with the bare name of its data, as records have it."""
    name = pathlib.Path(config.dataset or "").name
    return dataclasses.replace(config, dataset=name)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s"


def _search_path() -> str:
    """PYTHONPATH with the checkout, wherever the command was given."""
    others = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(_ROOT), *([others] if others else [])])


def _read(path: pathlib.Path) -> dict[str, Any] | None:
    """The content of a JSON file; files are written whole or not at all."""
    if not path.exists():
        return None
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content
