# SPDX-License-Identifier: Apache-2.0
"""MirroredStrategy with plain `fit`, on two logical CPU devices."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import gxnor_tf

ROOT = pathlib.Path(__file__).absolute().parents[2]

# The number of devices is fixed when TensorFlow starts: another process.
#
# Equality with one replica holds where no float32 sum rounds, see
# tests/train/multiworker_test.py: integer inputs, weights and targets, ternary
# activations, means over 8 records; no BatchNormalization, no bias.
SCRIPT = """
import sys
import keras
import numpy as np
import tensorflow as tf
import gxnor_tf
from gxnor_tf import DiscreteStateTransition as DST

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
devices = [d.name for d in tf.config.list_logical_devices("CPU")]
rng = np.random.default_rng(0)
x = rng.integers(-3, 4, (64, 6)).astype(np.float32)
y = rng.integers(-4, 5, (64, 2)).astype(np.float32)

def net(optimizer, norm=False, **weights):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input((6,)),
        gxnor_tf.DiscreteDense(16, **weights),
        *([keras.layers.BatchNormalization()] if norm else []),
        gxnor_tf.DiscreteActivation(derivative_width=0.5),
        gxnor_tf.DiscreteDense(2, **weights),
    ])
    model.compile(optimizer, "mse", metrics=["mae"], jit_compile=False)
    return model

def fit(model):
    jump = gxnor_tf.RandomJump(
        0.5, monitor="loss", min_delta=1e9, patience=2
    )
    model.fit(
        x, y, batch_size=8, epochs=3, shuffle=False, verbose=0,
        callbacks=[gxnor_tf.callbacks.TransitionMonitor(), jump],
    )
    assert jump.jumps == 1
    return model

# One for all: TensorFlow numbers the collective operations of each anew.
strategy = tf.distribute.MirroredStrategy(devices)

def mirrored(make, norm=False, **weights):
    with strategy.scope():
        model = net(make(), norm, **weights)
    return fit(model)

def replicas_agree(variables):
    for v in variables:
        values = strategy.experimental_local_results(v.value)
        assert len(values) == 2, v.path
        assert (values[0].numpy() == values[1].numpy()).all(), v.path

def gain(step):
    return tf.where(step < 8, 5.0, 1.0)

OPTIMIZERS = {
    "error_feedback": lambda: DST(0.1),
    "momentum": lambda: DST(0.1, "momentum"),
    "adam": lambda: DST(0.1, "adam"),
    "in_kernel": lambda: DST(0.1),
    "sgd": lambda: DST(0.1, "sgd"),
    "gain": lambda: DST(0.1, "momentum", transition_gain=gain, overrides={
        "dense": {"learning_rate_multiplier": 0.5}}),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(
        DST(0.1), initial_scale=8.0),
}
for name, make in OPTIMIZERS.items():
    weights = {"moment_in_kernel": True} if name == "in_kernel" else {}
    model = mirrored(make, **weights)
    replicas_agree([*model.weights, *model.optimizer.variables])
    alone = net(make(), **weights)
    before = alone.get_weights()
    fit(alone)
    assert any((a != b).any() for a, b in zip(before, alone.get_weights()))
    pairs = zip([*model.weights, *model.optimizer.variables],
                [*alone.weights, *alone.optimizer.variables], strict=True)
    for a, b in pairs:
        assert (a.numpy() == b.numpy()).all(), (name, a.path)
    print("equal", name)

# Where sums round, the replicas still agree with each other.
model = mirrored(OPTIMIZERS["momentum"], norm=True)
replicas_agree(model.trainable_variables)
replicas_agree(model.optimizer.variables)
model.save(sys.argv[1])
print("agree")

for make in (
    lambda: keras.optimizers.SGD(0.1),
    lambda: keras.optimizers.Adam(0.1),
    lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)),
    lambda: DST(0.1, gradient_accumulation_steps=2),
):
    with strategy.scope():
        model = net(make())
    try:
        model.fit(x, y, batch_size=8, verbose=0)
    except ValueError as error:
        print("refused:", " ".join(str(error).split()))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    path = tmp_path_factory.mktemp("mirrored") / "model.keras"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, path],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines(), path


@pytest.mark.parametrize(
    "name",
    [
        "error_feedback",
        "in_kernel",
        "momentum",
        "adam",
        "sgd",
        "gain",
        "scaled",
    ],
)
def test_equals_one_replica_bit_for_bit(ran, name):
    assert f"equal {name}" in ran[0]


def test_replicas_agree_and_the_model_is_an_ordinary_one(ran):
    lines, path = ran
    assert "agree" in lines
    model = keras.saving.load_model(path)
    assert isinstance(model.layers[0], gxnor_tf.DiscreteDense)
    assert model.layers[0].kernel.dtype == "int8"
    model.fit(np.ones((8, 6)), np.ones((8, 2)), verbose=0)


def test_refused_on_two_replicas(ran):
    refused = [x for x in ran[0] if x.startswith("refused:")]
    for line, words in zip(
        refused,
        (
            "SGD cannot train",
            "Adam cannot train",
            "LossScaleOptimizer cannot train",
            "`gradient_accumulation_steps` works on one replica only",
        ),
        strict=True,
    ):
        assert words in line
