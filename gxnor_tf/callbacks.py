# SPDX-License-Identifier: Apache-2.0
"""Keras callbacks that watch discrete training."""

from typing import Any

import keras
import numpy as np

from gxnor_tf.metrics import weight_zero_share
from gxnor_tf.optimizers import DiscreteStateTransition


class TransitionMonitor(keras.callbacks.Callback):
    """Adds `zero_share` and `transition_rate` to the logs of every epoch.

    `zero_share` is the share of zero states among all discrete weights at the
    end of the epoch, `transition_rate` the mean share of weights that moved
    in a step, averaged over the weight tensors. Put it before callbacks that
    read the logs, such as `CSVLogger`.

    Raises:
        ValueError: At the start of training, if the model is not compiled
            with a `DiscreteStateTransition`.
    """

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

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks the optimizer."""
        self._optimizer()

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Starts counting."""
        self._optimizer().reset_transition_rates()

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Adds the measurements to the logs."""
        if logs is not None:
            rates = list(self._optimizer().transition_rates().values())
            logs["zero_share"] = weight_zero_share(self.model)
            logs["transition_rate"] = float(np.mean(rates)) if rates else 0.0
