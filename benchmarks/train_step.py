# SPDX-License-Identifier: Apache-2.0
"""Training throughput and memory of discrete weights, beside float32's.

python -m benchmarks.train_step --net=mnist --json=FILE

Measures side by side, in interleaved rounds of one process: images per second
of `fit` for a net with discrete weights (dst) and the same net of Keras layers
with float32 weights, ReLU and Adam (float32), both without and with XLA, and
without it, on processors that gain from it, discrete weights multiplied in
bfloat16 (dst_bfloat16); and the optimizers' updates alone, gradients given,
also with the moments in the bytes of the weights (dst_in_kernel). A process of
its own for each measures the memory of one large dense layer.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as in `train.program`

import keras
import numpy as np
import tensorflow as tf

import gxnor_tf
from benchmarks.arguments import count, positive
from export.files import check_writable
from export.terminal_tables import aligned
from train import files, models, nets, pipeline, recipes
from train.errors import UserError

MODES = ("dst", "float32")
BFLOAT16 = "dst_bfloat16"
IN_KERNEL = "dst_in_kernel"
Times = np.ndarray[Any, np.dtype[np.float64]]

_ROOT = pathlib.Path(__file__).absolute().parents[1]
_CLASSES = 10
_LARGE_STEPS = 4  # the third step needs what the second did

_KEYS = """\
keys of the rows (null where a case has none):
  case                    train, update or memory
  net                     a name, or dense_N: one layer of N inputs and units
  mode                    dst, dst_bfloat16, dst_in_kernel or float32
  xla                     whether with jit_compile
  width, batch_size       the settings; memory has no width
  images_per_second       train: median over the rounds
  milliseconds            train: of a step; update: of all variables; median
  cpu_milliseconds        the same, processor time of all threads, which other
                          processes disturb less
  ratio                   throughput by that of float32 with the same xla:
                          ratio of medians
  ratio_low, ratio_high   quartiles of the ratio over the rounds
  ratio_to_faster         train: by the faster float32, with or without XLA
  state_bytes_per_parameter  bytes of all variables of model and optimizer by
                          the number of trainable elements
  rss_before_mib          memory: resident before the model was made, here and
                          below with TF_ENABLE_ONEDNN_OPTS=0: oneDNN's allocator
                          keeps what was freed
  rss_built_mib           memory: after model and optimizer were built
  peak_rss_mib            memory: the largest while steps ran; null where the
                          system cannot tell it apart from earlier ones"""


def main() -> None:
    """Measures and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=_KEYS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--net", default="mnist", choices=sorted(nets.NETS))
    parser.add_argument("--width", type=positive(float), default=1.0)
    parser.add_argument("--batch_size", type=positive(int), default=100)
    parser.add_argument(
        "--steps", type=positive(int), default=20, help="of a round"
    )
    parser.add_argument("--rounds", type=positive(int), default=15)
    parser.add_argument("--threads", type=count, default=0, help="0: all")
    parser.add_argument(
        "--units", type=count, default=8192, help="of the large layer; 0: none"
    )
    parser.add_argument("--json", help="file for the rows")
    # What the processes that measure memory are told.
    parser.add_argument(
        "--memory_of", choices=(*MODES, IN_KERNEL), help=argparse.SUPPRESS
    )
    parser.add_argument(
        "--jit_compile", action="store_true", help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    try:
        run(options)
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")


def run(options: argparse.Namespace) -> None:
    """Measures what is asked for.

    Raises:
        UserError: If there is no such net, as for a width out of range.
        OSError: If the file of the rows cannot be written.
    """
    if options.json:
        check_writable(options.json)  # Now, and not after the measurements.
    if options.threads:
        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    if options.memory_of:
        print(json.dumps(memory_row(options)))
        return
    rows = [*train_rows(options), *update_rows(options)]
    if options.units:
        rows += [
            _in_subprocess(options, mode, xla) for mode, xla in _update_cases()
        ]
    print(table(rows))
    if options.json:
        files.write_text(
            pathlib.Path(options.json), json.dumps(rows, indent=2) + "\n"
        )


def _cases() -> list[tuple[str, bool]]:
    return [(mode, xla) for xla in (False, True) for mode in MODES]


def _update_cases() -> list[tuple[str, bool]]:
    return [
        (mode, xla) for xla in (False, True) for mode in (*MODES, IN_KERNEL)
    ]


def _train_cases() -> list[tuple[str, bool]]:
    fast = gxnor_tf.enable_bfloat16_products()
    gxnor_tf.enable_bfloat16_products(False)
    return [*([(BFLOAT16, False)] if fast else []), *_cases()]


def _row(
    case: str, net: str, mode: str, xla: bool, options: argparse.Namespace
) -> dict[str, Any]:
    """A row with all keys."""
    return {
        "case": case,
        "net": net,
        "mode": mode,
        "xla": xla,
        "width": options.width,
        "batch_size": options.batch_size,
    } | dict.fromkeys(
        (
            "images_per_second",
            "milliseconds",
            "cpu_milliseconds",
            "ratio",
            "ratio_low",
            "ratio_high",
            "ratio_to_faster",
            "state_bytes_per_parameter",
            "rss_before_mib",
            "rss_built_mib",
            "peak_rss_mib",
        )
    )


def _compiled(
    mode: str, xla: bool, options: argparse.Namespace
) -> tuple[keras.Model, tuple[int, int, int]]:
    """The net with its optimizer, as `train` makes them."""
    shape = (28, 28, 1) if options.net == "mnist" else (32, 32, 3)
    config = recipes.from_recipe(
        options.net,
        width=options.width,
        batch_size=options.batch_size,
        discrete=mode != "float32",
        **({"bfloat16_products": True} if mode == BFLOAT16 else {}),
        **({"moment_dtype": "in_kernel"} if mode == IN_KERNEL else {}),
    )
    model = models.build(config, shape, _CLASSES)
    model.compile(
        models.optimizer(config, 500), "squared_hinge", jit_compile=xla
    )
    model.optimizer.build(model.trainable_variables)
    return model, shape


def train_rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Throughput of `fit`, for the modes without and with XLA."""
    runs: list[Callable[[], Any]] = []
    rows = []
    for mode, xla in _train_cases():
        model, shape = _compiled(mode, xla, options)
        rng = np.random.default_rng(0)
        images = rng.integers(-128, 128, (options.batch_size, *shape)) / 128
        targets = np.full((options.batch_size, _CLASSES), -1.0)
        targets[:, 0] = 1
        batches = pipeline.untuned(
            tf.data.Dataset.from_tensors(
                (
                    tf.constant(images, tf.float32),
                    tf.constant(targets, tf.float32),
                )
            ).repeat(options.steps)
        )
        runs.append(
            lambda m=model, b=batches: m.fit(b, shuffle=False, verbose=0)
        )
        row = _row("train", options.net, mode, xla, options)
        row["state_bytes_per_parameter"] = _state_bytes_per_parameter(model)
        rows.append(row)
    _add_times(rows, _interleaved(runs, options.rounds, options.steps))
    fastest = min(r["milliseconds"] for r in rows if r["mode"] == "float32")
    for row in rows:
        row["images_per_second"] = (
            options.batch_size / row["milliseconds"] * 1e3
        )
        row["ratio_to_faster"] = fastest / row["milliseconds"]
    return rows


def update_rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time of the optimizers alone, for the same gradients each step."""
    runs: list[Callable[[], Any]] = []
    rows = []
    for mode, xla in _update_cases():
        model, _ = _compiled(mode, xla, options)
        rng = np.random.default_rng(0)
        gradients = [
            tf.constant(rng.normal(size=v.shape), tf.float32)
            for v in model.trainable_variables
        ]
        runs.append(_updates(model, gradients, xla, options.steps))
        rows.append(_row("update", options.net, mode, xla, options))
    _add_times(rows, _interleaved(runs, options.rounds, options.steps))
    return rows


def _updates(
    model: keras.Model, gradients: list[tf.Tensor], xla: bool, steps: int
) -> Callable[[], None]:
    variables = model.trainable_variables

    @tf.function(jit_compile=xla)
    def update(*gradients: tf.Tensor) -> None:
        model.optimizer.apply(list(gradients), variables)

    def run() -> None:
        for _ in range(steps):
            update(*gradients)

    return run


def _interleaved(
    runs: Sequence[Callable[[], Any]], rounds: int, steps: int
) -> Times:
    """Seconds of a step, `(2, runs, rounds)`: by the clock, of the processor.

    All take turns, so that they share the noise. The first two rounds are not
    counted: they trace and compile.
    """
    seconds = np.zeros((2, len(runs), rounds + 2))
    for turn in range(rounds + 2):
        for number, run in enumerate(runs):
            start = time.perf_counter(), time.process_time()
            run()
            end = time.perf_counter(), time.process_time()
            seconds[:, number, turn] = np.subtract(end, start) / steps
    return seconds[:, :, 2:]


def _add_times(rows: list[dict[str, Any]], times: Times) -> None:
    """Medians, and ratios to float32 with the same compilation."""
    for row, own, cpu in zip(rows, *times, strict=True):
        [reference] = [
            seconds
            for other, seconds in zip(rows, times[0], strict=True)
            if other["mode"] == "float32" and other["xla"] == row["xla"]
        ]
        row["milliseconds"] = float(np.median(own)) * 1e3
        row["cpu_milliseconds"] = float(np.median(cpu)) * 1e3
        row["ratio"] = float(np.median(reference) / np.median(own))
        row["ratio_low"], row["ratio_high"] = (
            float(x) for x in np.quantile(reference / own, (0.25, 0.75))
        )


def _state_bytes_per_parameter(model: keras.Model) -> float:
    """Bytes of all variables, by the number of trainable elements."""
    variables = [*model.variables, *model.optimizer.variables]
    # Two variables may see the same bytes.
    held = {id(v.value): v for v in variables}.values()
    total = sum(int(np.prod(v.shape)) * tf.as_dtype(v.dtype).size for v in held)
    return total / sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def _in_subprocess(
    options: argparse.Namespace, mode: str, xla: bool
) -> dict[str, Any]:
    """The row of `memory_row`, measured in a process that does nothing else."""
    command = [
        sys.executable,
        *("-m", "benchmarks.train_step"),
        f"--memory_of={mode}",
        f"--units={options.units}",
        f"--batch_size={options.batch_size}",
        f"--threads={options.threads}",
        *(["--jit_compile"] if xla else []),
    ]
    # oneDNN's allocator keeps what was freed, and grows by doubling: without
    # it, what is resident is what is used.
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=_ROOT,
        env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": "0"},
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def memory_row(options: argparse.Namespace) -> dict[str, Any]:
    """Memory of training one large dense layer, in this process."""
    units, mode, xla = options.units, options.memory_of, options.jit_compile
    row = _row("memory", f"dense_{units}", mode, xla, options)
    row["width"] = None
    x = tf.random.stateless_normal((options.batch_size, units), (0, 1))
    # TensorFlow's own memory is there before the model.
    tf.function(lambda x: x + 1, jit_compile=xla)(x)
    row["rss_before_mib"] = _resident_mib("VmRSS")
    discrete = mode != "float32"
    layer = (
        gxnor_tf.DiscreteDense(units, moment_in_kernel=mode == IN_KERNEL)
        if discrete
        else keras.layers.Dense(units, use_bias=False)
    )
    model = keras.Sequential([keras.Input((units,)), layer])
    optimizer = (
        gxnor_tf.DiscreteStateTransition(0.01)
        if discrete
        else keras.optimizers.Adam()
    )
    model.compile(optimizer, "mse", jit_compile=xla)
    optimizer.build(model.trainable_variables)
    row["state_bytes_per_parameter"] = _state_bytes_per_parameter(model)
    row["rss_built_mib"] = _resident_mib("VmRSS")
    forgotten = _forget_peak()
    for _ in range(_LARGE_STEPS):
        model.train_on_batch(x, x)
    if forgotten:  # Else it could be that of building the model.
        row["peak_rss_mib"] = _resident_mib("VmHWM")
    return row


def _resident_mib(name: str) -> float | None:
    """A resident size of this process as Linux tells it, else None."""
    try:
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    [line] = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) / 1024


