# SPDX-License-Identifier: Apache-2.0
"""Small files in the place of MNIST's and Fashion-MNIST's."""

import hashlib
import struct

import numpy as np

from train import idx_files, records


def idx(array: np.ndarray) -> bytes:
    """An array as an IDX file of unsigned bytes."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def files(seed: int = 0):
    """Four files by name, the records in them, and the files' SHA-256."""
    rng = np.random.default_rng(seed)
    arrays = {
        idx_files.TRAIN_IMAGES: rng.integers(0, 256, (12, 4, 4), np.uint8),
        idx_files.TRAIN_LABELS: np.arange(12, dtype=np.uint8) % 3,
        idx_files.TEST_IMAGES: rng.integers(0, 256, (5, 4, 4), np.uint8),
        idx_files.TEST_LABELS: np.arange(5, dtype=np.uint8) % 3,
    }
    contents = {name: idx(array) for name, array in arrays.items()}
    train_images, train_labels, test_images, test_labels = arrays.values()
    parts = (
        records.canonical(train_images, train_labels),
        records.canonical(test_images, test_labels),
    )
    hashes = {
        name: hashlib.sha256(content).hexdigest()
        for name, content in contents.items()
    }
    return contents, parts, hashes
