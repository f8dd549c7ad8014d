# SPDX-License-Identifier: Apache-2.0
"""The benchmark of training, on a tiny net, for its rows and not its times."""

import json
import pathlib
import subprocess
import sys

import pytest

import gxnor_tf
from benchmarks import train_step
from tests.benchmarks import in_process

ROOT = pathlib.Path(__file__).absolute().parents[2]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--batch_size=0", "argument --batch_size: must be > 0. Received: 0"),
        ("--width=1000", "error: `width` must be <= 64. Received: width=1000"),
        ("--units=-1", "argument --units: must be >= 0. Received: -1"),
        ("--json=/none/rows.json", "error: The folder `/none` does not exist"),
    ],
)
def test_errors(argument, message):
    done = in_process.run(train_step.main, argument)
    assert done.returncode != 0
    assert message in done.stderr


@pytest.mark.slow
def test_rows(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            *("-m", "benchmarks.train_step"),
            "--net=mnist",
            "--width=0.05",
            "--batch_size=4",
            "--steps=1",
            "--rounds=1",
            "--units=16",
            f"--json={tmp_path / 'rows.json'}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())
    cases = [(row["case"], row["mode"], row["xla"]) for row in rows]
    fast = gxnor_tf.enable_bfloat16_products()
    gxnor_tf.enable_bfloat16_products(False)
    assert cases == [
        *([("train", "dst_bfloat16", False)] if fast else []),
        *(
            (case, mode, xla)
            for case in ("train", "update", "memory")
            for xla in (False, True)
            for mode in ("dst", "float32", "dst_in_kernel")
            if not (case == "train" and mode == "dst_in_kernel")
        ),
    ]
    assert len({frozenset(row) for row in rows}) == 1
    for row in rows:
        assert row["batch_size"] == 4
        if row["case"] == "memory":
            assert (row["net"], row["width"]) == ("dense_16", None)
            assert row["peak_rss_mib"] >= row["rss_before_mib"] > 50
        else:
            assert (row["net"], row["width"]) == ("mnist", 0.05)
            assert row["ratio_low"] == row["ratio_high"] > 0
            assert row["cpu_milliseconds"] > 0 < row["milliseconds"]
        if row["case"] == "train":
            assert row["images_per_second"] > 0 < row["ratio_to_faster"]
    # Nearly all is the weights: their state and the moments.
    *_, dst, float32, in_kernel = rows
    assert 2 <= dst["state_bytes_per_parameter"] < 2.2
    assert 12 <= float32["state_bytes_per_parameter"] < 12.5
    assert 1 <= in_kernel["state_bytes_per_parameter"] < 1.2
    assert f"{dst['state_bytes_per_parameter']:.2f}" in done.stdout
