# SPDX-License-Identifier: Apache-2.0
"""Clang with libFuzzer, and the Debian packages that have it.

python -m tests.fuzz.tools

Prints the packages that are missing, and fails if there are any.
"""

import re
import shutil
import subprocess
import sys

from benchmarks.mcu.tools import print_missing


def find_clang() -> str | None:
    """The compiler if it has libFuzzer and the sanitizers, else None."""
    clang = shutil.which("clang")
    if clang is None:
        return None
    made = subprocess.run(
        [
            *(clang, "-fsanitize=fuzzer,address,undefined", "-x", "c", "-"),
            *("-o", "/dev/null"),
        ],
        input=b"int LLVMFuzzerTestOneInput(const char* data, unsigned long n);"
        b"int LLVMFuzzerTestOneInput(const char* data, unsigned long n) {"
        b"  return data == 0 && n > 0; }",
        capture_output=True,
        check=False,
    )
    return clang if made.returncode == 0 else None


def missing_packages() -> list[str]:
    """Packages that are not installed, of the version that `clang` is."""
    if find_clang() is not None:
        return []
    depends = subprocess.run(
        ["apt-cache", "depends", "clang"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    version = re.search(r"Depends: clang-(\d+)", depends)
    if version is None:
        return ["clang"]
    return ["clang", f"libclang-rt-{version[1]}-dev"]


if __name__ == "__main__":
    sys.exit(print_missing(missing_packages()))
