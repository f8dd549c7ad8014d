# SPDX-License-Identifier: Apache-2.0
"""Runs pytest on the files named on the command line; Bazel's entry point."""

import os
import pathlib
import sys

import pytest


def main() -> int:
    """Runs the tests and returns pytest's status, 5 if there were none."""
    # An editable install of the package leads into the checkout. Here the
    # files that the BUILD file lists are tested, so that it must list all.
    sys.meta_path[:] = [
        finder
        for finder in sys.meta_path
        if type(finder).__name__ != "ScikitBuildRedirectingFinder"
    ]
    root = pathlib.Path(__file__).absolute().parents[1]
    arguments = [
        f"--rootdir={root}",
        f"--config-file={root / 'pyproject.toml'}",
        *("-p", "no:cacheprovider"),
    ]
    if "TEST_TMPDIR" in os.environ:
        folder = pathlib.Path(os.environ["TEST_TMPDIR"], "pytest")
        arguments.append(f"--basetemp={folder}")
    if "XML_OUTPUT_FILE" in os.environ:
        arguments.append(f"--junitxml={os.environ['XML_OUTPUT_FILE']}")
    return pytest.main([*arguments, *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
