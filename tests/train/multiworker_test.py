# SPDX-License-Identifier: Apache-2.0
"""Two processes on this machine: the same weights, and those of one process.

Every test starts two processes that do all they can in one life, since that
is what takes the time.
"""

import csv
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import gxnor_tf
from train import multiworker

ROOT = pathlib.Path(__file__).absolute().parents[2]
# Far more than they take: a bug here is two processes that wait for ever.
TIMEOUT = 240


def free_addresses(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
    for one in sockets:
        one.close()
    return addresses


def start(arguments, addresses, rank):
    cluster = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": rank},
    }
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "TF_CONFIG": json.dumps(cluster)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_two(arguments):
    """Runs the same in two workers; gives `(status, out, err)` of each."""
    addresses = free_addresses(2)
    workers = [start(arguments(rank), addresses, rank) for rank in (0, 1)]
    try:
        texts = [w.communicate(timeout=TIMEOUT) for w in workers]
    finally:
        for worker in workers:
            worker.kill()
    return [(w.returncode, *t) for w, t in zip(workers, texts, strict=True)]


# Sums of small integers divided by powers of two are exact in float32, in any
# order and however a batch is split. So are the gradients of this net: integer
# inputs, targets and weights, ternary activations, a derivative of 0 or 1 and
# means over 8 records. BatchNormalization is left out: its divisions round,
# and it sees the share of a process instead of the batch. So is a trained
# bias, whose values need more bits with every step.
EXACT_NET = """
import keras
import numpy as np
import gxnor_tf

def data():
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (64, 6)).astype(np.float32)
    return x, rng.integers(-4, 5, (64, 2)).astype(np.float32)

def build():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input((6,)),
        gxnor_tf.DiscreteDense(16),
        gxnor_tf.DiscreteActivation(derivative_width=0.5),
        gxnor_tf.DiscreteDense(2),
    ])
    model.compile(
        gxnor_tf.DiscreteStateTransition(0.1), "mse", metrics=["mae"]
    )
    model.optimizer.build(model.trainable_variables)
    return model
"""

LIBRARY = (
    EXACT_NET
    + """
import sys
import tensorflow as tf
from train import multiworker
from train.errors import UserError

class Notes(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs):
        print("epoch", epoch, sorted(logs.items()))

team = multiworker.join(8)
print("name", team.name, team.is_chief, team.replicas)
print("share", team.share(b"from %d" % team.cluster.rank))
print("share", team.share(b"from %d." % team.cluster.rank, 1))
print("share", team.share(bytes(range(256))) == bytes(range(256)))

model = build()
before = model.get_weights()
jump = gxnor_tf.RandomJump(0.5, monitor="loss", min_delta=1e9, patience=2)
x, y = data()
batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
team.fit(model, build, batches.repeat(), batches, 8, 0, 3,
         [Notes(), gxnor_tf.callbacks.TransitionMonitor(), jump])
print("jumps", jump.jumps)
np.savez(sys.argv[1], *[v.numpy() for v in (*model.weights,
                                            *model.optimizer.variables)])

with team.together():
    print("together")
for failing in (0, 1):
    try:
        with team.together():
            if team.cluster.rank == failing:
                raise UserError("my disk is full")
    except UserError as error:
        print("stopped:", error)
try:
    team.require_same({"seed": team.cluster.rank, "epochs": 2})
except UserError as error:
    print("stopped:", error)
team.require_same({"seed": 0.1})
"""
)


def lines(text, word):
    return [x for x in text.splitlines() if x.startswith(word)]


