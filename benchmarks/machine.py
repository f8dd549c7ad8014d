# SPDX-License-Identifier: Apache-2.0
"""What a measurement was made on."""

import pathlib
import platform

_CPUINFO = pathlib.Path("/proc/cpuinfo")

# From the newest on.
_VECTORS = ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx512f", "avx2")


def processor() -> str:
    """Name of the processor and its vectors, as in `AMD EPYC with AVX2`.

    Both decide how sums are rounded.
    """
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line for line in lines if line.startswith("model name")]
    if not names:
        return platform.machine()
    known = next((line for line in lines if line.startswith("flags")), "")
    sets = [name.upper() for name in _VECTORS if name in known.split()]
    return " with ".join([names[0].partition(": ")[2], *sets[:1]])
