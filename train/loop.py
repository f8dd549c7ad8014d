# SPDX-License-Identifier: Apache-2.0
"""The training run: build, fit, keep the best, continue, report."""

import contextlib
import dataclasses
import math
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from absl import logging

import gxnor_tf
from gxnor_tf.files import replacing
from train import (
    checkpoint,
    datasets,
    files,
    models,
    multiworker,
    pipeline,
    replicas,
    report,
)
from train.config import Config
from train.errors import DivergedError, UserError
from train.run_folder import RunFolder
from train.stopping import postponed


class EpochKeeper(keras.callbacks.Callback):
    """After each epoch keeps the best model, a checkpoint and the metrics.

    Args:
        folder: Where to; None keeps the books only.
        progress: What is known of earlier epochs; it is updated.
        deployed: Makes of the model that is trained the one to keep.
    """

    def __init__(
        self,
        folder: RunFolder | None,
        progress: checkpoint.Progress,
        deployed: Callable[[keras.Model], keras.Model],
    ) -> None:
        super().__init__()
        self._folder = folder
        self._progress = progress
        self._deployed = deployed
        self._started = 0.0

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Starts the clock."""
        self._started = time.monotonic()

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Writes the checkpoint, then what follows from it."""
        logs = {} if logs is None else logs
        if not math.isfinite(logs["loss"]):
            raise DivergedError(
                f"The loss is {logs['loss']} in epoch {epoch + 1}. Lower "
                "--learning_rate, in another --output_dir."
            )
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        row = {"epoch": epoch + 1, **{k: float(v) for k, v in logs.items()}}
        row["seconds"] = time.monotonic() - self._started
        progress = self._progress
        progress.rows.append({k: row[k] for k in report.COLUMNS if k in row})
        # The loss, as Keras' own callbacks do by default: the accuracies of
        # late epochs differ by a few images only.
        loss = row["val_loss"] if math.isfinite(row["val_loss"]) else math.inf
        if progress.best_epoch == 0 or loss < progress.best_loss:
            progress.best_loss = loss
            progress.best_epoch = epoch + 1
        if self._folder:
            with postponed():
                checkpoint.save(self._folder.checkpoint, self.model, progress)
                _write_what_follows(
                    self._folder, progress, lambda: self._deployed(self.model)
                )


