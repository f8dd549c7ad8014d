# SPDX-License-Identifier: Apache-2.0
"""What a run leaves to read: metrics.csv, report.json and curves.png."""

import csv
import io
import json
import pathlib
import platform
import textwrap
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

import gxnor_tf
from gxnor_tf.files import replacing
from train import files, pipeline
from train.checkpoint import Progress
from train.datasets import Dataset
from train.records import Records

COLUMNS = (
    "epoch",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "zero_share",
    "transition_rate",
    "learning_rate",
    "seconds",
)

# An ordinary float32 weight and Adam's two moments.
_FLOAT32_ADAM_BYTES_PER_WEIGHT = 12.0

# Enough for three digits; counting gates costs several evaluations.
_GATE_SAMPLES = 1000

Rows = Sequence[dict[str, float]]


def write_metrics(path: pathlib.Path, rows: Rows) -> None:
    """Writes one line per epoch; what a run does not have stays empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(path, text.getvalue())


def accuracy(model: keras.Model, records: Records, num_classes: int) -> float:
    """Share of records whose highest score is that of their label."""
    batches = pipeline.evaluation_batches(records, num_classes)
    scores = model.predict(batches, verbose=0)
    return float(np.mean(scores.argmax(axis=-1) == records.labels))


def summary(
    best: keras.Model,
    final: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    dataset: Dataset,
    progress: Progress,
) -> dict[str, Any]:
    """The content of `report.json`.

    Args:
        best: The model chosen by its loss on the validation records.
        final: The model of the last epoch.
        optimizer: What trained them.
        dataset: The data.
        progress: The logs of all epochs.
    """
    classes = dataset.num_classes
    discrete = sum(
        int(np.prod(v.shape))
        for v in best.variables
        if isinstance(v, gxnor_tf.DiscreteVariable)
    )
    images = pipeline.normalized(tf.constant(dataset.test.images)).numpy()
    weights = gxnor_tf.metrics.weight_zero_shares(best)
    return {
        "test_accuracy": accuracy(best, dataset.test, classes),
        "validation_accuracy": accuracy(best, dataset.validation, classes),
        "final_test_accuracy": accuracy(final, dataset.test, classes),
        "best_epoch": progress.best_epoch,
        "epochs": len(progress.rows),
        "seconds": sum(row["seconds"] for row in progress.rows),
        "zero_share": {
            # A variable's path ends in the layer's and its own name.
            "weights": {k.split("/")[-2]: v for k, v in weights.items()},
            "activations": gxnor_tf.metrics.activation_zero_shares(
                best, images, pipeline.EVALUATION_BATCH_SIZE
            ),
        },
        "gate_open_rate": gxnor_tf.metrics.gate_open_rates(
            best, images[:_GATE_SAMPLES], pipeline.EVALUATION_BATCH_SIZE
        ),
        "state_bytes_per_weight": getattr(
            optimizer, "state_bytes_per_weight", _FLOAT32_ADAM_BYTES_PER_WEIGHT
        ),
        "parameters": {
            "discrete": discrete,
            "continuous": best.count_params() - discrete,
        },
        "dataset": {
            "name": dataset.name,
            "source": dataset.source,
            "sha256": dataset.digest,
            "train": len(dataset.train),
            "validation": len(dataset.validation),
            "test": len(dataset.test),
        },
        "versions": {
            "python": platform.python_version(),
            "gxnor_tf": gxnor_tf.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }


def write_summary(path: pathlib.Path, content: dict[str, Any]) -> None:
    """Writes `report.json`."""
    files.write_text(path, json.dumps(content, indent=2) + "\n")


def draw_curves(
    path: pathlib.Path, rows: Rows, title: str, loss_name: str
) -> None:
    """Draws loss, accuracy, zero share and transition rate by epoch.

    Args:
        path: The file to write, `.png`.
        rows: The logs of all epochs.
        title: Text above the four panels; broken into lines.
        loss_name: Name of the loss, as in the settings.
    """
    figure = Figure(figsize=(10, 7), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(textwrap.fill(title, 90))
    loss, correct, zeros, moves = figure.subplots(2, 2).flat
    for label, prefix in (("training", ""), ("validation", "val_")):
        _plot(loss, rows, f"{prefix}loss", label)
        _plot(correct, rows, f"{prefix}accuracy", label, 100.0)
    _plot(zeros, rows, "zero_share", "", 100.0)
    _plot(moves, rows, "transition_rate", "", 100.0)
    loss.set_ylabel(f"{loss_name.replace('_', ' ')} loss")
    correct.set_ylabel("accuracy (%)")
    zeros.set_ylabel("weights that are zero (%)")
    moves.set_ylabel("weights that move in a step (%)")
    loss.legend()
    correct.legend()
    _widen(zeros, 2.0)
    if any(row.get("transition_rate", 0) > 0 for row in rows):
        moves.set_yscale("log")
        moves.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        plain = FuncFormatter(lambda value, _: f"{value:g}")
        moves.yaxis.set_major_formatter(plain)
        moves.yaxis.set_minor_formatter(plain)
    for axes in (loss, correct, zeros, moves):
        axes.set_xlabel("epoch")
        axes.set_xlim(0.5, len(rows) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if not axes.lines:
            axes.set_yticks([])
            axes.text(
                *(0.5, 0.5),
                "not measured: float32 weights",
                transform=axes.transAxes,
                ha="center",
            )
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _plot(
    axes: Any, rows: Rows, key: str, label: str, factor: float = 1.0
) -> None:
    points = [(row["epoch"], row[key] * factor) for row in rows if key in row]
    if points:
        # Markers, so that a single epoch is visible too.
        axes.plot(*zip(*points, strict=True), marker=".", label=label)


def _widen(axes: Any, least: float) -> None:
    """Gives the y axis a least span, so that noise does not look like news."""
    low, high = axes.get_ylim()
    if high - low < least:
        middle = (low + high) / 2
        axes.set_ylim(middle - least / 2, middle + least / 2)
