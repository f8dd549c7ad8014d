# SPDX-License-Identifier: Apache-2.0
"""Kills training runs at random moments, resumes them, compares the results.

python -m tests.train.crash --kills=50

Each start of `python -m train.mnist` is killed with SIGKILL: in its first
seconds, between two epochs, or while it writes a certain file. Then the files
must be whole and know no fewer epochs than before, and the next start resumes
the run. In the end it must equal one that was never disturbed, bit for bit.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence

import tqdm

from tests.train import runs

ROOT = pathlib.Path(__file__).absolute().parents[2]
# The smallest net on the smallest data set; long enough for several kills.
SETTINGS = ("--dataset=digits", "--width=0.1", "--batch_size=100")
EPOCHS = 30
FILES = ("checkpoint.npz", "model.keras", "metrics.csv")

_START_SECONDS = 12.0  # Until the end of the first epoch, about.
_EPOCH_SECONDS = 0.5
_WRITE_SECONDS = 0.01
_POLL_SECONDS = 0.001
_GIVE_UP_SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class Blow:
    """When a start is struck, and with which signal.

    Attributes:
        epochs: How many epochs to wait for, from the start.
        writing: The file whose writing to wait for then, if any.
        delay: Seconds to wait after that.
        number: That of the signal that is sent.
    """

    epochs: int
    writing: str | None
    delay: float
    number: int = signal.SIGKILL


def draw(rng: random.Random) -> Blow:
    """A blow at a random moment."""
    kind = rng.random()
    if kind < 0.2:
        return Blow(0, None, rng.uniform(0, _START_SECONDS))
    if kind < 0.5:
        return Blow(rng.randint(1, 2), None, rng.uniform(0, _EPOCH_SECONDS))
    return Blow(
        rng.randint(0, 2), rng.choice(FILES), rng.uniform(0, _WRITE_SECONDS)
    )


@dataclasses.dataclass(frozen=True)
class End:
    """How a start ended.

    Attributes:
        struck: Whether the blow was dealt before the start came to its end.
        status: Of the process; negative for a signal.
        stderr: What it wrote there.
    """

    struck: bool
    status: int
    stderr: str


class Run:
    """A training run, to be started as often as need be.

    Args:
        folder: Its output folder, which need not be there.
        epochs: Its length.
    """

    def __init__(self, folder: pathlib.Path, epochs: int = EPOCHS) -> None:
        self.folder = folder
        self._epochs = epochs
        self._known = 0
        self._temporary = folder.parent / f"{folder.name}-tmp"
        self._temporary.mkdir()

    def start(
        self, blow: Blow | None = None, wrapper: Sequence[str] = ()
    ) -> End:
        """Starts or resumes the run; waits for its end.

        Args:
            blow: What it is struck with.
            wrapper: A command that runs what follows it.
        """
        resume = (self.folder / "config.json").exists()
        with tempfile.TemporaryFile("w+") as stderr:
            process = subprocess.Popen(
                [
                    *(*wrapper, sys.executable, "-m", "train.mnist"),
                    *(f"--output_dir={self.folder}", *SETTINGS),
                    f"--epochs={self._epochs}",
                    *(["--resume"] if resume else []),
                ],
                cwd=ROOT,
                env=os.environ
                | {"PYTHONPATH": str(ROOT), "TMPDIR": str(self._temporary)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
            try:
                struck = blow is not None and self._strike(process, blow)
                status = process.wait(_GIVE_UP_SECONDS)
            finally:
                process.kill()
                process.wait()
            stderr.seek(0)
            return End(struck, status, stderr.read())

    def check(self) -> None:
        """The files are whole, and no epoch is lost."""
        known = runs.complete_epochs(self.folder)
        assert known >= self._known, f"{known} epochs after {self._known}"
        self._known = known
        if (self.folder / "config.json").exists():
            json.loads((self.folder / "config.json").read_text())
        if (self.folder / "model.keras").exists():
            with zipfile.ZipFile(self.folder / "model.keras") as archive:
                assert archive.testzip() is None
        if (self.folder / "metrics.csv").exists():
            rows = len(runs.untimed_metrics(self.folder))
            # It is written after the checkpoint.
            assert known - 1 <= rows <= known, f"{rows} rows, {known} epochs"

    def leftovers(self) -> list[str]:
        """Names of temporary files in the folder."""
        if not self.folder.exists():
            return []
        return [name for name in os.listdir(self.folder) if name[0] == "."]

    def outside(self) -> int:
        """How many files are left in $TMPDIR.

        TensorFlow keeps the code there that it makes of Python functions, and
        removes it when a process ends by itself.
        """
        return len(os.listdir(self._temporary))

    def remove(self) -> None:
        """Removes all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self._temporary)

    def _strike(self, process: subprocess.Popen[bytes], blow: Blow) -> bool:
        """Waits for the moment; tells whether the process lived to see it."""
        for _ in range(blow.epochs):
            before = self._checkpoint()
            if not _wait(process, lambda b=before: self._checkpoint() != b):
                return False
        if blow.writing is not None:
            known = set(self.leftovers())
            stem = f".{pathlib.Path(blow.writing).stem}."
            if not _wait(
                process,
                lambda: any(
                    name.startswith(stem) and name not in known
                    for name in self.leftovers()
                ),
            ):
                return False
        time.sleep(blow.delay)
        if process.poll() is not None:
            return False
        process.send_signal(blow.number)
        return True

    def _checkpoint(self) -> int:
        """What changes with every checkpoint."""
        try:
            return (self.folder / "checkpoint.npz").stat().st_mtime_ns
        except FileNotFoundError:
            return 0


