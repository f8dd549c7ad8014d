# SPDX-License-Identifier: Apache-2.0
"""The program as a user asks it for help."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).absolute().parents[2]


def test_help_shows_the_recipes_of_svhn():
    done = subprocess.run(
        [sys.executable, "-m", "train.svhn", "--help"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "SVHN network" in done.stdout
    assert "paper: 10000" in done.stdout
    assert "--augmentation" in done.stdout
    assert "Traceback" not in done.stderr
