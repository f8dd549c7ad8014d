# SPDX-License-Identifier: Apache-2.0
"""Speed of inference on this machine, beside XNNPACK's.

python -m benchmarks.host_inference --json=FILE

Runs single layers and the paper's nets, batch 1, in LiteRT: with this
project's custom ops at several densities of non-zero activations; with int8,
int4, int2 and float32 builtin ops in XNNPACK; and with int8 builtin ops
without XNNPACK. All of a workload take turns in one process.
"""

import argparse
import json
import os
import pathlib
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import machine, pages
from benchmarks.host_inference import plot, tables, timing
from benchmarks.host_inference.workloads import (
    FORMATS,
    Model,
    Workload,
    workloads,
)
from export import get_delegate_memory, get_kernels
from export.interpreter import Runner
from train import files

Row = dict[str, Any]

_DENSITIES = (0.33, 0.5, 0.62, 1.0)

_PROCESSORS = (
    sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
)

_KEYS = """\
keys of the rows (null where a workload has no such op):
  workload            conv_SIZE_CHANNELS, fc_SIZE or the name of a net
  threads, density    of the interpreter; share of non-zero activations
  kernels, processor  of the custom ops; the machine
  macs                products of one inference
  gxnor_us            median time of the interpreter's invoke, microseconds
  gxnor_gmacs         products per nanosecond
  xnnpack_FORMAT_us   the same for builtin ops in XNNPACK: int8, int4, int2,
                      float32
  builtin_int8_us     the same without XNNPACK
  ratio_xnnpack_int8  xnnpack_int8_us / gxnor_us, from medians
  gxnor_constant_bytes, int8_constant_bytes
                      weights, biases and thresholds in the file
  gxnor_memory_bytes  packed weights and scratch of the delegate"""


def main() -> None:
    """Measures, prints the table, writes the files."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=_KEYS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--workloads", help="names, separated by commas; default: all"
    )
    parser.add_argument("--kernels", default="auto", choices=_kernels())
    parser.add_argument("--threads", default="1,2", help="numbers of threads")
    parser.add_argument(
        "--densities", default=",".join(map(str, _DENSITIES)), help="in (0, 1]"
    )
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument(
        "--width", type=float, default=1.0, help="factor on the nets' layers"
    )
    parser.add_argument("--json", help="file for the rows")
    parser.add_argument("--plot", help="PNG file, of one thread")
    parser.add_argument(
        "--page", help="Markdown file with a place for the table"
    )
    parser.add_argument(
        "--rows",
        help="JSON file of rows to write again, instead of measuring",
    )
    options = parser.parse_args()
    if options.rows:
        rows = json.loads(pathlib.Path(options.rows).read_text())
        print(tables.table(rows))
    else:
        rows = _measured(parser, options)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=2) + "\n")
    if options.plot:
        plot.draw(rows, pathlib.Path(options.plot))
    if options.page:
        path = pathlib.Path(options.page)
        text = tables.markdown(rows, _command(options))
        document = path.read_text("utf-8")
        name = options.kernels
        files.write_text(
            path, pages.replaced(document, "host_inference", name, text)
        )


def _measured(
    parser: argparse.ArgumentParser, options: argparse.Namespace
) -> list[Row]:
    rows: list[Row] = []
    for workload in _chosen(parser, options):
        for threads in _numbers(parser, "threads", options.threads, int):
            made = measure(workload, threads, options)
            rows += made
            print(tables.table(made, header=len(rows) == len(made)), flush=True)
    return rows


def _command(options: argparse.Namespace) -> str:
    """What measures such rows."""
    kernels = (
        "" if options.kernels == "auto" else f"--kernels={options.kernels} "
    )
    return f"python -m benchmarks.host_inference {kernels}--json=FILE"


def _kernels() -> list[str]:
    return ["auto", "reference", *get_kernels()]


def _chosen(
    parser: argparse.ArgumentParser, options: argparse.Namespace
) -> list[Workload]:
    known = workloads(options.width)
    names = options.workloads.split(",") if options.workloads else list(known)
    for name in names:
        if name not in known:
            parser.error(
                f"--workloads: choose from {', '.join(known)}. Received: {name}"
            )
    options.densities = _numbers(parser, "densities", options.densities, float)
    if not all(0 < density <= 1 for density in options.densities):
        parser.error(
            f"--densities must be in (0, 1]. Received: {options.densities}"
        )
    return [known[name] for name in names]


def _numbers(
    parser: argparse.ArgumentParser, name: str, text: str, kind: type
) -> list[Any]:
    try:
        numbers = [kind(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) <= 0:
        parser.error(
            f"--{name} must be numbers > 0, separated by commas. "
            f"Received: {text}"
        )
    return numbers


def measure(
    workload: Workload, threads: int, options: argparse.Namespace
) -> list[Row]:
    """The rows of a workload with a number of threads."""
    _bind(threads)
    kernels = options.kernels
    runners: dict[str, Runner] = {}
    memory: dict[float, int] = {}
    ours = {density: workload.ours(density) for density in options.densities}
    for density, model in ours.items():
        before = get_delegate_memory()
        runners[f"gxnor_{density}"] = _runner(model, threads, True, kernels)
        memory[density] = get_delegate_memory() - before
    others = {name: make() for name, make in workload.others.items()}
    for name, model in others.items():
        runners[f"xnnpack_{name}_us"] = _runner(model, threads, True)
    runners["builtin_int8_us"] = _runner(others["int8"], threads, False)
    times = {
        name: timing.median_microseconds(seconds)
        for name, seconds in timing.interleaved(runners, options.rounds).items()
    }
    shared: Row = {
        "kernels": get_kernels()[0] if kernels == "auto" else kernels,
        "processor": machine.processor(),
        "macs": workload.macs,
        **{
            f"xnnpack_{name}_us": times.get(f"xnnpack_{name}_us")
            for name in FORMATS
        },
        "builtin_int8_us": times["builtin_int8_us"],
        "int8_constant_bytes": others["int8"].constant_bytes,
    }
    rows = []
    for density, model in ours.items():
        own = times[f"gxnor_{density}"]
        rows.append(
            {
                "workload": workload.name,
                "threads": threads,
                "density": density,
                **shared,
                "gxnor_us": own,
                "gxnor_gmacs": workload.macs / own / 1e3,
                "ratio_xnnpack_int8": times["xnnpack_int8_us"] / own,
                "gxnor_constant_bytes": model.constant_bytes,
                "gxnor_memory_bytes": memory[density],
            }
        )
    return rows


def _runner(
    model: Model, threads: int, xnnpack: bool, kernels: str = "auto"
) -> Runner:
    runner = Runner(model.data, threads, xnnpack, kernels)
    runner.load(model.x)
    return runner


def _bind(threads: int) -> None:
    """Keeps the threads on as many processors, where the system can."""
    if _PROCESSORS:
        os.sched_setaffinity(0, _PROCESSORS[:threads])


if __name__ == "__main__":
    sys.exit(main())
