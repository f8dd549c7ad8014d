# SPDX-License-Identifier: Apache-2.0
"""Labelled images in one canonical order.

Every source gives its records in some order: TensorFlow Datasets shuffles
what the original files hold, a user's file may be sorted by class. Sorted by
the SHA-256 of image and label, equal records are equal arrays wherever they
came from, so that a split or an order of training made from them is the same
too, and a file sorted by class does no harm.
"""

import dataclasses
import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class Records:
    """Images and their labels.

    Attributes:
        images: uint8 array `(records, height, width, channels)`.
        labels: int32 array `(records,)`.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int32]

    def __len__(self) -> int:
        """Number of records."""
        return len(self.labels)

    def __getitem__(self, part: slice) -> "Records":
        """Some of the records."""
        return Records(self.images[part], self.labels[part])


def canonical(images: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Records:
    """Sorts records by the SHA-256 of image bytes and label.

    Args:
        images: uint8 array `(records, height, width[, channels])`.
        labels: Integer array `(records,)` or `(records, 1)`.

    Example:
    >>> images = np.array([[[7]], [[9]]], np.uint8)
    >>> a = canonical(images, np.array([0, 1]))
    >>> b = canonical(images[::-1], np.array([1, 0]))
    >>> np.array_equal(a.images, b.images), a.images.shape
    (True, (2, 1, 1, 1))
    """
    images = np.ascontiguousarray(images)
    labels = labels.reshape(-1).astype("<i4")
    keys = [
        hashlib.sha256(image.tobytes() + label.tobytes()).digest()
        for image, label in zip(images, labels, strict=True)
    ]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    if images.ndim == 3:
        images = images[..., np.newaxis]
    return Records(images[order], labels[order].astype(np.int32))


def digest(*parts: Records) -> str:
    """SHA-256 over the shapes and bytes of records, in order."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(repr(part.images.shape).encode())
        sha.update(part.images.tobytes())
        sha.update(part.labels.astype("<i4").tobytes())
    return sha.hexdigest()
