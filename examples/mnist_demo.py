# SPDX-License-Identifier: Apache-2.0
"""Trains the paper's MNIST net, exports it both ways and compares.

Run from the checkout: `python -m examples.mnist_demo --output_dir=out/demo`.
Every number it prints is measured in this run, on all test images.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from gxnor_tf.export import files, interpreter, terminal_tables, verification
from gxnor_tf.files import replacing
from train import datasets, pipeline
from train.stopping import stopping


def main() -> int:
    """Runs the demo and returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output_dir", default="out/demo")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--dataset", default="mnist")
    options = parser.parse_args()
    started = time.perf_counter()
    folder = pathlib.Path(options.output_dir)
    training = folder / "training"

    _heading("1. Training")
    # What a run before has left would look like this one's.
    shutil.rmtree(training, ignore_errors=True)
    (folder / "report.json").unlink(missing_ok=True)
    _run(
        "train.mnist",
        f"--output_dir={training}",
        f"--epochs={options.epochs}",
        f"--dataset={options.dataset}",
    )
    trained = json.loads((training / "report.json").read_text())

    _heading("2. Export")
    model_path = training / "model.keras"
    content = {}
    for ops in ("custom", "builtin"):
        path = folder / f"model_{ops}.tflite"
        _run(
            "export",
            str(model_path),
            f"--output={path}",
            f"--ops={ops}",
            "--inspect",
        )
        content[ops] = path.read_bytes()

    _heading("3. Comparison with Keras, activation by activation")
    model = files.load_model(model_path)
    data = datasets.load(options.dataset)
    x = pipeline.int8_inputs(data.test.images)
    compared = {}
    for ops in ("custom", "builtin"):
        compared[ops] = verification.compare(model, x, ops, data=content[ops])
        print(f"\n{ops} ops in LiteRT, {len(x):,} images")
        print(terminal_tables.format_comparison(compared[ops]))

    labels = data.test.labels
    report = {
        "accuracy_keras": _accuracy(compared["custom"].keras_outputs, labels),
        "accuracy_custom": _accuracy(compared["custom"].outputs, labels),
        "accuracy_builtin": _accuracy(compared["builtin"].outputs, labels),
        "differing_images": sum(c.differing_samples for c in compared.values()),
        "differing_activations": sum(
            sum(c.differing_activations.values()) for c in compared.values()
        ),
        "custom_tflite_bytes": len(content["custom"]),
        "builtin_tflite_bytes": len(content["builtin"]),
        "latency_us": {
            "keras": _keras_latency_us(model, x),
            **{ops: _litert_latency_us(content[ops], x) for ops in content},
        },
        "state_bytes_per_weight": trained["state_bytes_per_weight"],
        "test_images": len(x),
        "epochs": options.epochs,
        "dataset": options.dataset,
        "seconds": round(time.perf_counter() - started, 1),
    }
    with replacing(folder / "report.json") as path:
        path.write_text(json.dumps(report, indent=2) + "\n")
    _heading("4. Result")
    print(_table(report, compared))
    print(f"\nEverything is in {folder}/, the figures in report.json.")
    return int(
        report["differing_images"] > 0 or report["differing_activations"] > 0
    )


def _heading(text: str) -> None:
    print(f"\n=== {text} ===", flush=True)


def _run(module: str, *arguments: str) -> None:
    print(f"$ python -m {module} {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)


def _accuracy(outputs: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(outputs.argmax(1) == labels))


def _keras_latency_us(model: keras.Model, x: np.ndarray) -> float:
    function = tf.function(model)
    image = tf.constant(x[:1] / np.float32(128))
    return _median_us(lambda: function(image, training=False))


def _litert_latency_us(content: bytes, x: np.ndarray) -> float:
    """One image on one thread."""
    runner = interpreter.Runner(content)
    runner.load(x[:1])
    return _median_us(runner.invoke)


def _median_us(run: Callable[[], object], repeats: int = 300) -> float:
    times = []
    run()
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return round(1e6 * statistics.median(times), 1)


def _table(report: dict, compared: dict[str, verification.Comparison]) -> str:
    rows = [
        f"{'':<22}  {'accuracy':>8}  {'images':>9}  {'activations':>11}  "
        f"{'file':>9}  {'latency':>9}",
        f"{'':<22}  {'':>8}  {'differing':>9}  {'differing':>11}  "
        f"{'bytes':>9}  {'us/image':>9}",
        f"{'Keras':<22}  {report['accuracy_keras']:>8.2%}  {'':>9}  {'':>11}  "
        f"{'':>9}  {report['latency_us']['keras']:>9,.0f}",
    ]
    for ops, comparison in compared.items():
        activations = sum(comparison.differing_activations.values())
        rows.append(
            f"{f'LiteRT, {ops} ops':<22}  {report[f'accuracy_{ops}']:>8.2%}  "
            f"{comparison.differing_samples:>9}  {activations:>11}  "
            f"{report[f'{ops}_tflite_bytes']:>9,}  "
            f"{report['latency_us'][ops]:>9,.0f}"
        )
    rows.append(
        f"training state: {report['state_bytes_per_weight']} bytes per "
        f"discrete weight; {report['seconds']:.0f} s in all"
    )
    return "\n".join(rows)


if __name__ == "__main__":
    with stopping(lambda: "The demonstration begins anew when it is started."):
        status = main()
    sys.exit(status)
