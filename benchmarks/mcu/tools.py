# SPDX-License-Identifier: Apache-2.0
"""The compilers and emulators, and the Debian packages that have them.

python -m benchmarks.mcu.tools

Prints the packages that are missing, and fails if there are any.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence

PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf",
    "qemu-system-arm": "qemu-system-arm",
    "qemu-system-riscv32": "qemu-system-misc",
}
"""The package of each tool."""

LIBRARIES = {
    "libnewlib-arm-none-eabi": ["arm-none-eabi-gcc"],
    "picolibc-riscv64-unknown-elf": [
        *("riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32"),
        *("-misa-spec=2.2", "--specs=picolibc.specs"),
    ],
}
"""The packages of C libraries, and compilers that must find them."""


def missing_packages() -> list[str]:
    """Packages of the tools that are not installed."""
    tools = [
        package
        for tool, package in PACKAGES.items()
        if shutil.which(tool) is None
    ]
    libraries = [
        package
        for package, compiler in LIBRARIES.items()
        if shutil.which(compiler[0]) is None or not _has_library(compiler)
    ]
    return tools + libraries


def _has_library(compiler: list[str]) -> bool:
    """Whether a compiler finds a header of the C library."""
    made = subprocess.run(
        [*compiler, "-E", "-x", "c", "-"],
        input=b"#include <stdio.h>\n",
        capture_output=True,
        check=False,
    )
    return made.returncode == 0


def print_missing(packages: Sequence[str]) -> int:
    """Names packages that are not installed; returns the exit status."""
    if not packages:
        return 0
    print("Debian packages that are not installed:", file=sys.stderr)
    print(*packages)
    return 1


if __name__ == "__main__":
    sys.exit(print_missing(missing_packages()))
