# SPDX-License-Identifier: Apache-2.0
"""Reads the folders of training runs, and compares them bit for bit."""

import csv
import json
import pathlib
import re
import zipfile
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]


def saved_variables(folder: pathlib.Path) -> Arrays:
    """Weights and optimizer state of the checkpoint."""
    with np.load(folder / "checkpoint.npz") as archive:
        return {k: archive[k] for k in archive.files if k != "progress"}


def complete_epochs(folder: pathlib.Path) -> int:
    """How many epochs the checkpoint knows; 0 without one."""
    if not (folder / "checkpoint.npz").exists():
        return 0
    with np.load(folder / "checkpoint.npz") as archive:
        return len(json.loads(str(archive["progress"][()]))["rows"])


def untimed_metrics(folder: pathlib.Path) -> list[dict[str, str]]:
    """The rows of metrics.csv without what a clock measured."""
    with (folder / "metrics.csv").open(newline="") as stream:
        return [
            {k: v for k, v in row.items() if k != "seconds"}
            for row in csv.DictReader(stream)
        ]


def untimed_report(folder: pathlib.Path) -> dict[str, Any]:
    """The content of report.json without what a clock measured."""
    content = json.loads((folder / "report.json").read_text())
    del content["seconds"]
    return dict(content)


def saved_model(folder: pathlib.Path) -> tuple[str, Arrays]:
    """Architecture, and weights and optimizer state, of model.keras.

    The file's other content is the date.
    """
    arrays = {}

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with zipfile.ZipFile(folder / "model.keras") as archive:
        with (
            archive.open("model.weights.h5") as stream,
            h5py.File(stream) as weights,
        ):
            weights.visititems(collect)
        return _renumbered(archive.read("config.json").decode()), arrays


def _renumbered(config: str) -> str:
    """Keras' ids of shared objects are addresses; their order counts."""
    numbers: dict[str, int] = {}
    return re.sub(
        r'(?<="shared_object_id": )\d+',
        lambda found: str(numbers.setdefault(found[0], len(numbers))),
        config,
    )


def assert_same_arrays(one: Arrays, other: Arrays) -> None:
    """Equal in every bit, which 0.0 and -0.0 are not."""
    assert one.keys() == other.keys()
    for name, array in one.items():
        wanted = other[name]
        assert (array.dtype, array.shape) == (wanted.dtype, wanted.shape), name
        assert array.tobytes() == wanted.tobytes(), name


def assert_same_run(one: pathlib.Path, other: pathlib.Path) -> None:
    """Everything that a run leaves is equal but dates and durations."""
    assert_same_arrays(saved_variables(one), saved_variables(other))
    models = saved_model(one), saved_model(other)
    assert models[0][0] == models[1][0]
    assert_same_arrays(models[0][1], models[1][1])
    assert untimed_metrics(one) == untimed_metrics(other)
    assert untimed_report(one) == untimed_report(other)
