# SPDX-License-Identifier: Apache-2.0
"""Whole runs on a small data set: files, resume, and what stops a run."""

import dataclasses
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

import gxnor_tf
from tests.train.runs import (
    assert_same_arrays,
    assert_same_run,
    saved_variables,
    untimed_metrics,
)
from train import config, datasets, loop, models, report
from train.errors import UserError

ROOT = pathlib.Path(__file__).absolute().parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A file of 16x16 images: bright rows in one of three places."""
    rng = np.random.default_rng(0)

    def images(labels):
        made = rng.integers(0, 100, (len(labels), 16, 16), np.uint8)
        for image, label in zip(made, labels, strict=True):
            image[5 * label : 5 * label + 5] += 150
        return made

    labels = np.arange(73) % 3
    path = tmp_path_factory.mktemp("data") / "stripes.npz"
    np.savez(
        path,
        x_train=images(labels[:48]),
        y_train=labels[:48],
        x_test=images(labels[48:]),
        y_test=labels[48:],
    )
    return str(path)


@pytest.fixture(scope="module")
def settings(data):
    # 48 images, 8 of them for validation: 5 steps of 8 an epoch.
    return config.Config(
        dataset=data, epochs=2, batch_size=8, width=0.1, learning_rate=0.05
    )


@pytest.fixture(scope="module")
def straight(settings, tmp_path_factory):
    """A run that was never interrupted."""
    folder = tmp_path_factory.mktemp("straight") / "new" / "folder"
    content = loop.train(settings, folder)
    return folder, content


class StopIn(keras.callbacks.Callback):
    """Interrupts a run in the middle of an epoch, or after its last call."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.now == self.epoch and batch >= 2:
            raise KeyboardInterrupt


def interrupted(settings, folder, epoch=1):
    with pytest.raises(KeyboardInterrupt):
        loop.train(settings, folder, callbacks=[StopIn(epoch)])


def test_output_folder(straight, settings):
    folder, content = straight
    assert sorted(os.listdir(folder)) == [
        *("checkpoint.npz", "config.json", "curves.png", "metrics.csv"),
        *("model.keras", "report.json"),
    ]
    read = config.Config.from_json((folder / "config.json").read_text())
    assert read == settings
    assert json.loads((folder / "report.json").read_text()) == content
    rows = untimed_metrics(folder)
    assert [float(row["epoch"]) for row in rows] == [1, 2]
    for row in rows:
        for name in ("accuracy", "val_accuracy", "zero_share"):
            assert 0 <= float(row[name]) <= 1
        assert float(row["transition_rate"]) > 0
        assert float(row["loss"]) > 0
    assert float(rows[1]["learning_rate"]) == pytest.approx(5e-5)


def test_report(straight, settings):
    folder, content = straight
    rows = untimed_metrics(folder)
    best = min(rows, key=lambda row: float(row["val_loss"]))
    assert content["best_epoch"] == float(best["epoch"])
    assert content["validation_accuracy"] == pytest.approx(
        float(best["val_accuracy"]), abs=1e-6
    )
    assert content["epochs"] == 2
    assert content["seconds"] > 0
    assert content["state_bytes_per_weight"] == 2
    assert list(content["zero_share"]["weights"]) == [
        *("conv1", "conv2", "dense1", "dense2")
    ]
    assert list(content["zero_share"]["activations"]) == [
        *("activation1", "activation2", "activation3")
    ]
    assert list(content["gate_open_rate"]) == [
        *("conv1", "conv2", "dense1", "dense2")
    ]
    assert all(0 < rate < 1 for rate in content["gate_open_rate"].values())
    assert content["dataset"]["name"] == settings.dataset
    assert content["dataset"]["source"] == "file"
    sizes = [content["dataset"][x] for x in ("train", "validation", "test")]
    assert sizes == [40, 8, 25]
    assert set(content["versions"]) == {
        *("python", "gxnor_tf", "tensorflow", "keras", "numpy")
    }
    model = keras.saving.load_model(folder / "model.keras")
    counts = content["parameters"]
    assert counts["discrete"] + counts["continuous"] == model.count_params()
    kernel = model.get_layer("dense1").kernel.numpy()
    assert content["zero_share"]["weights"]["dense1"] == pytest.approx(
        np.mean(kernel == 0)
    )
    test = datasets.load(settings.dataset).test
    assert content["test_accuracy"] == report.accuracy(model, test, 3)
    assert content["test_accuracy"] > 0.5


