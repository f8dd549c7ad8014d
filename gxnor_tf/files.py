# SPDX-License-Identifier: Apache-2.0
"""Files that are written whole or not at all."""

import contextlib
import errno
import fcntl
import glob
import os
import pathlib
import tempfile
from collections.abc import Iterator

# In the names of temporary files, which nobody else's file should have.
_MARK = "gxnor-writing"

_CURES = {
    errno.EACCES: "Make its folder writable, or choose another",
    errno.EDQUOT: "Make room in the quota, or choose another disk",
    errno.EFBIG: "Raise the limit of file sizes, `ulimit -f`",
    errno.ENOENT: "Create its folder first",
    errno.ENOSPC: "Make room on the disk, or choose another",
    errno.EPERM: "Make its folder writable, or choose another",
    errno.EROFS: "Choose a folder on a disk that can be written",
}


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a temporary path that becomes `path` if the block succeeds.

    The temporary file lies in the same folder, so that the last step is one
    atomic rename, and has the same suffix, which some writers look at. If
    the block fails, `path` stays as it was and the temporary file goes away.
    That of a process that was killed goes away when `path` is next written.

    Args:
        path: The file to write; its folder must exist. A symbolic link is
            followed.

    Yields:
        The path to write to.

    Raises:
        OSError: If `path` is something else than a regular file, or cannot
            be written.

    Example:
    >>> with replacing(folder / "numbers.txt") as temporary:
    ...     _ = temporary.write_text("1 2 3")
    """
    path = path.resolve()
    check_regular(path)
    with naming(path), _temporary(path) as temporary:
        yield temporary
        # Without this a power cut could leave a renamed, empty file.
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
        _sync_names(path.parent)


def check_regular(path: pathlib.Path) -> None:
    """Raises OSError if something else than a regular file is at `path`.

    Example:
    >>> check_regular(folder / "numbers.txt")
    """
    if path.exists() and not path.is_file():
        raise OSError(
            f"`{path}` is no regular file, which cannot be replaced. Choose "
            "another path."
        )


def remove_leftovers(path: pathlib.Path) -> None:
    """Removes temporary files that killed writers of `path` left behind.

    Those of writers that are alive stay.

    Example:
    >>> remove_leftovers(folder / "numbers.txt")
    """
    path = path.resolve()
    stem, suffix = glob.escape(path.stem), glob.escape(path.suffix)
    for leftover in path.parent.glob(f".{stem}.{_MARK}-*{suffix}"):
        # A writer holds the lock as long as it lives. Where the file system
        # has no locks nothing can be told, and nothing is removed.
        with contextlib.suppress(OSError), leftover.open("rb+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink()


@contextlib.contextmanager
def naming(path: pathlib.Path) -> Iterator[None]:
    """Gives the system's errors a message with what was written, and a cure.

    Args:
        path: The file or folder that the block writes.

    Raises:
        OSError: Of the same type as that of the block. One that has a message
            of its own is left as it is.

    Example:
    >>> try:
    ...     with naming(pathlib.Path("a.txt")):
    ...         raise OSError(errno.ENOSPC, "No space left on device")
    ... except OSError as error:
    ...     print(error)
    `a.txt` cannot be written (No space left on device). Make room on the
    disk, or choose another.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or error.strerror is None:
            raise
        cure = _CURES.get(error.errno, "Choose another path")
        text = f"`{path}` cannot be written ({error.strerror}). {cure}."
        # Given to it together, Python would put "[Errno 28]" before the text.
        named = type(OSError(error.errno, ""))(text)
        named.errno = error.errno
        raise named from error


@contextlib.contextmanager
def _temporary(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Makes a file beside `path` that is locked, and gone afterwards."""
    remove_leftovers(path)
    temporary, handle = _locked(path)
    try:
        # mkstemp makes a private file; give it the mode of an ordinary one.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def _locked(path: pathlib.Path) -> tuple[pathlib.Path, int]:
    """Makes a file beside `path`, and the handle that keeps it locked."""
    while True:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}.{_MARK}-",
            suffix=path.suffix,
            dir=path.parent,
        )
        with contextlib.suppress(OSError):  # Not every file system has locks.
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.path.exists(name):
            return pathlib.Path(name), handle
        # Before it was locked, another process took it for a leftover.
        os.close(handle)


def _sync_names(folder: pathlib.Path) -> None:
    """Makes a rename last: without it a power cut could bring back the old."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # It can be written, and not read.
        return
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems sync no folders.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)