def test_equals_one_process_bit_for_bit(tmp_path):
    paths = [tmp_path / "0.npz", tmp_path / "1.npz"]
    found = run_two(lambda rank: ["-c", LIBRARY, paths[rank]])
    for status, _, errors in found:
        assert status == 0, errors[-3000:]
    outputs = [out for _, out, _ in found]
    assert lines(outputs[0], "name") == ["name worker 0 of 2 True 2"]
    assert lines(outputs[1], "name") == ["name worker 1 of 2 False 2"]
    for out in outputs:
        assert lines(out, "share") == [
            *("share b'from 0'", "share b'from 1.'", "share True")
        ]
    assert len(lines(outputs[0], "epoch")) == 3
    assert lines(outputs[0], "epoch") == lines(outputs[1], "epoch")
    assert lines(outputs[0], "stopped") == [
        "stopped: my disk is full",
        "stopped: Worker 1 stopped: my disk is full",
        "stopped: Worker 1 stopped: All workers must have the settings and "
        "the data of worker 0. Received in worker 1: seed=1, there 0",
    ]
    assert lines(outputs[1], "stopped")[0] == (
        "stopped: Worker 0 stopped: my disk is full"
    )

    names = {}
    exec(EXACT_NET, names)
    alone = names["build"]()
    before = alone.get_weights()
    jump = gxnor_tf.RandomJump(0.5, monitor="loss", min_delta=1e9, patience=2)
    alone.fit(
        *names["data"](),
        batch_size=8,
        epochs=3,
        shuffle=False,
        verbose=0,
        callbacks=[gxnor_tf.callbacks.TransitionMonitor(), jump],
    )
    assert jump.jumps == 1 and lines(outputs[0], "jumps") == ["jumps 1"]
    wanted = [v.numpy() for v in (*alone.weights, *alone.optimizer.variables)]
    assert any((a != b).any() for a, b in zip(before, wanted[:2], strict=True))
    for path in paths:
        with np.load(path) as archive:
            values = [archive[name] for name in archive.files]
        for a, b in zip(values, wanted, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


PROGRAM = """
import dataclasses
import sys
import keras
import numpy as np
from train import config, loop
from train.errors import UserError

class Last(keras.callbacks.Callback):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        np.savez(self.path, *self.model.get_weights())

class StopIn(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.now == 1 and batch >= 2:
            raise KeyboardInterrupt

data, folder, rank = sys.argv[1:]
settings = config.Config(
    dataset=data, epochs=3, batch_size=8, width=0.1, learning_rate=0.05,
    distribute="multiworker",
)
straight = loop.train(
    settings, folder + "/straight", callbacks=[Last(f"{folder}/{rank}.npz")]
)
print("accuracy", straight.get("test_accuracy"))
try:
    loop.train(settings, folder + "/halted", callbacks=[StopIn()])
except KeyboardInterrupt:
    print("interrupted")
loop.train(settings, folder + "/halted", resume=True)

def refused(output, **changes):
    try:
        loop.train(dataclasses.replace(settings, **changes), output)
    except UserError as error:
        print("refused:", error)

refused(folder + "/straight")
refused(folder + "/other", seed=int(rank))
refused(folder + "/other", batch_size=5)
refused(folder + "/other", jit_compile=True)
refused(folder + "/other", steps_per_execution=5)
if rank == "1":
    data = "none.npz"
refused(folder + "/other", dataset=data)
"""


def stripes(path):
    """16x16 images: bright rows in one of three places."""
    rng = np.random.default_rng(0)
    labels = np.arange(73) % 3
    images = rng.integers(0, 100, (73, 16, 16), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[5 * label : 5 * label + 5] += 150
    np.savez(
        path,
        x_train=images[:48],
        y_train=labels[:48],
        x_test=images[48:],
        y_test=labels[48:],
    )
    return path


def arrays(path):
    with np.load(path) as archive:
        return {n: archive[n] for n in archive.files if n != "progress"}


def metrics(folder):
    with (folder / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        assert float(row.pop("seconds")) > 0
    return rows


@pytest.mark.slow
def test_whole_runs(tmp_path):
    """Files by the chief alone, the same weights everywhere, and resume."""
    data = stripes(tmp_path / "data.npz")
    out = tmp_path / "out"
    out.mkdir()
    found = run_two(lambda rank: ["-c", PROGRAM, data, out, rank])
    for status, _, errors in found:
        assert status == 0, errors[-3000:]
    outputs = [text for _, text, _ in found]
    assert float(lines(outputs[0], "accuracy")[0].split()[1]) > 0.5
    assert lines(outputs[1], "accuracy") == ["accuracy None"]
    assert all(lines(text, "interrupted") for text in outputs)
    # One line an epoch, from the chief.
    assert len(lines(outputs[0], "5/5")) >= 6
    assert not lines(outputs[1], "5/5")

    first, second = (arrays(out / f"{rank}.npz") for rank in (0, 1))
    assert first.keys() == second.keys() and len(first) > 10
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])
    names = sorted(os.listdir(out / "straight"))
    assert names == [
        *("checkpoint.npz", "config.json", "curves.png", "metrics.csv"),
        *("model.keras", "report.json"),
    ]
    straight, halted = (
        arrays(out / name / "checkpoint.npz") for name in ("straight", "halted")
    )
    for name, value in straight.items():
        np.testing.assert_array_equal(value, halted[name], name)
    rows = metrics(out / "straight")
    assert rows == metrics(out / "halted")
    assert len(rows) == 3
    assert float(rows[0]["transition_rate"]) > 0
    kept = keras.saving.load_model(out / "straight" / "model.keras")
    assert isinstance(kept.optimizer, gxnor_tf.DiscreteStateTransition)
    last = [v for k, v in straight.items() if k.startswith("model/")]
    for value, saved in zip(last, first.values(), strict=True):
        np.testing.assert_array_equal(value, saved)

    refused = [lines(text, "refused") for text in outputs]
    assert len(refused[0]) == len(refused[1]) == 6
    for chief, other, words in zip(
        *refused,
        (
            "`output_dir` already holds a run",
            "Received in worker 1: seed=1, there 0",
            "`batch_size` must be a multiple of 2",
            "`jit_compile` must be False with distribute=multiworker",
            "`steps_per_execution` must be 1 with distribute=multiworker",
            "none.npz",
        ),
        strict=True,
    ):
        assert words in chief and words in other
    assert not (out / "other").exists() or not os.listdir(out / "other")


def test_without_a_cluster():
    environment = {k: v for k, v in os.environ.items() if k != "TF_CONFIG"}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "train.mnist", "--output_dir=never"),
            *("--dataset=digits", "--distribute=multiworker"),
        ],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 1
    assert "needs the environment variable TF_CONFIG" in done.stderr
    assert not (ROOT / "never").exists()