def test_weights_move_from_where_the_seed_has_put_them(straight, settings):
    folder, _ = straight
    trained = keras.saving.load_model(folder / "model.keras")
    keras.utils.set_random_seed(settings.seed)
    data = datasets.load(settings.dataset)
    fresh = models.build(settings, data.image_shape, data.num_classes)
    moved = [
        np.mean(before.numpy() != after.numpy())
        for before, after in zip(
            fresh.trainable_variables, trained.trainable_variables, strict=True
        )
        if isinstance(after, gxnor_tf.DiscreteVariable)
    ]
    assert len(moved) == 4
    # Drawn anew, two thirds would differ. So few steps do not move all layers.
    assert 0 < max(moved) < 0.1


def test_same_settings_give_the_same_run(straight, settings, tmp_path):
    loop.train(settings, tmp_path)
    assert_same_run(straight[0], tmp_path)


def test_resume_is_bit_identical(straight, settings, tmp_path):
    interrupted(settings, tmp_path)
    assert len(untimed_metrics(tmp_path)) == 1
    assert not (tmp_path / "report.json").exists()
    loop.train(settings, tmp_path, resume=True)
    assert_same_run(straight[0], tmp_path)


def test_resume_before_the_first_epoch_ended(straight, settings, tmp_path):
    interrupted(settings, tmp_path, epoch=0)
    assert os.listdir(tmp_path) == ["config.json"]
    loop.train(settings, tmp_path, resume=True)
    assert_same_run(straight[0], tmp_path)


