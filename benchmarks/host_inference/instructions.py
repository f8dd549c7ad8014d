# SPDX-License-Identifier: Apache-2.0
"""Instructions of one inference on a processor with AVX2 and no more.

python -m benchmarks.host_inference.instructions

Runs the workloads in Valgrind, which stands for such a processor: XNNPACK then
uses its AVX2 kernels, and so does this project's delegate. What is counted is
the difference between some invocations and one. Needs `valgrind`, and some
minutes.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks.host_inference.workloads import Model, workloads
from export.delegate import get_delegate_path

_DENSITIES = (0.5, 1.0)

# As many products are computed as are worth starting Python for.
_PRODUCTS = 5e8
_MOST = 200

# Nothing waits for a thread or hashes at random: counts repeat to the digit.
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def main() -> None:
    """Counts and prints the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.host_inference.instructions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--workloads", help="names, separated by commas; default: all"
    )
    options = parser.parse_args()
    known = workloads()
    names = options.workloads.split(",") if options.workloads else list(known)
    for name in names:
        if name not in known:
            parser.error(
                f"--workloads: choose from {', '.join(known)}. Received: {name}"
            )
    print("| workload | XNNPACK int8 | gxnor | ratio |\n|---|---|---|---|")
    library = str(get_delegate_path())
    for name in names:
        workload = known[name]
        times = min(max(round(_PRODUCTS / workload.macs), 2), _MOST)
        theirs = _count(workload.others["int8"](), times, "")
        ours = [_count(workload.ours(d), times, library) for d in _DENSITIES]
        cells = [
            name,
            f"{theirs / 1e6:.3f}",
            " / ".join(f"{count / 1e6:.3f}" for count in ours),
            " / ".join(f"{theirs / count:.1f}" for count in ours),
        ]
        print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\nMillions of instructions; gxnor at density {_DENSITIES}")


def _count(model: Model, times: int, library: str) -> float:
    """Instructions of one invocation, from so many."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.tflite"
        path.write_bytes(model.data)
        np.save(path.with_suffix(".npy"), model.x)
        few, many = (_total(path, n, library) for n in (1, 1 + times))
    return (many - few) / times


def _total(path: pathlib.Path, count: int, library: str) -> int:
    """Instructions of a process that invokes a model so often."""
    command = [
        *("valgrind", "--tool=cachegrind", "--cache-sim=no"),
        "--cachegrind-out-file=/dev/null",
        *(sys.executable, "-m", "benchmarks.host_inference.invoke"),
        *(str(path), str(path.with_suffix(".npy")), str(count), library),
    ]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | _ENVIRONMENT,
        )
    except FileNotFoundError:
        sys.exit("There is no `valgrind`. Install it; Debian has a package.")
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(command)}\n{error.stderr}")
    found = re.search(r"I +refs: +([\d,]+)", done.stderr)
    if found is None:
        sys.exit(f"Valgrind printed no number of instructions:\n{done.stderr}")
    return int(found[1].replace(",", ""))


if __name__ == "__main__":
    main()
