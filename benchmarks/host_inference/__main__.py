# SPDX-License-Identifier: Apache-2.0
"""Speed of inference on this machine, beside XNNPACK's.

python -m benchmarks.host_inference --json=FILE

Runs single layers and the paper's nets, batch 1, in LiteRT: with this
project's custom ops at several densities of non-zero activations; with int8,
int4, int2 and float32 builtin ops in XNNPACK; and with int8 builtin ops
without XNNPACK. All of a workload take turns in one process.
"""

import argparse
import importlib.metadata
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
from train.errors import UserError

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
  gxnor_packed_bytes, gxnor_scratch_bytes
                      packed weights and thresholds, and buffers, in memory
  litert              version of the runtime"""


def main() -> int | str:
    """Measures, prints the table, writes the files."""
    parser = _parser()
    options = parser.parse_args()
    try:
        _check_files(options)
        rows = _read(options) if options.rows else _measured(parser, options)
        _write(rows, options)
    except (UserError, OSError) as error:
        return str(error)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.host_inference",
        description=__doc__,
        epilog=_KEYS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--workloads", help="names, separated by commas; default: all"
    )
    parser.add_argument(
        "--kernels",
        default="auto",
        choices=_kernels(),
        help="those of the custom ops; default: %(default)s",
    )
    parser.add_argument(
        "--threads",
        default="1,2",
        help="numbers of threads, each measured on as many processors; "
        "default: %(default)s",
    )
    parser.add_argument(
        "--densities",
        default=",".join(map(str, _DENSITIES)),
        help="shares of non-zero activations, in (0, 1]; default: %(default)s",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=30,
        help="turns of each, of 10 ms; default: %(default)s, about two "
        "minutes in all",
    )
    parser.add_argument(
        "--width",
        type=float,
        default=1.0,
        help="factor on filters and units of the nets; default: %(default)s",
    )
    parser.add_argument(
        "--json",
        default="out/host_inference.json",
        help="file for the rows; default: %(default)s",
    )
    parser.add_argument(
        "--plot",
        default="out/host_inference.png",
        help="PNG file, of one thread; default: %(default)s",
    )
    parser.add_argument(
        "--page",
        help="Markdown file whose section behind the line `<!-- host_inference:"
        " KERNELS -->` is replaced",
    )
    parser.add_argument(
        "--rows",
        help="JSON file of rows, of which plot and page are made again "
        "instead of measuring",
    )
    return parser


def _check_files(options: argparse.Namespace) -> None:
    """Now, and not after minutes."""
    if options.rounds < 1 or not options.width > 0:
        raise UserError(
            "--rounds must be >= 1 and --width > 0. Received: "
            f"rounds={options.rounds}, width={options.width}"
        )
    for name in (options.json, options.plot):
        folder = pathlib.Path(name).parent
        if folder == pathlib.Path("out"):
            folder.mkdir(exist_ok=True)
        if not folder.is_dir():
            raise UserError(
                f"The folder `{folder}` does not exist. Create it first."
            )
    if options.page:
        document = pathlib.Path(options.page).read_text("utf-8")
        if not options.rows:
            pages.replaced(
                document, "host_inference", _resolved(options.kernels), ""
            )


def _resolved(kernels: str) -> str:
    return get_kernels()[0] if kernels == "auto" else kernels


def _read(options: argparse.Namespace) -> list[Row]:
    text = pathlib.Path(options.rows).read_text("utf-8")
    try:
        rows: list[Row] = json.loads(text)
        print(tables.table(rows))
        tables.markdown(rows, "")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise UserError(
            f"`{options.rows}` must have rows of this benchmark, as --json "
            "writes them."
        ) from None
    return rows


def _write(rows: list[Row], options: argparse.Namespace) -> None:
    if not options.rows:
        files.write_text(
            pathlib.Path(options.json), json.dumps(rows, indent=2) + "\n"
        )
    plot.draw(rows, pathlib.Path(options.plot))
    if options.page:
        path = pathlib.Path(options.page)
        kernels = rows[0]["kernels"]
        text = tables.markdown(rows, _command(kernels))
        document = path.read_text("utf-8")
        files.write_text(
            path, pages.replaced(document, "host_inference", kernels, text)
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


def _command(kernels: str) -> str:
    """What measures such rows, on a processor like this one."""
    command = "python -m benchmarks.host_inference"
    return command if kernels == "avx512" else f"{command} --kernels={kernels}"


def _kernels() -> list[str]:
    return ["auto", "reference", *get_kernels()]


def _chosen(
    parser: argparse.ArgumentParser, options: argparse.Namespace
) -> list[Workload]:
    known = workloads(options.width)
    names = list(known)
    if options.workloads is not None:
        names = options.workloads.split(",")
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
    memory: dict[float, tuple[int, int]] = {}
    ours = {density: workload.ours(density) for density in options.densities}
    for density, model in ours.items():
        before = get_delegate_memory()
        runners[f"gxnor_{density}"] = _runner(model, threads, True, kernels)
        after = get_delegate_memory()
        memory[density] = (
            after.weights - before.weights,
            after.scratch - before.scratch,
        )
    others = {name: make() for name, make in workload.others.items()}
    for name, model in others.items():
        runners[f"xnnpack_{name}_us"] = _runner(model, threads, True)
    runners["builtin_int8_us"] = _runner(others["int8"], threads, False)
    times = {
        name: timing.median_microseconds(seconds)
        for name, seconds in timing.interleaved(runners, options.rounds).items()
    }
    shared: Row = {
        "kernels": _resolved(kernels),
        "processor": machine.processor(),
        "litert": importlib.metadata.version("ai-edge-litert"),
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
                "gxnor_packed_bytes": memory[density][0],
                "gxnor_scratch_bytes": memory[density][1],
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