@pytest.mark.slow
def test_a_worker_that_dies_stops_the_others(tmp_path):
    """With a text that says so, and a folder from which to go on."""
    data = stripes(tmp_path / "data.npz")
    arguments = [
        *("-m", "train.mnist", f"--output_dir={tmp_path / 'out'}"),
        *(f"--dataset={data}", "--distribute=multiworker", "--epochs=9999"),
        *("--batch_size=8", "--width=0.1"),
    ]
    addresses = free_addresses(2)
    chief, other = (start(arguments, addresses, rank) for rank in (0, 1))
    try:
        deadline = time.monotonic() + TIMEOUT
        while not (tmp_path / "out" / "checkpoint.npz").exists():
            assert chief.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        other.kill()
        _, errors = chief.communicate(timeout=TIMEOUT)
    finally:
        chief.kill()
        other.kill()
        other.communicate()
    assert chief.returncode == 1
    assert "error: Another worker stopped or cannot be reached" in errors
    assert "--resume" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(("pipelines", "replicas"), [(1, 1), (2, 2), (2, 4)])
def test_shares_are_the_batch(pipelines, replicas):
    """Together, and in order, also where a process has two devices."""
    batches = tf.data.Dataset.from_tensor_slices(
        (np.arange(32).reshape(16, 2), np.arange(16))
    ).batch(8)
    shares = [
        [
            [part.numpy() for part in share]
            for share in multiworker._share_of(
                batches, tf.distribute.InputContext(pipelines, rank, replicas)
            )
        ]
        for rank in range(pipelines)
    ]
    local = replicas // pipelines
    for number, batch in enumerate(batches):
        of_batch = [
            share
            for own in shares
            for share in own[number * local : (number + 1) * local]
        ]
        assert len(of_batch) == replicas
        for whole, *parts in zip(batch, *of_batch, strict=True):
            assert {len(p) for p in parts} == {8 // replicas}
            np.testing.assert_array_equal(np.concatenate(parts), whole)
