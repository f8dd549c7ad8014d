# SPDX-License-Identifier: Apache-2.0
"""The short form of `make crash-test`: all that can end a run from outside."""

import concurrent.futures
import re
import signal

import pytest

from tests.privileges import WITHOUT_OVERRIDE
from tests.train import crash, runs

EPOCHS = 8
HINT = (
    "The same command with --resume continues after the last complete epoch, "
    "and begins anew if there is none."
)


def last_line(end: crash.End) -> str:
    assert "Traceback" not in end.stderr
    return end.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_run_survives_all_that_can_end_it(tmp_path):
    """One run, ended in five ways; in the end nothing shows of them."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        reference = pool.submit(
            crash.undisturbed, tmp_path / "reference", EPOCHS
        )
        run = crash.Run(tmp_path / "run", EPOCHS)

        # Killed while it writes its second checkpoint.
        end = run.start(crash.Blow(1, "checkpoint.npz", 0.0))
        assert end.struck and end.status == -signal.SIGKILL
        run.check()
        assert runs.complete_epochs(run.folder) >= 1

        # Stopped politely.
        for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            end = run.start(crash.Blow(1, None, 0.05, number))
            assert end.struck and end.status == status, end.stderr
            name = signal.Signals(number).name
            assert last_line(end) == f"Stopped by {name}. {HINT}"
            run.check()
            assert run.leftovers() == []

        # No room for a model or checkpoint; settings and metrics are smaller.
        end = run.start(wrapper=("prlimit", "--fsize=20000"))
        assert end.status == 1
        assert re.fullmatch(
            f"error: `{run.folder}/(model.keras|checkpoint.npz)` cannot be "
            r"written \(File too large\)\. Raise the limit of file sizes, "
            rf"`ulimit -f`\. {re.escape(HINT)}",
            last_line(end),
        )
        run.check()
        assert run.leftovers() == []

        # A folder that became read-only.
        run.folder.chmod(0o555)
        end = run.start(wrapper=WITHOUT_OVERRIDE)
        run.folder.chmod(0o755)
        assert end.status == 1
        assert last_line(end) == (
            "error: `output_dir` must be a folder that can be written. "
            f"Received: output_dir={str(run.folder)!r} (Permission denied). "
            "Use another --output_dir."
        )
        run.check()

        end = run.start()
        assert end.status == 0, end.stderr
        runs.assert_same_run(reference.result(), run.folder)
        assert run.leftovers() == []


def test_damage_is_seen(tmp_path):
    """The checks that follow every kill can fail."""
    run = crash.Run(tmp_path / "run")
    run.check()
    run.folder.mkdir()
    (run.folder / "model.keras").write_bytes(b"PK half a model")
    with pytest.raises(Exception, match="not a zip file"):
        run.check()