def test_resume_of_a_complete_run_reports_again(straight, settings, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(straight[0], folder)
    (folder / "report.json").unlink()
    loop.train(settings, folder, resume=True)
    assert_same_run(straight[0], folder)


def test_steps_per_execution_does_not_change_the_result(
    straight, settings, tmp_path
):
    changed = dataclasses.replace(settings, steps_per_execution=5)
    interrupted(changed, tmp_path)
    loop.train(changed, tmp_path, resume=True)
    # The model's file has the setting.
    assert_same_arrays(saved_variables(straight[0]), saved_variables(tmp_path))
    assert untimed_metrics(straight[0]) == untimed_metrics(tmp_path)


def test_resume_with_all_that_is_random(settings, tmp_path):
    changed = dataclasses.replace(
        settings,
        augmentation="crop_flip",
        dropout=0.3,
        schedule="cosine",
        final_learning_rate=None,
        warmup_epochs=0.5,
        loss="cross_entropy",
    )
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    loop.train(changed, whole)
    interrupted(changed, broken)
    loop.train(changed, broken, resume=True)
    assert_same_run(whole, broken)


def test_dropout_is_refused_where_it_cannot_be_resumed(settings, tmp_path):
    changed = dataclasses.replace(
        settings, dropout=0.1, distribute="multiworker"
    )
    with pytest.raises(UserError, match="`dropout` must be 0.*dropout=0.1"):
        loop.train(changed, tmp_path)


def test_validation_share(settings, tmp_path):
    changed = dataclasses.replace(settings, epochs=1, validation_share=0.5)
    content = loop.train(changed, tmp_path)
    sizes = [content["dataset"][x] for x in ("train", "validation", "test")]
    assert sizes == [24, 24, 25]


def test_latent_weights_are_kept_as_the_states_they_stand_for(
    settings, tmp_path
):
    changed = dataclasses.replace(settings, training="latent")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    content = loop.train(changed, whole)
    interrupted(changed, broken)
    loop.train(changed, broken, resume=True)
    assert_same_run(whole, broken)
    assert content["state_bytes_per_weight"] == 12
    assert content["parameters"]["discrete"] > 0
    assert list(content["gate_open_rate"]) == [
        *("conv1", "conv2", "dense1", "dense2")
    ]
    best = min(untimed_metrics(whole), key=lambda row: float(row["val_loss"]))
    assert content["validation_accuracy"] == pytest.approx(
        float(best["val_accuracy"])
    )
    model = keras.saving.load_model(whole / "model.keras")
    assert isinstance(
        model.get_layer("conv1").kernel, gxnor_tf.DiscreteVariable
    )
    kept = saved_variables(whole)["model/mnist_net/conv1/kernel"]
    assert kept.dtype == np.float32 and np.abs(kept).max() <= 1


def test_the_title_of_the_curves_says_what_was_trained(
    settings, tmp_path, monkeypatch
):
    drawn = []
    monkeypatch.setattr(
        report, "draw_curves", lambda *arguments: drawn.append(arguments[2:])
    )
    for number, (changes, wanted) in enumerate(
        (
            ({}, "(weights n=1, activations n=1)"),
            ({"training": "latent"}, "(weights n=1, latent float32, act"),
            (
                {
                    "discrete": False,
                    "weight_n": None,
                    "activation_n": None,
                    "zero_window": None,
                    "net": "cifar10",
                    "loss": "cross_entropy",
                },
                "cifar10 network (float32) on stripes.npz: test accuracy",
            ),
        )
    ):
        made = dataclasses.replace(settings, epochs=1, **changes)
        loop.train(made, tmp_path / str(number))
        assert wanted in drawn[-1][0]
        assert drawn[-1][1] == made.loss


def test_jit_compile(settings, tmp_path):
    changed = dataclasses.replace(settings, epochs=4, jit_compile=True)
    content = loop.train(changed, tmp_path)
    assert content["test_accuracy"] > 0.3
    assert float(untimed_metrics(tmp_path)[0]["transition_rate"]) > 0


def test_float32(settings, tmp_path):
    # The spaces of the other runs do not go with it.
    plain = dataclasses.replace(
        settings,
        discrete=False,
        weight_n=None,
        activation_n=None,
        zero_window=None,
        epochs=1,
    )
    content = loop.train(plain, tmp_path)
    assert content["parameters"]["discrete"] == 0
    assert content["zero_share"] == {"weights": {}, "activations": {}}
    assert content["state_bytes_per_weight"] == 12
    assert "transition_rate" in untimed_metrics(tmp_path)[0]
    assert untimed_metrics(tmp_path)[0]["transition_rate"] == ""


@pytest.mark.parametrize(
    ("losses", "best_epoch"),
    [([0.5, 0.25, 0.25, 0.75], 2), ([math.nan, 0.5, 0.75, 0.75], 2)],
)
def test_the_best_epoch_is_kept(
    losses, best_epoch, settings, tmp_path, monkeypatch
):
    kept = []
    monitor = gxnor_tf.callbacks.TransitionMonitor

    class Monitor(monitor):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            logs["val_loss"] = losses[epoch]
            kept.append(self.model.get_weights())

    monkeypatch.setattr(gxnor_tf.callbacks, "TransitionMonitor", Monitor)
    changed = dataclasses.replace(settings, epochs=4)
    content = loop.train(changed, tmp_path)
    assert content["best_epoch"] == best_epoch
    best = keras.saving.load_model(tmp_path / "model.keras").get_weights()
    for value, wanted in zip(best, kept[1], strict=True):
        np.testing.assert_array_equal(value, wanted)
    assert not np.array_equal(kept[1][-1], kept[2][-1])


def test_folder_with_a_run_is_refused(straight, settings):
    folder, _ = straight
    before = (folder / "metrics.csv").stat().st_mtime_ns
    with pytest.raises(UserError, match="already holds a run.*--resume"):
        loop.train(settings, folder)
    assert (folder / "metrics.csv").stat().st_mtime_ns == before


def test_resume_with_other_settings_names_them(straight, settings):
    other = dataclasses.replace(
        settings, seed=4, step_rule="sign", momentum=None
    )
    with pytest.raises(UserError) as caught:
        loop.train(other, straight[0], resume=True)
    message = str(caught.value)
    assert "seed=0, now 4" in message
    assert "step_rule='error_feedback', now 'sign'" in message


def test_resume_with_other_data_is_refused(straight, settings, data):
    path = pathlib.Path(data)
    content = path.read_bytes()
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["y_test"][0] ^= 1
    try:
        np.savez(path, **arrays)
        with pytest.raises(UserError, match="trained on other data"):
            loop.train(settings, straight[0], resume=True)
    finally:
        path.write_bytes(content)


def change_progress(folder, **changes):
    with np.load(folder / "checkpoint.npz") as archive:
        arrays = dict(archive)
    progress = json.loads(str(arrays["progress"][()])) | changes
    arrays["progress"] = np.array(json.dumps(progress))
    np.savez(folder / "checkpoint.npz", **arrays)


def test_killed_after_the_last_checkpoint(settings, straight, tmp_path):
    """Nothing that is written after it is missing in the end."""
    folder = tmp_path / "killed"
    shutil.copytree(straight[0], folder)
    assert straight[1]["best_epoch"] == 2
    for name in ("metrics.csv", "model.keras", "report.json"):
        (folder / name).unlink()
    loop.train(settings, folder, resume=True)
    assert_same_run(straight[0], folder)


def test_resume_with_damaged_files(straight, settings, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(straight[0], folder)
    # Else the best model would be made anew from the checkpoint.
    change_progress(folder, best_epoch=1)

    def refused(name, message, content=b"damaged"):
        path = folder / name
        good = path.read_bytes()
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            loop.train(settings, folder, resume=True)
        path.write_bytes(good)

    refused("checkpoint.npz", "checkpoint.npz is damaged")
    refused("config.json", "config.json is damaged")
    refused("model.keras", "model.keras cannot be loaded")
    model = (folder / "model.keras").read_bytes()
    refused("model.keras", "model.keras cannot be loaded", model[:-100])
    middle = len(model) // 2
    flipped = bytes(x ^ 0xFF for x in model[middle : middle + 400])
    flipped = model[:middle] + flipped + model[middle + 400 :]
    refused("model.keras", "model.keras cannot be loaded", flipped)
    code = keras.Sequential(
        [keras.Input((2,)), keras.layers.Lambda(lambda x: x)]
    )
    code.save(tmp_path / "code.keras")
    content = (tmp_path / "code.keras").read_bytes()
    refused("model.keras", "(?s)model.keras cannot be loaded.*unsafe", content)
    refused("model.keras", "model.keras.*is not there", None)
    loop.train(settings, folder, resume=True)


def test_unwritable_folder_is_refused_before_anything(
    settings, tmp_path, monkeypatch
):
    def never(*_):
        raise AssertionError("data was loaded")

    monkeypatch.setattr(datasets, "load", never)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    for folder in (blocked, blocked / "below"):
        with pytest.raises(UserError, match="`output_dir` must be a folder"):
            loop.train(settings, folder)


def test_bad_data_leaves_no_run_behind(settings, tmp_path):
    bad = dataclasses.replace(settings, dataset="none.npz")
    with pytest.raises(UserError, match="does not exist"):
        loop.train(bad, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 41}, "`batch_size` must be <= 40.*batch_size=41"),
        (
            {"steps_per_execution": 2},
            r"`steps_per_execution` must divide the 5.*\[1, 5\]",
        ),
    ],
)
def test_settings_that_do_not_fit_the_data(
    settings, tmp_path, changes, message
):
    with pytest.raises(UserError, match=message):
        loop.train(dataclasses.replace(settings, **changes), tmp_path)
    assert os.listdir(tmp_path) == []


