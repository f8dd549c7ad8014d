# SPDX-License-Identifier: Apache-2.0
"""Writes an integer program as C source: the model, and kernels it needs."""

import dataclasses
import os
import re

from .. import files as _files
from ..graph import ExportError
from ..program import Program
from . import kernels
from .calls import make_calls
from .example_text import main_text, makefile_text
from .layout import lay_out
from .model_text import ModelText


@dataclasses.dataclass(frozen=True)
class CallRow:
    """What a call of a kernel costs.

    Attributes:
        layer: The Keras layer, or what else the call is for.
        kernel: The function.
        flash_bytes: Bytes of its weights and thresholds.
        scratch_bytes: Bytes of its buffer in the arena, 0 for none.
        fastest_bytes: Bytes with which it would be fastest.
        macs: Products it stands for, 0 where there are none.
    """

    layer: str
    kernel: str
    flash_bytes: int
    scratch_bytes: int
    fastest_bytes: int
    macs: int


@dataclasses.dataclass(frozen=True)
class CSource:
    """A model as C source.

    Attributes:
        files: The text of each file by its path: `model.h` and `model.c`, the
            kernels in `include/gxnor` and `src`, and an example, `main.c` and
            `Makefile`.
        examples: Which of them are only an example.
        rows: What each call costs, in order.
        arena_bytes: Bytes of the memory that the model needs.
    """

    files: dict[str, str]
    examples: tuple[str, ...]
    rows: tuple[CallRow, ...]
    arena_bytes: int

    def write(self, folder: str | os.PathLike[str]) -> list[str]:
        """Writes the files into a folder, all of them or none.

        Those of an earlier export are replaced, and no other ones are touched.

        Args:
            folder: Is made if need be.

        Returns:
            The examples that were kept, for no export has written them so.

        Raises:
            OSError: If a file cannot be written, or would replace one that no
                export wrote.
        """
        return _files.write_folder(
            folder, self.files, self.examples, _files.MARK
        )


def generate(
    program: Program, name: str = "model", arena_limit: int | None = None
) -> CSource:
    """Writes a program as C source.

    Args:
        program: The integer program.
        name: Names the files and begins every public name in them: a C
            identifier.
        arena_limit: Most bytes of memory; None for as many as are fastest.

    Raises:
        ExportError: If the program has no such form, or needs more memory;
            the text names the layer and the cure.
    """
    check_name(name)
    if arena_limit is not None and arena_limit < 0:
        raise ExportError(
            "`arena_limit` must be a number of bytes. Received: "
            f"arena_limit={arena_limit}"
        )
    calls = make_calls(program)
    layout = lay_out(calls, arena_limit)
    text = ModelText(name, program, calls, layout)
    runtime = kernels.needed_files(text.functions)
    example = {
        "main.c": _files.sealed(main_text(text), _files.MARK),
        "Makefile": _files.sealed(makefile_text(name, runtime), _files.MARK),
    }
    rows = tuple(
        CallRow(
            call.layer, call.kernel, call.flash_bytes, size, most, call.macs
        )
        for call, size, most in zip(
            calls.calls, layout.scratch, layout.fastest, strict=True
        )
    )
    files = {
        **runtime,
        **example,
        f"{name}.c": text.source(),
        f"{name}.h": text.header(),
    }
    return CSource(files, tuple(example), rows, layout.arena_bytes)


def check_name(name: str) -> None:
    """Raises ExportError if a model cannot have a name in C."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ExportError(
            "The name of a model in C must be an identifier: letters, digits "
            f"and _, a letter first. Received: {name!r}"
        )
    if name.lower().startswith("gxnor"):
        raise ExportError(
            "The name of a model in C must not begin as those of the kernels "
            f"do, with gxnor. Received: {name!r}"
        )
    if name.lower() == "main":
        raise ExportError(
            "The name of a model in C must not be that of the example, "
            f"main.c. Received: {name!r}"
        )
