# SPDX-License-Identifier: Apache-2.0
"""The program as a user runs it, on a small file."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).absolute().parents[2]


@pytest.mark.slow
def test_colours(tmp_path):
    """Ten images of each of three colours, all of them told apart."""
    colours = np.eye(3, dtype=np.uint8) * 200
    labels = np.arange(60) % 3
    noise = np.random.default_rng(0).integers(0, 50, (60, 8, 8, 3), np.uint8)
    images = colours[labels][:, None, None] + noise
    path = tmp_path / "colours.npz"
    np.savez(
        path,
        x_train=images[:40],
        y_train=labels[:40],
        x_test=images[40:],
        y_test=labels[40:],
    )
    out = tmp_path / "out"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "train.cifar10", f"--output_dir={out}"),
            *(f"--dataset={path}", "--epochs=6", "--batch_size=4"),
            *("--width=0.06", "--learning_rate=0.05"),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "report.json").read_text())
    settings = json.loads((out / "config.json").read_text())
    assert report["dataset"]["train"] == 36
    assert report["dataset"]["validation"] == 4
    assert settings["augmentation"] == "crop_flip"
    assert settings["net"] == "cifar10"
    assert report["test_accuracy"] > 0.5
