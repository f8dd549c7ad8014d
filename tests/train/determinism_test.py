# SPDX-License-Identifier: Apache-2.0
"""The same seed gives the same run, in another process, with and without XLA.

The two processes run at once and so disturb the order of each other's threads.
"""

import contextlib
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.train import runs

ROOT = pathlib.Path(__file__).absolute().parents[2]
CASES = tuple(
    (net, jit_compile)
    for net in ("mnist", "cifar10", "svhn")
    for jit_compile in (False, True)
)

# What `python -m train.NET` does with its flags, without the report.
TRAIN = """
import sys
import keras
from train import loop, recipes

class Stop(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        raise KeyboardInterrupt

data, output, *cases = sys.argv[1:]
for case in cases:
    net, xla = case.split("-")
    config = recipes.from_recipe(
        net, dataset=f"{data}/{net}.npz", jit_compile=xla == "True", seed=5,
        epochs=2, batch_size=8, width=0.1, learning_rate=0.05,
    )
    try:
        loop.train(config, f"{output}/{case}", callbacks=[Stop()])
    except KeyboardInterrupt:
        pass
"""


def write_images(path, shape):
    rng = np.random.default_rng(0)
    labels = np.arange(56) % 3
    images = rng.integers(0, 100, (len(labels), *shape), np.uint8)
    images += (50 * labels).reshape(-1, *[1] * len(shape)).astype(np.uint8)
    np.savez(
        path,
        x_train=images[:36],
        y_train=labels[:36],
        x_test=images[36:],
        y_test=labels[36:],
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders with all runs, in other orders."""
    data = tmp_path_factory.mktemp("determinism")
    for net in {net for net, _ in CASES}:
        write_images(
            data / f"{net}.npz", (16, 16) if net == "mnist" else (8, 8, 3)
        )
    cases = [f"{net}-{jit_compile}" for net, jit_compile in CASES]
    with contextlib.ExitStack() as stack:
        processes = []
        for output, order in (("a", cases), ("b", cases[::-1])):
            process = subprocess.Popen(
                [sys.executable, "-c", TRAIN, data, data / output, *order],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            processes.append(process)
        for process in processes:
            output, _ = process.communicate(timeout=900)
            assert process.returncode == 0, output
    return data / "a", data / "b"


@pytest.mark.parametrize(("net", "jit_compile"), CASES)
def test_same_seed_same_run(net, jit_compile, folders):
    one, other = (folder / f"{net}-{jit_compile}" for folder in folders)
    assert runs.complete_epochs(one) == 2
    found = runs.saved_variables(one)
    assert any(array.dtype == np.int8 for array in found.values())
    runs.assert_same_arrays(found, runs.saved_variables(other))
    runs.assert_same_arrays(
        runs.saved_model(one)[1], runs.saved_model(other)[1]
    )
    assert runs.untimed_metrics(one) == runs.untimed_metrics(other)


def test_xla_gives_another_run(folders):
    """The comparison can fail: XLA adds in another order."""
    one, other = (folders[0] / f"mnist-{xla}" for xla in (False, True))
    with pytest.raises(AssertionError):
        runs.assert_same_arrays(
            runs.saved_variables(one), runs.saved_variables(other)
        )
