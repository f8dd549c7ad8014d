# SPDX-License-Identifier: Apache-2.0
"""The same seed gives the same run, in another process, in every mode.

The two processes run at once and so disturb the order of each other's threads.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import gxnor_tf
from tests.train import runs

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).absolute().parents[2]
MODES = {
    "plain": {},
    "xla": {"jit_compile": True},
    # Wide enough for layers to use it.
    "bfloat16": {"bfloat16_products": True, "width": 0.5},
}
CASES = [
    ("mnist", "plain"),
    ("mnist", "xla"),
    ("cifar10", "plain"),
    ("cifar10", "xla"),
    ("svhn", "plain"),  # The net of CIFAR-10, without augmentation.
]
# It is refused on processors that do not gain from it.
if gxnor_tf.enable_bfloat16_products():
    CASES.append(("mnist", "bfloat16"))
gxnor_tf.enable_bfloat16_products(False)

# What `python -m train.NET` does with its flags, without the report.
TRAIN = """
import json
import sys
import keras
from train import loop, recipes

class Stop(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        raise KeyboardInterrupt

modes, data, output, *cases = sys.argv[1:]
for case in cases:
    net, mode = case.split("-")
    settings = {"width": 0.1} | json.loads(modes)[mode]
    config = recipes.from_recipe(
        net, dataset=f"{data}/{net}.npz", seed=5, epochs=2, batch_size=8,
        learning_rate=0.05, **settings,
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
    cases = [f"{net}-{mode}" for net, mode in CASES]
    modes = json.dumps(MODES)
    with contextlib.ExitStack() as stack:
        processes = []
        for output, order in (("a", cases), ("b", cases[::-1])):
            process = subprocess.Popen(
                [
                    *(sys.executable, "-c", TRAIN, modes),
                    *(data, data / output, *order),
                ],
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


@pytest.mark.parametrize(("net", "mode"), CASES)
def test_same_seed_same_run(net, mode, folders):
    one, other = (folder / f"{net}-{mode}" for folder in folders)
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
    one, other = (folders[0] / f"mnist-{mode}" for mode in ("plain", "xla"))
    with pytest.raises(AssertionError):
        runs.assert_same_arrays(
            runs.saved_variables(one), runs.saved_variables(other)
        )
