# SPDX-License-Identifier: Apache-2.0
"""Files that are written whole or not at all."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a temporary path that becomes `path` if the block succeeds.

    The temporary file lies in the same folder, so that the last step is one
    atomic rename, and has the same suffix, which some writers look at. If
    the block fails, `path` stays as it was and the temporary file goes away.

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
    if path.exists() and not path.is_file():
        raise OSError(
            f"`{path}` is no regular file, which cannot be replaced. Choose "
            "another path."
        )
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
