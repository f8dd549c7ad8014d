# SPDX-License-Identifier: Apache-2.0
"""The compilers and emulators, and the Debian packages that have them.

python -m benchmarks.mcu.tools

Prints the packages that are missing, and fails if there are any.
"""

import shutil
import sys

PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf",
    "qemu-system-arm": "qemu-system-arm",
    "qemu-system-riscv32": "qemu-system-misc",
}
"""The package of each tool."""


def missing_packages() -> list[str]:
    """Packages of the tools that are not installed."""
    return [
        package
        for tool, package in PACKAGES.items()
        if shutil.which(tool) is None
    ]


def main() -> int:
    """Prints what is missing and returns the exit status."""
    missing = missing_packages()
    if not missing:
        return 0
    print("Debian packages that are not installed:", file=sys.stderr)
    print(*missing)
    return 1


if __name__ == "__main__":
    sys.exit(main())
