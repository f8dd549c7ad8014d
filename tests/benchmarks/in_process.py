# SPDX-License-Identifier: Apache-2.0
"""Programs, run where TensorFlow is loaded: a process of its own takes 10 s."""

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable
from unittest import mock


def run(
    main: Callable[[], object], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Calls the `main` of a program as its command would.

    Args:
        main: Returns a status or the text of an error, or exits with one.
        *arguments: Those of the command line.
    """
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["program", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            status = main()
        except SystemExit as end:
            status = end.code
    if isinstance(status, str):
        print(status, file=err)
        status = 1
    return subprocess.CompletedProcess(
        arguments, int(status or 0), out.getvalue(), err.getvalue()
    )
