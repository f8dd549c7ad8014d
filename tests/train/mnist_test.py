# SPDX-License-Identifier: Apache-2.0
"""The program as a user runs it."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).absolute().parents[2]


def run(*arguments, folder, **environment):
    inherited = {k: v for k, v in os.environ.items() if "ONEDNN" not in k}
    return subprocess.run(
        [sys.executable, "-m", "train.mnist", *map(str, arguments)],
        cwd=ROOT,
        env=inherited
        | {"GXNOR_TF_CACHE": str(folder), "COLUMNS": "80"}
        | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_digits(tmp_path):
    out = tmp_path / "out"
    arguments = (
        f"--output_dir={out}",
        "--dataset=digits",
        "--epochs=1",
        "--width=0.25",
        # Steps enough for gradients to add up to hops.
        "--batch_size=20",
    )
    done = run(*arguments, folder=tmp_path, TF_CPP_MIN_LOG_LEVEL="0")
    assert done.returncode == 0, done.stderr
    assert "oneDNN custom operations are on" in done.stderr
    assert "test accuracy" in done.stdout
    assert "Traceback" not in done.stderr
    report = json.loads((out / "report.json").read_text())
    assert report["epochs"] == 1
    assert 0.2 < report["test_accuracy"] <= 1
    assert json.loads((out / "config.json").read_text())["width"] == 0.25

    again = run(*arguments, folder=tmp_path)
    assert again.returncode == 1
    assert again.stderr.splitlines()[-1].startswith("error: `output_dir`")
    assert "--resume" in again.stderr
    assert "Traceback" not in again.stderr


def test_help_shows_the_settings_without_tensorflow(tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise ImportError('loaded')")
    done = run("--help", folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert "--transition_gain" in done.stdout
    assert "--output_dir" in done.stdout
    assert "paper: 4000" in done.stdout


def test_wrong_command_lines(tmp_path):
    for arguments, message in (
        ((), "output_dir"),
        (("--output_dir=o", "more"), "Unexpected arguments: more"),
        (("--output_dir=o", "--speed=3"), "speed"),
        (("--output_dir=o", "--weight_n=9"), "error: `weight_n` must be in"),
    ):
        done = run(*arguments, folder=tmp_path)
        assert done.returncode != 0
        assert message in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert not (ROOT / "o").exists()
