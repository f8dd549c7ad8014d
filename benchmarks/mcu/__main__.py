# SPDX-License-Identifier: Apache-2.0
"""Instructions and bytes on microcontrollers, beside CMSIS-NN int8.

python -m benchmarks.mcu [--json=FILE]

Runs layers and whole nets on emulated boards and counts the instructions,
which are exact and repeat to the digit. Every output is compared with the
reference. Needs the compilers and emulators that `make mcu-test` needs.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.mcu import budgets, cores, measure, tables, tools, workloads
from export import ExportError
from train.errors import UserError

TRAINED = "mnist"

_KEYS = """\
keys of the rows (null where a case has none):
  core                       m0plus, m3, m4, m7, m33, m55 or rv32imc
  workload                   layers: fc_1024_512, conv5_32_64 (12x12, valid),
                             conv3_64_64 (16x16, same), conv3_128_128 (8x8,
                             same), first5_1_32 (28x28, valid, int8 input) and
                             first3_3_32 (32x32, same, int8 input); nets: mnist
                             (trained), mnist_random and keyword_random
  density                    share of the ternary inputs that are not 0; in
                             first layers, of the weights
  instructions               of a call, or an inference; the most of 3 inputs
  macs                       products, those with zeros and padding included
  instructions_per_mac       their ratio
  int8_instructions_per_mac  of CMSIS-NN int8, measured elsewhere
  exact                      whether every word is that of the reference
  fault                      what is not, else empty
  flash_bytes                weights and thresholds
  code_bytes                 code and its constants that the case needs
  buffer_bytes               layers: the kernel's buffer
  arena_bytes                nets: activations and buffers
  stack_bytes                nets: the most stack, the harness' included
  ram_bytes                  nets: arena and stack; there is nothing else"""


def main(arguments: list[str] | None = None) -> int:
    """Measures, prints the tables and returns the exit status."""
    options = _options(arguments)
    missing = tools.missing_packages()
    if missing:
        print(
            f"Debian packages are not installed: {' '.join(missing)}",
            file=sys.stderr,
        )
        return 1
    try:
        rows = _measured(options)
    except (
        *(ExportError, OSError, UserError, ValueError),
        *(cores.ImageError, subprocess.CalledProcessError),
    ) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(tables.tables(rows))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")
    if options.budgets:
        budgets.write(pathlib.Path(options.budgets), rows)
    faulty = [row for row in rows if not row["exact"]]
    for row in faulty:
        print(
            f"{row['core']} {row['workload']} {row['density']}: {row['fault']}",
            file=sys.stderr,
        )
    return 1 if faulty else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mcu",
        description=__doc__,
        epilog=_KEYS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [*workloads.LAYERS, *workloads.NETS, TRAINED]
    parser.add_argument("--json", help="file for the rows")
    parser.add_argument(
        "--cores", type=_choices(list(cores.CORES)), default=list(cores.CORES)
    )
    parser.add_argument("--workloads", type=_choices(names), default=names)
    parser.add_argument(
        "--densities",
        type=_densities,
        default=workloads.DENSITIES,
        help="default: 0.33,0.5,0.62,1",
    )
    parser.add_argument(
        "--model",
        help="the trained net, a .keras file; default: the paper's MNIST net, "
        "trained for some seconds",
    )
    parser.add_argument(
        "--dataset",
        default="digits",
        help="whose images the trained net gets (default: digits, which needs "
        "no download)",
    )
    parser.add_argument(
        "--budgets",
        help="file for the counts that tests/mcu/budgets_test.py defends; "
        f"sets --densities={budgets.DENSITY} and leaves the trained net out",
    )
    options = parser.parse_args(arguments)
    if options.budgets:
        options.densities = [budgets.DENSITY]
        options.workloads = [*workloads.LAYERS, *workloads.NETS]
    return options


def _densities(text: str) -> list[float]:
    densities = [float(item) for item in text.split(",")]
    for density in densities:
        if not 0 < density <= 1:
            raise argparse.ArgumentTypeError(
                f"a share must be in (0, 1]. Received: {density}"
            )
    return densities


def _choices(known: list[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(
                    f"choose from {', '.join(known)}. Received: {name}"
                )
        return names

    return parse


def _measured(options: argparse.Namespace) -> list[measure.Row]:
    """The rows, by workload, density and core."""
    cases = [
        (name, density, workloads.net(name, density))
        for name in options.workloads
        if name in workloads.NETS
        for density in options.densities
    ]
    if TRAINED in options.workloads:
        net = workloads.trained_net(options.model, options.dataset)
        cases.append((TRAINED, net.density, net))

    def on_core(name: str) -> list[measure.Row]:
        bench = cores.set_up(cores.CORES[name], pathlib.Path(folder) / name)
        rows = []
        for workload in options.workloads:
            if workload in workloads.LAYERS:
                rows += measure.layer_rows(bench, workload, options.densities)
        return rows + [measure.net_row(bench, *case) for case in cases]

    with (
        tempfile.TemporaryDirectory() as folder,
        concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        by_core = list(pool.map(on_core, options.cores))
    return [row for rows in by_core for row in rows]


if __name__ == "__main__":
    sys.exit(main())
