# SPDX-License-Identifier: Apache-2.0
"""Instructions of the innermost loops of the installed kernels.

python -m benchmarks.host_inference.mix

Disassembles the delegate (`objdump`, x86-64) and counts what the loop that
computes most has in it. Which products one pass of a loop computes follows
from its source.
"""

import argparse
import collections
import dataclasses
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence

from export import delegate


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A loop to be found.

    Attributes:
        name: What it is.
        marks: An instruction that the loop has, and how often.
        products: Products of one pass.
    """

    name: str
    marks: tuple[str, int]
    products: int


# A pass of the dense loop is a word of 32 channels of a full tile; of the
# carry loop two words of 8 lanes and 3 positions; of the events 16 of them.
_KERNELS = (
    Kernel("avx512, dense", ("vpopcntd", 24), 6 * 32 * 32),
    Kernel("avx512, int8 input", ("vpdpbusd", 12), 6 * 32 * 4),
    Kernel("avx512, events*", ("vpternlogq", 46), 16 * 512),
    Kernel("avx2, dense", ("vpshufb", 6), 2 * 3 * 8 * 32),
)

Instruction = tuple[int, str, str]


def main() -> None:
    """Prints the table."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.host_inference.mix",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    if shutil.which("objdump") is None:
        sys.exit("This needs `objdump`; Debian has it in binutils.")
    if "avx2" not in delegate.get_kernels():
        sys.exit("This needs an x86-64 processor with AVX2.")
    loops = list(_loops(_disassembled()))
    print(f"{'loop':<20} {'products':>8} {'instr.':>7} {'ratio':>6}  most are")
    for kernel in _KERNELS:
        mark, count = kernel.marks
        found = [
            loop
            for loop in loops
            if [name for _, name, _ in loop].count(mark) == count
        ]
        if not found:
            print(f"{kernel.name:<20} another compiler made other loops")
            continue
        loop = min(found, key=len)
        names = collections.Counter(name for _, name, _ in loop)
        most = ", ".join(f"{n} {name}" for name, n in names.most_common(7))
        print(
            f"{kernel.name:<20} {kernel.products:>8,} {len(loop):>7} "
            f"{kernel.products / len(loop):>6.1f}  {most}"
        )
    print("* of non-zero inputs")


def _disassembled() -> list[Instruction]:
    """Address, name and operands of every instruction."""
    done = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", delegate.get_delegate_path()],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = re.findall(
        r"^\s+([0-9a-f]+):\s+(\S+) *(.*)$", done.stdout, re.MULTILINE
    )
    return [(int(address, 16), name, rest) for address, name, rest in lines]


def _loops(
    instructions: Sequence[Instruction],
) -> Iterator[Sequence[Instruction]]:
    """What lies between a jump backwards and its target."""
    places = {address: i for i, (address, _, _) in enumerate(instructions)}
    for i, (address, name, rest) in enumerate(instructions):
        target = re.match(r"[0-9a-f]+", rest)
        if not name.startswith("j") or target is None:
            continue
        first = places.get(int(target[0], 16))
        if first is not None and int(target[0], 16) <= address:
            yield instructions[first : i + 1]


if __name__ == "__main__":
    main()
