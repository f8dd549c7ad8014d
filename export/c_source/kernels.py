# SPDX-License-Identifier: Apache-2.0
"""Which files of the C kernels a model needs, found in the files themselves."""

import pathlib
import re
from collections.abc import Iterable, Iterator

from ..delegate import get_include

_INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
_DEFINITION = re.compile(
    r"^[A-Za-z][\w *]*\b(gxnor_\w+)\([^;{}]*\)\s*\{", re.MULTILINE
)
_NAME = re.compile(r"\bgxnor_\w+")


def needed_files(functions: Iterable[str]) -> dict[str, str]:
    """The files that functions need, all of them.

    Args:
        functions: Names of public functions of the kernels.

    Returns:
        The text of each file by its path, `include/gxnor/...` or `src/...`.
    """
    runtime = get_include().parent
    sources = {
        path: path.read_text() for path in sorted(runtime.glob("src/**/*.c"))
    }
    defined = {
        name: path
        for path, text in sources.items()
        for name in _DEFINITION.findall(text)
    }
    waiting = [defined[name] for name in functions]
    found: dict[pathlib.Path, str] = {}
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        text = found[path] = path.read_text()
        waiting += _includes(path, text, runtime)
        if path in sources:
            names = set(_NAME.findall(text))
            waiting += [defined[name] for name in names & defined.keys()]
    return {
        path.relative_to(runtime).as_posix(): text
        for path, text in sorted(found.items())
    }


def header_of(function: str) -> str:
    """The header that declares a function, as an `#include` names it."""
    include = get_include()
    for path in sorted(include.glob("gxnor/*.h")):
        if re.search(rf"\b{function}\(", path.read_text()):
            return path.relative_to(include).as_posix()
    raise AssertionError(f"{function} is declared in no header")


def _includes(
    path: pathlib.Path, text: str, runtime: pathlib.Path
) -> Iterator[pathlib.Path]:
    for name in _INCLUDE.findall(text):
        beside = path.parent / name
        yield beside if beside.is_file() else runtime / "include" / name
