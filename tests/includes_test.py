# SPDX-License-Identifier: Apache-2.0
"""C for microcontrollers includes nothing that a bare-metal build lacks."""

import pathlib
import re
from collections.abc import Set

import pytest

ROOT = pathlib.Path(__file__).absolute().parents[1]
FREESTANDING_HEADERS = {
    "float.h",
    "iso646.h",
    "limits.h",
    "stdarg.h",
    "stdbool.h",
    "stddef.h",
    "stdint.h",
}
# Headers of compilers, for files that only one kind of processor sees.
INSTRUCTIONS_FOLDER = "export/runtime/src/arch/"
INSTRUCTIONS_HEADERS = {"<arm_mve.h>"}


def wrong_includes(
    path: str, source: str, siblings: set[str], allowed: Set[str] = frozenset()
) -> list[str]:
    """Includes of a file that a bare-metal build may not have.

    Args:
        path: Of the file.
        source: Its content.
        siblings: Headers beside it.
        allowed: Other targets, with their quotes or brackets, that it may
            include.
    """
    found = []
    if path.startswith(INSTRUCTIONS_FOLDER):
        allowed = allowed | INSTRUCTIONS_HEADERS
    for line, text in enumerate(source.splitlines(), start=1):
        match = re.match(r"\s*#\s*include\s*(.*)", text)
        if match is None:
            continue
        target = match[1].strip()
        system = re.fullmatch(r"<([^>]+)>.*", target)
        own = re.fullmatch(r'"([^"]+)".*', target)
        if system is not None and system[1] in FREESTANDING_HEADERS:
            continue
        if target in allowed:
            continue
        if own is not None and (
            re.fullmatch(r"gxnor/\w+\.h", own[1]) or own[1] in siblings
        ):
            continue
        found.append(
            f"{path}:{line}: {target} is neither gxnor/*.h, nor a header "
            "beside this file or in a folder there, nor a freestanding C99 "
            "header."
        )
    return found


RUNTIME = ROOT / "export" / "runtime"
# What a folder may include besides its own headers, the kernels' and those of
# a freestanding C99.
ALLOWED_INCLUDES = {
    "include": set(),
    "src": set(),
    "ops": {"<string.h>", '"../src/gxnor_conv2d_internal.h"'},
    "tflite_micro": {
        "<cstdarg>",
        "<cstddef>",
        "<cstdint>",
        '"../ops/op_run.h"',
        '"tensorflow/lite/micro/kernels/kernel_util.h"',
        '"tensorflow/lite/micro/micro_context.h"',
        '"tensorflow/lite/micro/micro_log.h"',
    },
}


@pytest.mark.parametrize(
    ("folder", "suffixes"),
    [
        ("include", {".h"}),
        ("src", {".c", ".h"}),
        ("ops", {".c", ".h"}),
        ("tflite_micro", {".cc", ".h"}),
    ],
)
def test_microcontrollers_need_nothing_hosted(
    folder: str, suffixes: set[str]
) -> None:
    files = [path for path in (RUNTIME / folder).rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == suffixes
    for path in files:
        siblings = {
            header.relative_to(path.parent).as_posix()
            for header in path.parent.rglob("*.h")
        }
        assert (
            wrong_includes(
                path.relative_to(ROOT).as_posix(),
                path.read_text(),
                siblings,
                ALLOWED_INCLUDES[folder],
            )
            == []
        )


@pytest.mark.parametrize(
    "line",
    [
        "#include <string.h>",
        "  #  include <stdio.h>",
        '#include "tensorflow/lite/c/common.h"',
        '#include "../tflite/abi.h"',
        '#include "elsewhere.h"',
        "#include GXNOR_CONFIG",
        "#include <arm_mve.h>",
    ],
)
def test_wrong_include_is_found(line: str) -> None:
    assert wrong_includes("a.c", f"int x;\n{line}\n", {"inner.h"})


def test_allowed_include_passes() -> None:
    line = "#include <string.h>"
    assert wrong_includes("a.c", line, set())
    assert wrong_includes("a.c", line, set(), {"<string.h>"}) == []


def test_right_includes_pass() -> None:
    source = (
        "#include <stdint.h>  /* int32_t */\n"
        '#include "gxnor/status.h"\n'
        '#include "inner.h"\n'
        "/* text */\n"
    )
    assert wrong_includes("a.c", source, {"inner.h"}) == []


def test_headers_of_compilers_are_for_one_kind_of_processor() -> None:
    path = f"{INSTRUCTIONS_FOLDER}a.h"
    assert wrong_includes(path, "#include <arm_mve.h>", set()) == []
    assert wrong_includes(path, "#include <math.h>", set())