def train(
    config: Config,
    output_dir: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> dict[str, Any]:
    """Trains a network and writes the results into a folder.

    Args:
        config: The settings.
        output_dir: Folder for the results; it must not hold a run yet.
        data_dir: Folder for downloads instead of the user's cache folder.
        resume: Continue the run in `output_dir` after its last complete
            epoch. It ends bit for bit like one that never stopped, as long
            as TensorFlow itself is deterministic: on a GPU, call
            `tf.config.experimental.enable_op_determinism()` before.
        callbacks: More Keras callbacks, called after those that keep files.

    Returns:
        The content of `report.json`. With `distribute="multiworker"` the
        chief alone writes and reports; the others return an empty dict.

    Raises:
        UserError: If a setting, the data or a folder is not as it must be.
    """
    team = None
    together: Any = contextlib.nullcontext
    if config.distribute == "multiworker":
        _require_plain(
            config,
            "distribute=multiworker",
            "whose steps talk to other processes one by one",
        )
        if config.dropout:
            raise UserError(
                "`dropout` must be 0 with distribute=multiworker, where its "
                "random numbers could not be resumed. Received: "
                f"dropout={config.dropout}"
            )
        team = multiworker.join(config.batch_size)
        together = team.together
    with together():
        folder = None
        if team is None or team.is_chief:
            folder = RunFolder(output_dir, resume, config)
        dataset = datasets.load(
            config.dataset, data_dir, config.validation_share
        )
        steps = _steps_per_epoch(config, dataset)
        strategy = _strategy(config)
    if team:
        facts = dataclasses.asdict(config) | {"data (SHA-256)": dataset.digest}
        team.require_same(facts)
    keras.utils.set_random_seed(config.seed)
    with strategy.scope():
        model = _compiled(config, dataset, steps)
        progress = checkpoint.Progress(dataset.digest)
        with together():
            if folder and folder.checkpoint.exists():
                progress = _restore(config, folder, model, dataset)
    if team:
        progress = _shared(team, model, progress)
    if folder:
        files.write_text(folder.config, config.to_json())
    if len(progress.rows) < config.epochs:
        _fit(config, model, dataset, steps, folder, progress, callbacks, team)
    content = {}
    with together():
        if folder:
            content = _report(config, model, dataset, folder, progress)
    return content


def _compiled(
    config: Config, dataset: datasets.Dataset, steps: int
) -> keras.Model:
    """The network, ready to be trained, its optimizer built."""
    model = models.build(config, dataset.image_shape, dataset.num_classes)
    model.compile(
        optimizer=models.optimizer(config, steps),
        loss=models.loss(config),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=config.jit_compile,
        steps_per_execution=config.steps_per_execution,
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _shared(
    team: multiworker.Team, model: keras.Model, progress: checkpoint.Progress
) -> checkpoint.Progress:
    """Gives every process the chief's state; only it may have the files."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "checkpoint.npz"
        if team.is_chief:
            checkpoint.save(path, model, progress)
            team.share(path.read_bytes())
            return progress
        path.write_bytes(team.share(b""))
        return checkpoint.restore(path, model)


def _steps_per_epoch(config: Config, dataset: datasets.Dataset) -> int:
    steps = len(dataset.train) // config.batch_size
    if steps == 0:
        raise UserError(
            f"`batch_size` must be <= {len(dataset.train)}, the number of "
            f"training images. Received: batch_size={config.batch_size}"
        )
    if steps % config.steps_per_execution:
        divisors = [n for n in range(1, steps + 1) if steps % n == 0]
        raise UserError(
            f"`steps_per_execution` must divide the {steps} steps of an "
            "epoch. Received: steps_per_execution="
            f"{config.steps_per_execution}. Use one of {divisors}."
        )
    return steps


def _require_plain(config: Config, where: str, reason: str) -> None:
    for name, usable in (("jit_compile", False), ("steps_per_execution", 1)):
        if getattr(config, name) != usable:
            raise UserError(
                f"`{name}` must be {usable} with {where}, {reason}. "
                f"Received: {name}={getattr(config, name)}"
            )


def _strategy(config: Config) -> tf.distribute.Strategy:
    if config.distribute != "mirrored":
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU")
    devices = devices or tf.config.list_logical_devices("CPU")
    if config.batch_size % len(devices):
        raise UserError(
            f"`batch_size` must be a multiple of {len(devices)}, the number "
            f"of replicas. Received: batch_size={config.batch_size}"
        )
    if len(devices) > 1:
        # Keras 3.15 fails with these for any model on more than one replica.
        _require_plain(
            config,
            f"distribute=mirrored on {len(devices)} devices",
            "a limit of Keras",
        )
    return tf.distribute.MirroredStrategy([d.name for d in devices])


def _restore(
    config: Config,
    folder: RunFolder,
    model: keras.Model,
    dataset: datasets.Dataset,
) -> checkpoint.Progress:
    progress = checkpoint.restore(folder.checkpoint, model)
    if progress.dataset_digest != dataset.digest:
        raise UserError(
            f"The run in {folder.path} was trained on other data: SHA-256 "
            f"{progress.dataset_digest}, now {dataset.digest}. Give the same "
            "data, or use another --output_dir."
        )
    # The run may have been killed after the checkpoint and before these.
    with postponed():
        _write_what_follows(
            folder, progress, lambda: _deployed(config, dataset, model)
        )
    if not folder.model.exists():
        raise UserError(
            f"{folder.model}, the best model so far, is not there. Delete "
            f"{folder.checkpoint} to start the run anew."
        )
    logging.info("Continuing after epoch %d.", len(progress.rows))
    return progress


def _write_what_follows(
    folder: RunFolder,
    progress: checkpoint.Progress,
    deployed: Callable[[], keras.Model],
) -> None:
    """Writes the files that a checkpoint decides, from the state in it.

    In this order they can be made up for. Written before the checkpoint, the
    best model could be that of an epoch that no checkpoint knows.
    """
    if progress.best_epoch == len(progress.rows):
        with replacing(folder.model) as temporary:
            deployed().save(temporary)
    report.write_metrics(folder.metrics, progress.rows)


def _fit(
    config: Config,
    model: keras.Model,
    dataset: datasets.Dataset,
    steps: int,
    folder: RunFolder | None,
    progress: checkpoint.Progress,
    callbacks: Sequence[keras.callbacks.Callback],
    team: multiworker.Team | None,
) -> None:
    first_epoch = len(progress.rows)
    keepers: list[keras.callbacks.Callback] = [
        EpochKeeper(
            folder, progress, lambda model: _deployed(config, dataset, model)
        )
    ]
    if not config.trained_by_adam:
        # Before the keeper, which writes what this adds to the logs.
        keepers.insert(0, gxnor_tf.callbacks.TransitionMonitor())
    if config.distribute == "mirrored":
        keepers.insert(0, replicas.AverageMeasured())
    batches = pipeline.training_batches(
        dataset.train,
        dataset.num_classes,
        config.batch_size,
        config.seed,
        first_epoch,
        config.epochs,
        config.augmentation,
        models.off_value(config),
    )
    validation = pipeline.evaluation_batches(
        dataset.validation, dataset.num_classes, models.off_value(config)
    )
    # A progress bar for a terminal, one line an epoch for a file.
    verbose = 1 if sys.stdout.isatty() else 2
    if team:
        team.fit(
            model,
            lambda: _compiled(config, dataset, steps),
            batches,
            validation,
            steps,
            first_epoch,
            config.epochs,
            [*keepers, *callbacks],
            verbose if team.is_chief else 0,
        )
        return
    model.fit(
        batches,
        validation_data=validation,
        initial_epoch=first_epoch,
        epochs=config.epochs,
        steps_per_epoch=steps,
        callbacks=[*keepers, *callbacks],
        shuffle=False,  # The batches come shuffled.
        verbose=verbose,
    )


def _report(
    config: Config,
    model: keras.Model,
    dataset: datasets.Dataset,
    folder: RunFolder,
    progress: checkpoint.Progress,
) -> dict[str, Any]:
    try:
        best = keras.saving.load_model(folder.model)
    except Exception as error:  # Keras lets those of zip and HDF5 through.
        raise UserError(
            f"{folder.model} cannot be loaded: {error}. Start the run anew "
            "in another --output_dir."
        ) from error
    # Without the distribution strategy that the trained one belongs to.
    final = models.build(config, dataset.image_shape, dataset.num_classes)
    final.set_weights(model.get_weights())
    final = _deployed(config, dataset, final)
    content = report.summary(best, final, model.optimizer, dataset, progress)
    report.write_summary(folder.report, content)
    report.draw_curves(
        folder.curves,
        progress.rows,
        f"{config.net} network ({_kind(config)}) on "
        f"{pathlib.Path(config.dataset).name}: test accuracy "
        f"{content['test_accuracy']:.2%} after epoch {progress.best_epoch}, "
        "chosen by validation",
        config.loss,
    )
    return content


def _kind(config: Config) -> str:
    """What was trained, in the title of the curves."""
    if not config.discrete:
        return "float32"
    latent = ", latent float32" if config.training == "latent" else ""
    return (
        f"weights n={config.weight_n}{latent}, activations "
        f"n={config.activation_n}"
    )


def _deployed(
    config: Config, dataset: datasets.Dataset, model: keras.Model
) -> keras.Model:
    return models.deployed(
        config, model, dataset.image_shape, dataset.num_classes
    )