def test_loss_that_is_not_finite_stops_the_run(settings, tmp_path):
    class Poison(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            beta = self.model.get_layer("scores").beta
            beta.assign(np.full(beta.shape, np.nan))

    with pytest.raises(UserError, match="loss is nan in epoch 1.*Lower"):
        loop.train(settings, tmp_path, callbacks=[Poison()])
    assert not (tmp_path / "checkpoint.npz").exists()


MIRRORED = """
import sys
import keras
import tensorflow as tf
from train import config, loop
from train.errors import UserError

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)

def settings(**changes):
    return config.Config(
        dataset=sys.argv[1], epochs=2, width=0.1, learning_rate=0.05,
        distribute="mirrored", **({"batch_size": 8} | changes),
    )

found = loop.train(settings(), sys.argv[2])
print("accuracy", found["test_accuracy"])

class StopIn(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.now == 1 and batch >= 2:
            raise KeyboardInterrupt

try:
    loop.train(settings(), sys.argv[4], callbacks=[StopIn()])
except KeyboardInterrupt:
    loop.train(settings(), sys.argv[4], resume=True)
for changes in (
    {"batch_size": 5}, {"jit_compile": True}, {"steps_per_execution": 5}
):
    try:
        loop.train(settings(**changes), sys.argv[3])
    except UserError as error:
        print("refused:", error)
"""


@pytest.mark.slow
def test_mirrored_on_two_devices(data, tmp_path):
    folders = [tmp_path / name for name in ("a", "b", "resumed")]
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED, data, *folders],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    (accuracy,) = [float(x.split()[1]) for x in lines if x[:9] == "accuracy "]
    assert accuracy > 0.5
    refused = [x for x in lines if "refused:" in x]
    for name, line in zip(
        ("batch_size", "jit_compile", "steps_per_execution"),
        refused,
        strict=True,
    ):
        assert f"`{name}` must be" in line
    assert_same_run(tmp_path / "a", tmp_path / "resumed")
    names = sorted(os.listdir(tmp_path / "a"))
    assert "report.json" in names and "model.keras" in names


def test_mirrored_on_one_device_changes_nothing(straight, settings, tmp_path):
    loop.train(dataclasses.replace(settings, distribute="mirrored"), tmp_path)
    assert_same_run(straight[0], tmp_path)