def _wait(
    process: subprocess.Popen[bytes], condition: Callable[[], bool]
) -> bool:
    """Waits for a condition; false if the process ended before."""
    end = time.monotonic() + _GIVE_UP_SECONDS
    while not condition():
        if process.poll() is not None:
            return False
        assert time.monotonic() < end, "Nothing happens any more."
        time.sleep(_POLL_SECONDS)
    return True


@dataclasses.dataclass
class Tally:
    """What happened to one or several runs."""

    kills: int = 0
    while_writing: int = 0
    halves: int = 0
    starts: int = 0
    runs: int = 0
    outside: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        pairs = zip(
            dataclasses.astuple(self), dataclasses.astuple(other), strict=True
        )
        return Tally(*(one + two for one, two in pairs))


def torment(
    folder: pathlib.Path,
    blows: Iterator[Blow],
    reference: "concurrent.futures.Future[pathlib.Path]",
    report: Callable[[], object],
) -> Tally:
    """Deals blows to one run after the other, until there are no more.

    Args:
        folder: Where the runs are made.
        blows: What happens to each start.
        reference: The folder of an undisturbed run.
        report: Is called after every kill.
    """
    tally = Tally()
    blow = next(blows, None)
    while blow is not None:
        run = Run(folder / str(tally.runs))
        tally.runs += 1
        end = End(True, 0, "")
        while end.struck:
            end = run.start(blow)
            tally.starts += 1
            wanted = -signal.SIGKILL if end.struck else 0
            assert end.status == wanted, (blow, end.status, end.stderr)
            run.check()
            if end.struck and blow is not None:
                tally.kills += 1
                tally.while_writing += blow.writing is not None
                halves = run.leftovers()
                tally.halves += len(halves)
                # Those of earlier kills are gone.
                assert len(halves) <= 1, halves
                report()
                blow = next(blows, None)
        assert run.leftovers() == []
        runs.assert_same_run(reference.result(), run.folder)
        tally.outside += run.outside()
        run.remove()
    return tally


def main() -> None:
    """Reads the command line and does it."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--jobs", type=int, default=2, help="runs that go on at a time"
    )
    options = parser.parse_args()
    started = time.monotonic()
    rng = random.Random(options.seed)
    drawn = iter([draw(rng) for _ in range(options.kills)])
    lock = threading.Lock()

    def blows() -> Iterator[Blow]:
        while True:
            with lock:
                blow = next(drawn, None)
            if blow is None:
                return
            yield blow

    with (
        tempfile.TemporaryDirectory() as name,
        tqdm.tqdm(total=options.kills, desc="kills") as bar,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        folder = pathlib.Path(name)
        reference = pool.submit(undisturbed, folder / "reference")
        jobs = []
        for job in range(options.jobs):
            (folder / str(job)).mkdir()
            jobs.append(
                pool.submit(
                    torment, folder / str(job), blows(), reference, bar.update
                )
            )
        tally = sum((job.result() for job in jobs), Tally())
    seconds = time.monotonic() - started
    print(
        f"{tally.kills} kills (seed {options.seed}), {tally.while_writing} of "
        f"them aimed at the writing of a file, {tally.halves} left a temporary "
        f"file. {tally.starts} starts of {tally.runs} runs of {EPOCHS} epochs: "
        "no file was damaged, lost or left over, and every run equals the "
        f"undisturbed one, bit for bit. TensorFlow left {tally.outside} files "
        f"in $TMPDIR. {seconds:.0f} s."
    )


def undisturbed(folder: pathlib.Path, epochs: int = EPOCHS) -> pathlib.Path:
    """Makes the run that the others are compared with."""
    end = Run(folder, epochs).start()
    assert end.status == 0, end.stderr
    return folder


if __name__ == "__main__":
    main()
