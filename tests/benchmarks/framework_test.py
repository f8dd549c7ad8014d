# SPDX-License-Identifier: Apache-2.0
"""The page of all cases, without the trainings and exports behind it."""

import json
import pathlib
import subprocess
import sys

import pytest

from benchmarks import framework
from tests.benchmarks import in_process


def number(n):
    return 0.5 if n == "float" else int(n)


@pytest.fixture
def commands(monkeypatch):
    """Replaces training and export; gives the flags of the trainings."""
    commands = []

    def train(command, **_):
        assert command[:3] == [sys.executable, "-m", "train.mnist"]
        flags = dict(flag[2:].partition("=")[::2] for flag in command[3:])
        commands.append(flags)
        folder = pathlib.Path(flags["output_dir"])
        folder.mkdir(exist_ok=True)
        weight_n, activation_n = (
            number(flags[f"{kind}_n"]) for kind in ("weight", "activation")
        )
        report = {
            "test_accuracy": 0.9 + weight_n / 100 + activation_n / 1000,
            "validation_accuracy": 0.98,
            "final_test_accuracy": 0.96,
            "seconds": 3.0,
        }
        (folder / "report.json").write_text(json.dumps(report))
        return subprocess.CompletedProcess(command, 0, "", "")

    def exports(model_path, dataset):
        report = json.loads((model_path.parent / "report.json").read_text())
        return {
            f"{ops}_{key}": value
            for order, ops in enumerate(framework.OPS, 1)
            for key, value in {
                "accuracy": report["test_accuracy"],
                "differing_labels": 0,
                "differing_outputs": 0,
                "differing_activations": 7 * order,
                "exact": True,
                "bytes": 1000 * order,
            }.items()
        }

    monkeypatch.setattr(framework.subprocess, "run", train)
    monkeypatch.setattr(framework, "_exports", exports)
    return commands


def test_page(commands, tmp_path):
    page, rows = tmp_path / "page.md", tmp_path / "rows.json"
    arguments = [
        *("--epochs=2", "--seed=7", "--dataset=digits", "--width=0.5"),
        *("--levels=1", f"--page={page}"),
    ]
    folders = [f"--json={rows}", f"--output_dir={tmp_path / 'out'}"]
    done = in_process.run(framework.main, *arguments, *folders)
    assert done.returncode == 0, done.stderr
    assert len(commands) == 7
    for flags in commands:
        assert flags["epochs"] == "2" and flags["seed"] == "7"
        assert flags["dataset"] == "digits" and flags["width"] == "0.5"
        assert "resume" in flags
    text = page.read_text()
    assert f"python -m benchmarks.framework {' '.join(arguments)}" in text
    assert (
        "| TWN | 1 | float | 91.05% | 91.05% | 91.05% | 0 | 21 | 1,000 "
        "| 2,000 |" in text
    )
    assert "| n = 0 | 90.00% | 90.10% |\n| n = 1 | 91.00% | 91.10% |" in text
    assert "0 labels and 147 activations differ" in text
    assert text in done.stdout
    assert len(json.loads(rows.read_text())) == 7

    # Done once, for these settings.
    in_process.run(framework.main, *arguments, *folders)
    assert len(commands) == 7
    in_process.run(framework.main, *arguments, *folders, "--seed=8")
    assert len(commands) == 14


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--epochs=0", "argument --epochs: must be > 0. Received: 0"),
        ("--seed=-1", "argument --seed: must be >= 0. Received: -1"),
        ("--levels=-1", "argument --levels: must be >= 0. Received: -1"),
        ("--page=/none/page.md", "error: The folder `/none` does not exist"),
        ("--json=/none/rows.json", "error: The folder `/none` does not exist"),
    ],
)
def test_errors(argument, message, commands):
    done = in_process.run(framework.main, argument)
    assert done.returncode != 0
    assert message in done.stderr
    assert not commands
