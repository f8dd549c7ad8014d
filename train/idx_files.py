# SPDX-License-Identifier: Apache-2.0
"""The four IDX files that MNIST and Fashion-MNIST consist of."""

import gzip
import hashlib
import math
import pathlib
import struct
import zlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from absl import logging

from train import records
from train.sources import Parts, SourceError

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"

# The largest file, the images for training, has 47,040,016.
_MOST_BYTES = 1 << 26


def parse_idx(data: bytes, name: str) -> npt.NDArray[np.uint8]:
    """Reads an IDX file of unsigned bytes.

    The format is two zero bytes, the type (8 = unsigned byte), the number of
    dimensions, each dimension as a big-endian uint32, then the elements.

    Args:
        data: Content of the file.
        name: Name of the file, for the message.

    Raises:
        SourceError: If the header is wrong or the length does not match it.
    """
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise SourceError(
            f"{name} is no IDX file of unsigned bytes: it begins with "
            f"{data[:4].hex(' ') or 'nothing'}, not 00 00 08"
        )
    rank = data[3]
    start = 4 + 4 * rank
    if rank == 0 or len(data) < start:
        raise SourceError(
            f"{name} is no complete IDX file: rank {rank}, {len(data)} bytes"
        )
    shape = struct.unpack(f">{rank}I", data[4:start])
    if len(data) - start != math.prod(shape):
        raise SourceError(
            f"{name} is no complete IDX file: its header announces "
            f"{math.prod(shape)} elements {shape}, but "
            f"{len(data) - start} bytes follow"
        )
    try:
        return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
    except ValueError as error:  # More axes than NumPy has, say.
        raise SourceError(
            f"{name} is no IDX file that can be read: rank {rank} ({error})"
        ) from error


def parts(contents: Mapping[str, bytes], sha256: Mapping[str, str]) -> Parts:
    """Checks and parses the four files.

    Args:
        contents: Content by file name.
        sha256: What the SHA-256 of each file must be.

    Returns:
        Training records and test records, in canonical order.

    Raises:
        SourceError: If a file is another one than it must be.
    """
    for name, wanted in sha256.items():
        found = hashlib.sha256(contents[name]).hexdigest()
        if found != wanted:
            raise SourceError(
                f"{name} is damaged: its SHA-256 is {found}, not {wanted}"
            )
    arrays = {k: parse_idx(v, k) for k, v in contents.items()}
    return (
        records.canonical(arrays[TRAIN_IMAGES], arrays[TRAIN_LABELS]),
        records.canonical(arrays[TEST_IMAGES], arrays[TEST_LABELS]),
    )


def from_folder(folder: pathlib.Path, sha256: Mapping[str, str]) -> Parts:
    """Reads the four files from a folder, where they may be gzipped.

    Args:
        folder: The folder; its files are called like the keys of `sha256`,
            with or without `.gz`.
        sha256: What the SHA-256 of each unpacked file must be.

    Raises:
        SourceError: If a file is not there, cannot be read or is damaged.
    """
    contents = {name: _read(folder, name) for name in sha256}
    try:
        return parts(contents, sha256)
    except SourceError as error:
        logging.warning("%s: %s", folder, error)
        raise SourceError(f"in {folder}, {error}") from error


def _read(folder: pathlib.Path, name: str) -> bytes:
    path, packed = folder / name, folder / f"{name}.gz"
    try:
        if path.exists() or not packed.exists():
            return path.read_bytes()
        with gzip.open(packed) as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise SourceError(
                f"{packed} is damaged: it unpacks to more than {_MOST_BYTES} "
                "bytes, and no file of the data set has as many"
            )
        return content
    except FileNotFoundError as error:
        raise SourceError(f"{folder} does not hold {name}") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceError(f"{packed} is damaged: {error}") from error
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
