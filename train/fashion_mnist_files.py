# SPDX-License-Identifier: Apache-2.0
"""Fashion-MNIST: where to get it, and that it is not MNIST by mistake.

Its four files have the names of MNIST's, and tools that cache by name have
given one for the other. So all records are checked against one digest.
"""

import os
import pathlib

from train import idx_files, sources, tfds_files
from train.sources import Parts

DEBIAN_PACKAGE = "dataset-fashion-mnist"

FILES_SHA256 = {
    idx_files.TRAIN_IMAGES: (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
    ),
    idx_files.TRAIN_LABELS: (
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
    ),
    idx_files.TEST_IMAGES: (
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
    ),
    idx_files.TEST_LABELS: (
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
    ),
}

# `records.digest` of the training and the test records of these files.
RECORDS_SHA256 = (
    "bc18f5efe8934834b9a2f4ae744d42a7f800711c6f04d9467759ba893333872e"
)

# Where the Debian package has its files, gzipped.
_DEBIAN_FOLDER = pathlib.Path("/usr/share/datasets/fashion-mnist")


def load(data_dir: str | os.PathLike[str] | None = None) -> tuple[Parts, str]:
    """Gives Fashion-MNIST from the first source that has it.

    Args:
        data_dir: Folder for downloads instead of the user's cache folder. Its
            folder `fashion_mnist`, if there, may hold the four IDX files.

    Returns:
        `((training records, test records), source)`, both in canonical order.

    Raises:
        UnavailableError: If no source has it.
    """
    folder = sources.cache_folder(data_dir) / "fashion_mnist"
    return sources.first(
        "Fashion-MNIST",
        {
            "cached IDX files": lambda: idx_files.from_folder(
                folder, FILES_SHA256
            ),
            f"Debian package {DEBIAN_PACKAGE}": lambda: idx_files.from_folder(
                _DEBIAN_FOLDER, FILES_SHA256
            ),
            "TensorFlow Datasets": lambda: tfds_files.load(
                "fashion_mnist", data_dir
            ),
        },
        RECORDS_SHA256,
    )
