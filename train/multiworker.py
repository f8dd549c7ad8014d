# SPDX-License-Identifier: Apache-2.0
"""Training in several processes, each with its share of every batch.

Keras' own `fit` fails under TensorFlow's multi-worker strategy, for every
model, hence the loop here. It keeps two models in every process: an ordinary
one, which callbacks, checkpoints and reports see, and one whose variables
belong to the strategy. Values go to the second before an epoch and come back
after it, so between epochs a run looks as if there were one process.
"""

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from train import replicas
from train.cluster import Cluster
from train.errors import UserError

# What TensorFlow raises, here or there, when a process is gone.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


class Team:
    """The processes that train together.

    All of them must call the same methods in the same order; each call waits
    for the others.

    Args:
        cluster: Who they are.
        strategy: The strategy that connects them.
    """

    def __init__(
        self,
        cluster: Cluster,
        strategy: tf.distribute.MultiWorkerMirroredStrategy,
    ) -> None:
        self.cluster = cluster
        self._strategy = strategy
        # One replica of each process takes part where processes talk.
        self._local_replicas = strategy.num_replicas_in_sync // len(
            cluster.addresses
        )
        self._total = tf.function(
            self._sum_in_graph,
            input_signature=[tf.TensorSpec([None], tf.int32)],
        )

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the files."""
        return self.cluster.is_chief

    @property
    def name(self) -> str:
        """What to call this process."""
        count = len(self.cluster.addresses)
        return f"worker {self.cluster.rank} of {count}"

    @property
    def replicas(self) -> int:
        """Into how many shares a batch is split."""
        return int(self._strategy.num_replicas_in_sync)

    def share(self, payload: bytes, sender: int = 0) -> bytes:
        """Gives every process the bytes of one of them, by default the chief.

        Args:
            payload: The bytes; ignored in all but the sender.
            sender: Its rank.
        """
        mine = self.cluster.rank == sender
        (size,) = self._sum(np.array([len(payload) if mine else 0]))
        words = np.zeros(-(-size // 4), np.int32)
        if mine:
            padded = payload.ljust(4 * len(words), b"\0")
            words = np.frombuffer(padded, np.int32)
        return self._sum(words).tobytes()[:size]

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Ends the block in all processes if it fails in one of them.

        Raises:
            UserError: This process' own, else that of another one.
        """
        own = None
        try:
            yield
        except (UserError, OSError) as error:
            own = error
        failed = np.zeros(len(self.cluster.addresses), np.int32)
        failed[self.cluster.rank] = own is not None
        failed = self._sum(failed)
        if not failed.any():
            return
        first = int(np.flatnonzero(failed)[0])
        text = self.share(str(own).encode(), first).decode()
        if own is not None:
            raise own
        raise UserError(f"Worker {first} stopped: {text}")

    def require_same(self, facts: dict[str, Any]) -> None:
        """Checks that what must be the same in all processes is.

        Args:
            facts: Values by name, as in JSON.

        Raises:
            UserError: If one differs from the chief's in any process.
        """
        chiefs = json.loads(self.share(json.dumps(facts).encode()))
        with self.together():
            different = [
                f"{name}={value!r}, there {chiefs.get(name)!r}"
                for name, value in facts.items()
                if value != chiefs.get(name)
            ]
            if different:
                raise UserError(
                    "All workers must have the settings and the data of "
                    f"worker 0. Received in worker {self.cluster.rank}: "
                    f"{'; '.join(different)}"
                )

    def fit(
        self,
        model: keras.Model,
        build: Callable[[], keras.Model],
        batches: tf.data.Dataset,
        validation: tf.data.Dataset,
        steps: int,
        first_epoch: int,
        epochs: int,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int = 0,
    ) -> None:
        """Trains a model like `model.fit`, each process on its share.

        Between epochs `model` is complete and the same in every process:
        moving averages of BatchNormalization are averaged, everything else
        is equal anyway. During an epoch it does not change; callbacks for
        batches are called without logs. The validation data are evaluated
        whole in every process, with the same result.

        Args:
            model: A compiled model whose optimizer is built, the same in
                every process.
            build: Makes another one like it.
            batches: All batches of all epochs, whole and the same in every
                process; each takes its rows of them.
            validation: Batches to evaluate after each epoch.
            steps: Steps of an epoch.
            first_epoch: Number of the first epoch, from 0.
            epochs: Number of epochs of the whole run.
            callbacks: Callbacks, called in every process.
            verbose: 0, 1 or 2, as in `model.fit`.
        """
        with _lost_workers():
            twin = _Twin(self._strategy, model, build)
        watching = keras.callbacks.CallbackList(
            callbacks,
            add_progbar=verbose > 0,
            model=model,
            epochs=epochs,
            steps=steps,
            verbose=verbose,
        )
        shares = iter(
            self._strategy.distribute_datasets_from_function(
                lambda context: _share_of(batches, context)
            )
        )

        @tf.function
        def train(batch: Any) -> None:
            self._strategy.run(twin.model.train_step, args=(batch,))

        model.stop_training = False
        logs: dict[str, float] = {}
        watching.on_train_begin()
        for epoch in range(first_epoch, epochs):
            watching.on_epoch_begin(epoch)
            with _lost_workers():
                twin.receive()
                twin.model.reset_metrics()
                for number in range(steps):
                    watching.on_train_batch_begin(number)
                    train(next(shares))
                    watching.on_train_batch_end(number)
                logs = _numbers(twin.model.get_metrics_result())
                twin.give_back()
            found = model.evaluate(validation, verbose=0, return_dict=True)
            logs |= {f"val_{k}": v for k, v in _numbers(found).items()}
            watching.on_epoch_end(epoch, logs)
            logging.info("%s: epoch %d/%d", self.name, epoch + 1, epochs)
            if model.stop_training:
                break
        watching.on_train_end(logs)

    def _sum(self, value: Any) -> Any:
        """The sum of int32 over all processes; exact, so any bytes pass."""
        with _lost_workers():
            return self._total(tf.constant(value, tf.int32)).numpy()

    def _sum_in_graph(self, value: tf.Tensor) -> tf.Tensor:
        def once() -> tf.Tensor:
            replica = tf.distribute.get_replica_context()
            rank = replica.replica_id_in_sync_group
            first = tf.equal(rank % self._local_replicas, 0)
            return tf.where(first, value, tf.zeros_like(value))

        return self._strategy.reduce("SUM", self._strategy.run(once), axis=None)


