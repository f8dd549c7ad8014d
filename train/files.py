# SPDX-License-Identifier: Apache-2.0
"""Text files and archives of arrays."""

import os
import pathlib
import zipfile
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from gxnor_tf.files import replacing


class DamagedError(Exception):
    """A file is not what its name says; the message tells how."""


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a text file, complete or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_npz(
    path: str | os.PathLike[str], names: Collection[str] | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Reads arrays from an `.npz` archive, without unpickling anything.

    Args:
        path: The file.
        names: The arrays to read, as far as they are there; all if None.

    Raises:
        DamagedError: If the file is no complete archive of plain arrays.
        FileNotFoundError: If there is no such file.
    """
    try:
        # NumPy would leave a file that is no archive open.
        with open(path, "rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DamagedError("it holds a single array")
            with archive:
                _check_compression(archive.zip)
                arrays = {
                    name: archive[name]
                    for name in archive.files
                    if names is None or name in names
                }
            for name, array in arrays.items():
                # NumPy gives the bytes of what is no array.
                if not isinstance(array, np.ndarray):
                    raise DamagedError(f"its member `{name}` is no array")
            return arrays
    except (DamagedError, FileNotFoundError):
        raise
    except Exception as error:  # NumPy's parsers have many of their own.
        raise DamagedError(f"{type(error).__name__}: {error}") from error


def _check_compression(archive: zipfile.ZipFile) -> None:
    """What NumPy writes unpacks to about 1000 times the file at most."""
    for info in archive.infolist():
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DamagedError(
                f"its member `{info.filename}` is compressed in another way "
                "than by NumPy"
            )
