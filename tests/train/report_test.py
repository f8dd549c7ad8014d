# SPDX-License-Identifier: Apache-2.0
"""Metrics file, accuracy and curves. The summary is in loop_test.py."""

import csv

import keras
import numpy as np
import pytest
from matplotlib import image

from train import report
from train.records import Records

ROWS = [
    {
        "epoch": epoch,
        "loss": 1 / epoch,
        "accuracy": 1 - 0.1 / epoch,
        "val_loss": 1.1 / epoch,
        "val_accuracy": 1 - 0.2 / epoch,
        "zero_share": 0.3,
        "transition_rate": 0.01 / epoch**3,
        "learning_rate": 0.01 / epoch,
        "seconds": 2.5,
    }
    for epoch in range(1, 6)
]
CONTINUOUS = [
    {k: v for k, v in row.items() if k not in ("zero_share", "transition_rate")}
    for row in ROWS
]


def test_metrics_can_be_read_back_exactly(tmp_path):
    path = tmp_path / "metrics.csv"
    report.write_metrics(path, ROWS)
    with path.open(newline="") as stream:
        found = list(csv.DictReader(stream))
    assert list(found[0]) == list(report.COLUMNS)
    assert [{k: float(v) for k, v in row.items()} for row in found] == ROWS


def test_metrics_of_a_float32_run_leave_columns_empty(tmp_path):
    path = tmp_path / "metrics.csv"
    report.write_metrics(path, CONTINUOUS)
    with path.open(newline="") as stream:
        found = list(csv.DictReader(stream))
    assert found[0]["zero_share"] == found[0]["transition_rate"] == ""
    assert found[0]["seconds"] == "2.5"


def test_accuracy_counts_records():
    # The pixel is the label, but three of seven records are labelled wrong.
    pixels = np.array([0, 1, 2, 0, 1, 2, 0], np.uint8)
    labels = np.array([0, 1, 2, 0, 2, 0, 1], np.int32)
    model = keras.Sequential(
        [
            keras.Input((1, 1, 1)),
            keras.layers.Flatten(),
            keras.layers.Lambda(
                lambda x: -abs(x * 128 + 128 - np.arange(3, dtype="float32"))
            ),
        ]
    )
    records = Records(pixels.reshape(7, 1, 1, 1), labels)
    assert report.accuracy(model, records, 3) == pytest.approx(4 / 7)


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        ROWS[:1],
        CONTINUOUS,
        [row | {"transition_rate": 0} for row in ROWS],
    ],
    ids=["discrete", "one epoch", "float32", "at rest"],
)
def test_curves_are_drawn(tmp_path, rows):
    path = tmp_path / "curves.png"
    report.draw_curves(path, rows, "title " * 30, "cross_entropy")
    pixels = image.imread(path)
    assert min(pixels.shape[:2]) > 500
    # Each of the four panels has something drawn in it.
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    for top in (0, height):
        for left in (0, width):
            panel = pixels[top : top + height, left : left + width, :3]
            assert panel.min() < 0.3