class _Twin:
    """A model of the strategy, and its values from and to an ordinary one."""

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        model: keras.Model,
        build: Callable[[], keras.Model],
    ) -> None:
        self._strategy = strategy
        self._ordinary = model
        with strategy.scope():
            self.model = build()
        self._measured = list(
            zip(
                replicas.measured(model),
                replicas.measured(self.model),
                strict=True,
            )
        )
        self._means = tf.function(self._reduce_measured)

    def receive(self) -> None:
        """Takes the values of the ordinary model."""
        with self._strategy.scope():
            for ordinary, own in self._pairs():
                own.assign(ordinary.numpy())

    def give_back(self) -> None:
        """Gives the values to it, the measured ones averaged."""
        for ordinary, own in self._pairs():
            ordinary.assign(own.numpy())
        means = self._means() if self._measured else []
        for (ordinary, _), mean in zip(self._measured, means, strict=True):
            ordinary.assign(mean.numpy())

    def _reduce_measured(self) -> list[tf.Tensor]:
        values = self._strategy.run(
            lambda: [tf.identity(own.value) for _, own in self._measured]
        )
        return [
            self._strategy.reduce("MEAN", value, axis=None) for value in values
        ]

    def _pairs(self) -> Iterator[tuple[keras.Variable, keras.Variable]]:
        for one, other in (
            (self._ordinary.weights, self.model.weights),
            (
                self._ordinary.optimizer.variables,
                self.model.optimizer.variables,
            ),
        ):
            yield from zip(one, other, strict=True)


def join(batch_size: int) -> Team:
    """Connects to the other processes; waits until all have started.

    The first call must come before anything else that TensorFlow does.

    Args:
        batch_size: Records per batch, over all processes.

    Raises:
        UserError: If TF_CONFIG is not as it must be, or the batch cannot be
            split evenly.
    """
    cluster = Cluster.from_environment()
    # TensorFlow waits inside, where Ctrl-C does not reach it.
    logging.warning(
        "Worker %d waits for all of %s; Ctrl-\\ ends it.",
        cluster.rank,
        ", ".join(cluster.addresses),
    )
    team = Team(cluster, _connected())
    if batch_size % team.replicas:
        raise UserError(
            f"`batch_size` must be a multiple of {team.replicas}, the number "
            f"of replicas. Received: batch_size={batch_size}"
        )
    logging.info("%s is connected", team.name)
    return team


@functools.cache
def _connected() -> tf.distribute.MultiWorkerMirroredStrategy:
    """The strategy; TensorFlow can connect only once in a process."""
    # It notes every graph with a collective operation, one line each.
    tf.get_logger().setLevel("WARNING")
    with _lost_workers():
        return tf.distribute.MultiWorkerMirroredStrategy()


@contextlib.contextmanager
def _lost_workers() -> Iterator[None]:
    try:
        yield
    except _LOST as error:
        logging.warning("TensorFlow says: %s", error.message)
        raise UserError(
            "Another worker stopped or cannot be reached (TensorFlow: "
            f"{type(error).__name__}). Start all workers again, with --resume "
            "to continue after the last complete epoch."
        ) from error


def _share_of(
    batches: tf.data.Dataset, context: tf.distribute.InputContext
) -> tf.data.Dataset:
    """This process' rows of every batch, cut for its replicas."""
    pipelines = context.num_input_pipelines
    rank = context.input_pipeline_id

    def rows(*parts: tf.Tensor) -> tuple[tf.Tensor, ...]:
        size = tf.shape(parts[0])[0] // pipelines
        return tuple(p[rank * size : (rank + 1) * size] for p in parts)

    shares = batches.map(rows)
    local = context.num_replicas_in_sync // pipelines
    if local == 1:
        return shares
    return shares.map(
        lambda *parts: tuple(
            tf.reshape(p, [local, -1, *p.shape[1:]]) for p in parts
        )
    ).unbatch()


def _numbers(logs: dict[str, Any]) -> dict[str, float]:
    return {k: float(v) for k, v in logs.items()}
