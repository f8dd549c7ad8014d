# SPDX-License-Identifier: Apache-2.0
"""What one core of this machine could do at most.

python -m benchmarks.host_inference.limits

Compiles and runs `limits.c`: the operations of the dense AVX-512 kernel on
registers, and reading as many bytes as fully connected layers have. What the
kernels reach of it is the distance to the machine's limit. Needs a C compiler.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from export import get_kernels

_SOURCE = pathlib.Path(__file__).with_suffix(".c")

_FLAGS = ("-O3", "-mavx512f", "-mavx512vpopcntdq")

# Packed weights of fc_1024 and fc_4096.
_SIZES = (1024 * 1024 // 4, 4096 * 4096 // 4)


def main() -> None:
    """Measures and prints."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.host_inference.limits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    if "avx512" not in get_kernels():
        sys.exit("This needs a processor with AVX-512 VPOPCNTDQ.")
    if shutil.which(os.environ.get("CC", "cc").split()[0]) is None:
        sys.exit("This needs a C compiler, `cc` or what CC names.")
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "limits"
        compiler = os.environ.get("CC", "cc").split()
        subprocess.run(
            [*compiler, *_FLAGS, str(_SOURCE), "-o", str(program)], check=True
        )
        for number, size in enumerate(_SIZES):
            done = subprocess.run(
                [program, str(size)], capture_output=True, text=True, check=True
            )
            products, read = map(float, done.stdout.split())
            if number == 0:
                print(f"dense operations on registers: {products:.0f} GMAC/s")
            print(f"reading {size:,} bytes: {read:.0f} GB/s")


if __name__ == "__main__":
    main()
