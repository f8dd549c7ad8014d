# SPDX-License-Identifier: Apache-2.0
"""Instructions of CMSIS-NN's int8 kernels, measured elsewhere.

They are figures, not code of this repository: nothing here runs CMSIS-NN.
"""

from collections.abc import Mapping

SOURCE = (
    "CMSIS-NN int8 of July 2026 (commit 99f736a), compiled with -O3, counted "
    "elsewhere in the same way (GCC 12.2, QEMU 7.2); m55 with Helium, rv32imc "
    "its portable C"
)
"""Where the figures come from."""

_COLUMNS = ("m0plus", "m3", "m4", "m7", "m33", "m55", "rv32imc")
_ROWS = {
    "fc_1024_512": (6.10, 3.38, 1.92, 1.92, 1.92, 0.481, 5.38),
    "conv5_32_64": (6.30, 2.66, 1.75, 1.75, 1.75, 0.202, 4.49),
    "conv3_64_64": (6.33, 2.67, 1.76, 1.76, 1.76, 0.206, 4.50),
    "conv3_128_128": (6.16, 2.58, 1.69, 1.69, 1.69, 0.187, 4.37),
    "first5_1_32": (11.72, 5.59, 4.97, 5.03, 4.93, 1.469, 6.74),
    "first3_3_32": (10.77, 4.74, 4.16, 4.18, 4.14, 1.039, 6.27),
}

INT8_PER_MAC: Mapping[str, Mapping[str, float]] = {
    workload: dict(zip(_COLUMNS, figures, strict=True))
    for workload, figures in _ROWS.items()
}
"""Instructions per MAC by workload and core; whole nets have none."""
