# SPDX-License-Identifier: Apache-2.0
"""Files that are written whole, and archives that are read whole or not."""

import contextlib
import os
import pathlib
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt


class DamagedError(Exception):
    """A file is not what its name says; the message tells how."""


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a temporary path that becomes `path` if the block succeeds.

    The temporary file lies in the same folder, so that the last step is one
    atomic rename, and has the same suffix, which some writers look at. If
    the block fails, `path` stays as it was and the temporary file goes away.

    Args:
        path: The file to write; its folder must exist.

    Yields:
        The path to write to.

    Example:
    >>> with replacing(folder / "numbers.txt") as temporary:
    ...     _ = temporary.write_text("1 2 3")
    """
    handle, name = tempfile.mkstemp(
        prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent
    )
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        # mkstemp makes a private file; give it the mode of an ordinary one.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        yield temporary
        # Without this a power cut could leave a renamed, empty file.
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
                return {
                    name: archive[name]
                    for name in archive.files
                    if names is None or name in names
                }
    except FileNotFoundError:
        raise
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        MemoryError,
        NotImplementedError,
        RuntimeError,
        SyntaxError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise DamagedError(f"{type(error).__name__}: {error}") from error