def _forget_peak() -> bool:
    """Lets the largest resident size start again from the present one.

    Returns:
        Whether it does; not every system allows it.
    """
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table."""
    columns = {
        "case": "{}",
        "net": "{}",
        "mode": "{}",
        "xla": "{}",
        "images_per_second": "{:,.0f}",
        "milliseconds": "{:.2f}",
        "cpu_milliseconds": "{:.2f}",
        "ratio": "{:.2f}",
        "ratio_low": "{:.2f}",
        "ratio_high": "{:.2f}",
        "ratio_to_faster": "{:.2f}",
        "state_bytes_per_parameter": "{:.2f}",
        "rss_before_mib": "{:,.0f}",
        "rss_built_mib": "{:,.0f}",
        "peak_rss_mib": "{:,.0f}",
    }
    cells = [
        ["" if row[k] is None else f.format(row[k]) for k, f in columns.items()]
        for row in rows
    ]
    titles = [name.replace("_", " ") for name in columns]
    # Long titles are set in lines of one word.
    heads = [title.split() for title in titles]
    depth = max(len(head) for head in heads)
    lines = [
        [
            head[i - depth + len(head)] if i >= depth - len(head) else ""
            for head in heads
        ]
        for i in range(depth)
    ]
    return "\n".join(aligned([*lines, *cells], left=0))


if __name__ == "__main__":
    main()
