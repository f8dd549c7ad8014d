# SPDX-License-Identifier: Apache-2.0
"""Keras callbacks that watch discrete training."""

import os
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gxnor_tf import metrics
from gxnor_tf._arguments import integer
from gxnor_tf.analysis.gates import Gates
from gxnor_tf.layer_tree import discrete_variables
from gxnor_tf.monitor_file import MonitorFile
from gxnor_tf.optimizers import DiscreteStateTransition
from gxnor_tf.random_jump import RandomJump as RandomJump

# What TensorBoard must know to draw a curve.
_SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data={"plugin_name": "scalars"}, data_class="DATA_CLASS_SCALAR"
)


class TransitionMonitor(keras.callbacks.Callback):
    """Measures zero shares and transition rates while a model trains.

    It adds to the logs of every epoch, and so to `history` and to callbacks
    that stand behind it, such as `CSVLogger`:

    - `zero_share`: share of zero states among all discrete weights.
    - `transition_rate`: share of weights that moved in a step, the mean over
      the epoch's steps and over the weight tensors.
    - with `per_layer`, both for every weight tensor, as
      `zero_share/<variable path>` and `transition_rate/<variable path>`.
    - with `samples`, `gate_open_rate` (the share of products with two
      non-zero factors, see `gxnor_tf.metrics.gate_open_rates`), with
      `per_layer` also `gate_open_rate/<layer>` and
      `activation_zero_share/<layer>`.

    With `every_steps=k` it also measures after every k steps: the rates are
    then means over the steps since the last such measurement. They go to the
    logs of the batch, to `csv_path` and to `log_dir`.

    Args:
        per_layer: Whether to tell the layers apart.
        samples: A few inputs of the model, on which gates are counted; a list
            or dict for several inputs. None counts no gates.
        every_steps: Steps between measurements within an epoch, or None.
        csv_path: A file for all measurements, one row each, which begins with
            `epoch` and `step` (both count from 1; `step` counts updates of
            the optimizer). The row of an epoch comes after those of its
            steps.
        append: Whether rows are added to a file of the same columns, as after
            resuming; a last row that was cut goes away. Otherwise a file
            that exists is replaced.
        log_dir: A folder for TensorBoard: scalars of the epochs in
            `<log_dir>/epochs`, those of the steps in `<log_dir>/steps`.

    Raises:
        ValueError: If `every_steps` is no positive integer. At the start of
            training: if the model is not compiled with a
            `DiscreteStateTransition`, or `append` meets other columns.

    Example:

    >>> from gxnor_tf import DiscreteDense, DiscreteStateTransition
    >>> model = keras.Sequential([keras.Input((4,)), DiscreteDense(2)])
    >>> model.compile(optimizer=DiscreteStateTransition(), loss="mse")
    >>> monitor = TransitionMonitor(samples=np.ones((2, 4)))
    >>> history = model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0,
    ...                     callbacks=[monitor]).history
    >>> sorted(history)
    ['gate_open_rate', 'loss', 'transition_rate', 'zero_share']
    """

    def __init__(
        self,
        per_layer: bool = False,
        samples: Any = None,
        every_steps: int | None = None,
        csv_path: str | os.PathLike[str] | None = None,
        append: bool = False,
        log_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        if every_steps is not None:
            every_steps = integer(every_steps, "every_steps")
        self.per_layer = per_layer
        self.samples = samples
        self.every_steps = every_steps
        self.csv_path = None if csv_path is None else pathlib.Path(csv_path)
        self.append = append
        self.log_dir = None if log_dir is None else pathlib.Path(log_dir)
        self._file: MonitorFile | None = None
        self._writers: dict[str, Any] = {}
        self._epoch = 0
        self._first_step = 0
        self._mark = (0, dict[str, float]())

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks the optimizer and opens the files."""
        self._optimizer()
        # Other columns should be told of before anything is trained. A model
        # that gets its weights with the first batch has no columns yet.
        if discrete_variables(self.model):
            self._open_file(self._measure({}))
        if self.log_dir is not None:
            kinds = ["epochs"] + ["steps"] * (self.every_steps is not None)
            self._writers = {
                kind: tf.summary.create_file_writer(str(self.log_dir / kind))
                for kind in kinds
            }

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Starts counting."""
        self._optimizer().reset_transition_rates()
        self._epoch = epoch
        self._first_step = self._step()
        self._mark = (0, {})

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Measures, if it is time."""
        if self.every_steps is None:
            return
        step = self._step()
        last_steps, last_moves = self._mark
        # Several steps may be executed at once; none is measured twice.
        last = self._first_step + last_steps
        if step // self.every_steps == last // self.every_steps:
            return
        steps = step - self._first_step
        # The optimizer gives means since the start of the epoch.
        moves = {
            path: rate * steps
            for path, rate in self._transition_rates().items()
        }
        values = self._measure(
            {
                path: (total - last_moves.get(path, 0.0)) / (steps - last_steps)
                for path, total in moves.items()
            }
        )
        self._mark = (steps, moves)
        self._record("steps", step, values, logs)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Adds the measurements to the logs."""
        values = self._measure(self._transition_rates())
        self._record("epochs", self._step(), values, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Closes the files."""
        if self._file is not None:
            self._file.close()
            self._file = None
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _optimizer(self) -> DiscreteStateTransition:
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        if not isinstance(optimizer, DiscreteStateTransition):
            raise ValueError(
                "TransitionMonitor needs a model that is compiled with "
                "DiscreteStateTransition. Received: "
                f"optimizer={type(optimizer).__name__}"
            )
        return optimizer

    def _step(self) -> int:
        return int(self._optimizer().iterations.numpy())

    def _transition_rates(self) -> dict[str, float]:
        """Those of the optimizer, by the paths that zero shares have.

        It does not know frozen tensors, which may share a path with others.
        """
        optimizer = self._optimizer()
        paths = {
            id(v): path for path, v in discrete_variables(self.model).items()
        }
        rates = optimizer.transition_rates().values()
        return {
            paths[id(variable)]: rate
            for variable, rate in zip(
                optimizer.discrete_variables, rates, strict=True
            )
        }

    def _measure(self, rates: dict[str, float]) -> dict[str, float]:
        """All measurements, with these transition rates by variable path."""
        values = {
            "zero_share": metrics.weight_zero_share(self.model),
            "transition_rate": (
                float(np.mean(list(rates.values()))) if rates else 0.0
            ),
        }
        if self.per_layer:
            for path, share in metrics.weight_zero_shares(self.model).items():
                values[f"zero_share/{path}"] = share
                # A frozen tensor is unknown to the optimizer and stays.
                values[f"transition_rate/{path}"] = rates.get(path, 0.0)
        if self.samples is not None:
            gates = metrics.gate_counts(self.model, self.samples)
            values["gate_open_rate"] = sum(gates.values(), Gates()).open_rate
            if self.per_layer:
                for name, counts in gates.items():
                    values[f"gate_open_rate/{name}"] = counts.open_rate
                shares = metrics.activation_zero_shares(
                    self.model, self.samples
                )
                for name, share in shares.items():
                    values[f"activation_zero_share/{name}"] = share
        return values

    def _record(
        self,
        kind: str,
        step: int,
        values: dict[str, float],
        logs: dict[str, Any] | None,
    ) -> None:
        if logs is not None:
            logs.update(values)
        if self._file is None:
            self._open_file(values)
        if self._file is not None:
            self._file.write({"epoch": self._epoch + 1, "step": step} | values)
        if kind in self._writers:
            events = self._writers[kind]
            with events.as_default(step=step):
                for name, value in values.items():
                    # `tf.summary.scalar` needs TensorBoard installed.
                    tf.summary.write(name, np.float32(value), metadata=_SCALAR)
            events.flush()

    def _open_file(self, values: dict[str, float]) -> None:
        """Opens the file, if one is wanted, for rows of such measurements."""
        if self.csv_path is not None:
            self._file = MonitorFile(
                self.csv_path, ["epoch", "step", *values], self.append
            )
