# SPDX-License-Identifier: Apache-2.0
"""The demo, on the digits that come with scikit-learn."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).absolute().parents[2]


@pytest.mark.slow
def test_demo_on_digits(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "examples.mnist_demo",
            f"--output_dir={tmp_path}",
            "--dataset=digits",
            "--epochs=2",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["differing_images"] == 0
    assert report["differing_activations"] == 0
    assert report["test_images"] == 297
    assert report["state_bytes_per_weight"] == 2.0
    forms = ("keras", "custom", "builtin")
    accuracies = {report[f"accuracy_{form}"] for form in forms}
    assert len(accuracies) == 1
    assert min(accuracies) > 0.3  # far above chance after 22 steps
    assert set(report["latency_us"]) == set(forms)
    for ops in ("custom", "builtin"):
        path = tmp_path / f"model_{ops}.tflite"
        assert path.stat().st_size == report[f"{ops}_tflite_bytes"]
    assert (tmp_path / "training" / "curves.png").is_file()
