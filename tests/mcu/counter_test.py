# SPDX-License-Identifier: Apache-2.0
"""The counter of instructions, on loops of known length."""

import dataclasses
import pathlib

import pytest

from benchmarks.mcu import cores

pytestmark = pytest.mark.mcu

SOURCE = pathlib.Path(__file__).with_name("counter.c")
INSTRUCTIONS_A_ROUND = 3

# Call, return and loading the argument.
MOST_OF_A_CALL = 8
# An interrupt counts the wraps of SysTick, which has 24 bits.
MOST_OF_A_WRAP = 8
WRAP_TICKS = 1 << 24


def test_loops_of_known_length(bench: cores.Bench) -> None:
    objects = cores.compile_c(bench.core, [SOURCE], bench.folder)
    image = bench.folder / "counter.elf"
    cores.link(bench.core, [*objects, *bench.board], image)
    lines = cores.run(bench.core, image).splitlines()
    pairs = [tuple(map(int, line.split())) for line in lines]
    assert [rounds for rounds, _ in pairs] == [10, 1000, 10**6, 2 * 10**7]
    for rounds, ticks in pairs:
        overhead = (
            bench.core.instructions(ticks) - INSTRUCTIONS_A_ROUND * rounds
        )
        wraps = ticks // WRAP_TICKS + 1 if ticks > WRAP_TICKS // 2 else 0
        assert 0 <= overhead <= MOST_OF_A_CALL + MOST_OF_A_WRAP * wraps


def test_counts_repeat(m4: cores.Bench) -> None:
    objects = cores.compile_c(m4.core, [SOURCE], m4.folder)
    image = m4.folder / "counter.elf"
    cores.link(m4.core, [*objects, *m4.board], image)
    assert cores.run(m4.core, image) == cores.run(m4.core, image)


def test_image_that_does_not_end_is_ended(m4: cores.Bench) -> None:
    source = m4.folder / "endless.c"
    source.write_text("int main(void) {\n  for (;;) {\n  }\n}\n")
    objects = cores.compile_c(m4.core, [source], m4.folder)
    image = m4.folder / "endless.elf"
    cores.link(m4.core, [*objects, *m4.board], image)
    with pytest.raises(cores.ImageError, match="did not end within 1 s"):
        cores.run(m4.core, image, timeout_s=1)


def test_fault_ends_an_image(bench: cores.Bench) -> None:
    source = bench.folder / "fault.c"
    # No instruction of any of the cores.
    source.write_text(
        "int main(void) {\n"
        '  __asm__ volatile(".short 0xDE00, 0");\n'
        "  return 0;\n"
        "}\n"
        if bench.core.start == "cortex_m"
        else 'int main(void) {\n  __asm__ volatile("unimp");\n  return 0;\n}\n'
    )
    objects = cores.compile_c(bench.core, [source], bench.folder)
    image = bench.folder / "fault.elf"
    cores.link(bench.core, [*objects, *bench.board], image)
    with pytest.raises(cores.ImageError, match="fault"):
        cores.run(bench.core, image)


def test_memory_that_does_not_fit_is_an_error(m4: cores.Bench) -> None:
    source = m4.folder / "large.c"
    source.write_text(
        "volatile char large[1 << 20];\nint main(void) { return large[0]; }\n"
    )
    objects = cores.compile_c(m4.core, [source], m4.folder)
    image = m4.folder / "large.elf"
    small = dataclasses.replace(m4.core, ram_kib=512)
    with pytest.raises(cores.ImageError, match="overflowed"):
        cores.link(small, [*objects, *m4.board], image)
