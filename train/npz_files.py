# SPDX-License-Identifier: Apache-2.0
"""A user's own data set: an `.npz` file of four arrays."""

import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt

from train import files, records
from train.errors import UserError
from train.sources import Parts

MAX_CLASSES = 1000


def load(name: str) -> Parts:
    """Reads a data set.

    Args:
        name: Path of the file.

    Returns:
        Training records and test records, in canonical order.

    Raises:
        UserError: If it is no such file, or its arrays do not fit.
    """
    arrays = _read(name)
    _check_arrays(name, **arrays)
    return (
        records.canonical(arrays["x_train"], arrays["y_train"]),
        records.canonical(arrays["x_test"], arrays["y_test"]),
    )


def _read(name: str) -> dict[str, npt.NDArray[Any]]:
    """Reads the four arrays; whatever is wrong becomes one clear error."""
    needed = ("x_train", "y_train", "x_test", "y_test")
    if not pathlib.Path(name).is_file():
        raise UserError(
            "`dataset` names a file that does not exist. Received: "
            f"dataset={name!r}"
        )
    try:
        arrays = files.read_npz(name, needed)
    except files.DamagedError as error:
        raise UserError(
            f"{name} is not a complete .npz archive of plain arrays ({error}). "
            "Write it with numpy.savez_compressed."
        ) from error
    missing = [key for key in needed if key not in arrays]
    if missing:
        raise UserError(
            f"{name} must hold the arrays {', '.join(needed)}. Missing: "
            f"{', '.join(missing)}. Write it with numpy.savez_compressed."
        )
    return arrays


def _check_arrays(
    name: str,
    x_train: npt.NDArray[Any],
    y_train: npt.NDArray[Any],
    x_test: npt.NDArray[Any],
    y_test: npt.NDArray[Any],
) -> None:
    def check(condition: Any, array: str, text: str, received: Any) -> None:
        if not condition:
            raise UserError(
                f"`{array}` in {name} must {text}. Received: {received}"
            )

    for part, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
        check(
            x.dtype == np.uint8,
            f"x_{part}",
            "hold uint8 pixels, 0..255",
            f"dtype {x.dtype}",
        )
        check(
            x.ndim in (3, 4) and 0 not in x.shape[1:],
            f"x_{part}",
            "have the shape (records, height, width) or (records, height, "
            "width, channels)",
            f"shape {x.shape}",
        )
        check(
            np.issubdtype(y.dtype, np.integer),
            f"y_{part}",
            "hold integer labels",
            f"dtype {y.dtype}",
        )
        check(
            y.shape in ((len(x),), (len(x), 1)),
            f"y_{part}",
            f"hold one label for each of the {len(x)} images of x_{part}",
            f"shape {y.shape}",
        )
    check(
        len(x_train) > 1,
        "x_train",
        "hold images to train on and to validate with",
        f"{len(x_train)} images",
    )
    check(len(x_test) > 0, "x_test", "hold at least one image", "none")
    check(
        x_train.shape[1:] == x_test.shape[1:],
        "x_test",
        f"hold images of the shape of those of x_train, {x_train.shape[1:]}",
        f"{x_test.shape[1:]}",
    )
    check(
        0 <= y_train.min() and 1 <= y_train.max() < MAX_CLASSES,
        "y_train",
        f"hold labels that count from 0, of 2 to {MAX_CLASSES} classes",
        f"labels from {y_train.min()} to {y_train.max()}",
    )
    check(
        0 <= y_test.min() and y_test.max() <= y_train.max(),
        "y_test",
        f"hold labels of y_train's classes, 0 to {y_train.max()}",
        f"labels from {y_test.min()} to {y_test.max()}",
    )
