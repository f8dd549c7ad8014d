# SPDX-License-Identifier: Apache-2.0
"""The CSV file in which a `TransitionMonitor` keeps its measurements."""

import csv
import os
import pathlib
from collections.abc import Sequence


class MonitorFile:
    """Rows under one header, to which a later training may append.

    Every row is in the file when `write()` returns.

    Args:
        path: The file.
        columns: Names of the columns.
        append: Whether rows are added to a file of the same columns; a last
            row that was cut goes away. Otherwise a file that exists is
            replaced.

    Raises:
        ValueError: If rows are to be added to a file of other columns, which
            stays as it is.

    Example:

    >>> rows = MonitorFile(folder / "rates.csv", ["step", "rate"])
    >>> rows.write({"step": 1, "rate": 0.5})
    >>> rows.close()
    >>> (folder / "rates.csv").read_text().splitlines()
    ['step,rate', '1,0.5']
    """

    def __init__(
        self, path: pathlib.Path, columns: Sequence[str], append: bool = False
    ) -> None:
        header = ",".join(columns) + "\n"
        content = path.read_bytes() if append and path.exists() else b""
        # A row without its end was cut when an earlier training was stopped.
        whole = content[: content.rfind(b"\n") + 1]
        found = (whole or content).decode(errors="replace").partition("\n")[0]
        if not header.startswith(found + "\n" if whole else found):
            raise ValueError(
                f"`{path}` has other columns than this monitor writes. "
                "Choose another file, or `append=False` to replace it. "
                f"Received: {found}; to write: {header.rstrip()}"
            )
        mode = "r+" if whole else "w"
        self._stream = path.open(mode, encoding="utf-8", newline="")
        if whole:
            self._stream.truncate(len(whole))
            self._stream.seek(0, os.SEEK_END)
        else:
            self._stream.write(header)
        self._rows = csv.DictWriter(self._stream, columns, lineterminator="\n")

    def write(self, row: dict[str, float]) -> None:
        """Adds a row."""
        self._rows.writerow(row)
        self._stream.flush()

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()
