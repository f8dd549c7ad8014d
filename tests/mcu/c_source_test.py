# SPDX-License-Identifier: Apache-2.0
"""Generated models on every core: the reference's integers, Keras' bits."""

import pathlib
from collections.abc import Callable

import keras
import numpy as np
import pytest

from benchmarks.mcu import cores
from export import c_source, fusion, reference
from tests.export import nets
from tests.export.c_source_test import integers

pytestmark = pytest.mark.mcu

SOURCE = pathlib.Path(__file__).with_name("run_model.c")

# What compilers call where a processor has no instruction for it: products of
# 64 bits, quotients, and in the scores float32; and what they make of loops.
COMPILER_HELPERS = {
    "__addsf3",
    "__aeabi_fadd",
    "__aeabi_fcmplt",
    "__aeabi_fmul",
    "__aeabi_i2f",
    "__aeabi_idiv",
    "__aeabi_idivmod",
    "__aeabi_ldivmod",
    "__aeabi_lmul",
    "__aeabi_uidivmod",
    "__divdi3",
    "__floatsisf",
    "__ltsf2",
    "__mulsf3",
    "memcpy",
    "memset",
}


@pytest.mark.parametrize(
    "make", [nets.branching, nets.flipped_states, nets.upsampling]
)
def test_runs_on_every_core(
    bench: cores.Bench,
    make: Callable[[int], keras.Model],
    tmp_path: pathlib.Path,
) -> None:
    model = make(6)
    program = fusion.fuse(model)
    x = nets.images(model, 2, 6)
    expected = reference.run(program, x)
    source = c_source.generate(program)
    source.write(tmp_path)
    numbers = ", ".join(map(str, x.ravel().tolist()))
    (tmp_path / "inputs.h").write_text(
        f"#include <stdint.h>\nstatic const int8_t inputs[] = {{{numbers}}};\n"
    )
    states = expected.output.dtype == np.int8
    objects = cores.compile_c(
        bench.core,
        [SOURCE, tmp_path / "model.c"],
        tmp_path,
        [*cores.WARNINGS, f"-I{tmp_path}", f"-DHAS_SCORES={not states:d}"]
        + [f"-DRESULT={'int8_t' if states else 'int32_t'}"],
    )
    image = tmp_path / "model.elf"
    cores.link(bench.core, [*objects, *bench.objects], image)
    lines = cores.run(bench.core, image).split()
    printed = np.array(lines, np.int32).reshape(len(x), -1)
    results = integers(program, expected).reshape(len(x), -1)
    assert (printed[:, : results.shape[1]] == results).all()
    if not states:
        scores = expected.output.reshape(len(x), -1)
        assert (printed[:, results.shape[1] :] == scores.view(np.int32)).all()


def test_needs_nothing_but_itself(
    bench: cores.Bench, tmp_path: pathlib.Path
) -> None:
    """The files that were written, the example too, compile and suffice."""
    source = c_source.generate(fusion.fuse(nets.branching(0)))
    source.write(tmp_path)
    flags = [*cores.WARNINGS, f"-I{tmp_path / 'include'}"]
    hosted = []
    if bench.core.tools.startswith("riscv"):
        hosted = ["--specs=picolibc.specs"]  # For the example's stdio.h.
    example = cores.compile_c(
        bench.core, [tmp_path / "main.c"], tmp_path / "main", [*flags, *hosted]
    )
    assert example[0].is_file()
    names = [tmp_path / name for name in source.files if name.endswith(".c")]
    names.remove(tmp_path / "main.c")
    objects = cores.compile_c(bench.core, names, tmp_path / "objects", flags)
    missing = cores.undefined_symbols(bench.core, objects, tmp_path)
    assert set(missing) <= COMPILER_HELPERS
