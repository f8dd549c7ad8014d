# SPDX-License-Identifier: Apache-2.0
"""What a measurement was made on."""

import pathlib
import platform


def processor() -> str:
    """Name of the processor, which decides how sums are rounded."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line for line in lines if line.startswith("model name")]
    return names[0].partition(": ")[2] if names else platform.machine()
