# SPDX-License-Identifier: Apache-2.0
"""A random jump from the best weights when training is stuck."""

import math
import warnings
from typing import Any

import keras
import numpy as np

from gxnor_tf._arguments import integer
from gxnor_tf.discrete_variable import DiscreteVariable


class RandomJump(keras.callbacks.Callback):
    """Jumps to random states near the best weights when nothing improves.

    After `patience` epochs in which the monitored metric did not improve, all
    weights go back to those of the best epoch, of which a copy is kept, and
    then each trainable discrete weight, independently and with a small
    probability, to a random state of its space. Training goes on from there,
    and the count starts anew. The best epoch stays the one to beat. Epochs
    without the metric, as with `validation_freq=2`, do not count.

    Nothing but the values of variables changes, so compiled training steps
    need not be traced again. What jumps depends on `seed`, the number of jumps
    before and the variable only. The optimizer's moments stay as they are.

    The weights at the end of training are those of the last epoch. Keep the
    best ones with `keras.callbacks.ModelCheckpoint(save_best_only=True)`. The
    copy and the count live as long as the training; they are not part of a
    saved model.

    Args:
        probability: Probability of a weight to get a random state, in (0, 1].
            The state may be the one that it has.
        monitor: Name of the metric in the logs.
        mode: `"min"` if lower is better, `"max"` if higher is. `"auto"` knows
            it of names that end in `loss` or `error` (`"min"`) and `acc` or
            `accuracy` (`"max"`).
        patience: Epochs without an improvement before a jump, >= 1.
        min_delta: Least change that counts as an improvement, >= 0.
        seed: Seed of the jumps, an integer >= 0.

    Attributes:
        jumps: Number of jumps so far.
        best: Best value of the metric; None before the first.

    Raises:
        ValueError: If an argument is out of range, or `mode` must be given.

    Warns:
        UserWarning: Once, if the metric was in none of `patience` epochs, or
            in none of the training.

    Example:

    >>> from gxnor_tf import DiscreteDense, DiscreteStateTransition
    >>> model = keras.Sequential([keras.Input((4,)), DiscreteDense(2)])
    >>> model.compile(DiscreteStateTransition(0.0), loss="mse")
    >>> jump = RandomJump(0.5, monitor="loss", patience=2)
    >>> _ = model.fit(np.ones((8, 4)), np.ones((8, 2)), epochs=4, verbose=0,
    ...               callbacks=[jump])
    >>> jump.jumps
    1

    References:

    - [Deng et al., 2018](https://arxiv.org/abs/1705.09283). Their released
      code has such a jump that never runs; this is what it seems to intend.
    """

    def __init__(
        self,
        probability: float = 0.01,
        monitor: str = "val_loss",
        mode: str = "auto",
        patience: int = 10,
        min_delta: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 < probability <= 1:
            raise ValueError(
                "`probability` must be in (0, 1]. "
                f"Received: probability={probability}"
            )
        if not isinstance(monitor, str) or not monitor:
            raise ValueError(
                "`monitor` must be the name of a metric, such as 'val_loss'. "
                f"Received: monitor={monitor!r}"
            )
        if mode not in ("auto", "min", "max"):
            raise ValueError(
                "`mode` must be one of 'auto', 'min', 'max'. "
                f"Received: mode={mode!r}"
            )
        if not (math.isfinite(min_delta) and min_delta >= 0):
            raise ValueError(
                "`min_delta` must be a finite number >= 0. "
                f"Received: min_delta={min_delta}"
            )
        if mode == "auto":
            if monitor.endswith(("acc", "accuracy")):
                mode = "max"
            elif monitor.endswith(("loss", "error")):
                mode = "min"
            else:
                raise ValueError(
                    "`mode` must be 'min' or 'max' for a metric whose better "
                    "direction its name does not tell. Received: "
                    f"mode='auto', monitor={monitor!r}"
                )
        self._sign = 1.0 if mode == "max" else -1.0
        self._probability = probability
        self._monitor = monitor
        self._patience = integer(patience, "patience")
        self._min_delta = min_delta
        self._seed = integer(seed, "seed", least=0)
        self._start()

    def _start(self) -> None:
        self.jumps = 0
        self.best: float | None = None
        self._best_weights: list[np.ndarray[Any, Any]] = []
        self._waited = 0
        self._seen = False
        self._epochs_without = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Forgets an earlier training."""
        self._start()

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Keeps the best weights, or jumps."""
        logs = logs or {}
        if self._monitor not in logs:
            # There may be one in a later epoch.
            self._epochs_without += 1
            if self._epochs_without == self._patience:
                self._warn_if_never_seen(logs)
            return
        self._seen = True
        value = float(logs[self._monitor])
        if self._improves(value):
            self.best = value
            # Copies: `get_weights()` may share memory with the variables.
            self._best_weights = [w.copy() for w in self.model.get_weights()]
            self._waited = 0
            return
        self._waited += 1
        if self._waited >= self._patience and self._best_weights:
            self.model.set_weights(self._best_weights)
            self._jump()
            self._waited = 0

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Tells if there was nothing to watch."""
        if 0 < self._epochs_without < self._patience:
            self._warn_if_never_seen(logs or {})

    def _warn_if_never_seen(self, logs: dict[str, Any]) -> None:
        if not self._seen:
            warnings.warn(
                f"RandomJump does nothing: its `monitor` was in none of "
                f"{self._epochs_without} epochs. The metrics are "
                f"{', '.join(sorted(logs))}. Received: "
                f"monitor={self._monitor!r}",
                stacklevel=3,
            )

    def _improves(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if self.best is None:
            return True
        return self._sign * (value - self.best) > self._min_delta

    def _jump(self) -> None:
        for index, variable in enumerate(self.model.trainable_variables):
            if not isinstance(variable, DiscreteVariable):
                continue
            rng = np.random.default_rng([self._seed, self.jumps, index])
            states = variable.numpy()
            jumping = rng.random(states.shape) < self._probability
            anywhere = rng.choice(variable.space.states, states.shape)
            variable.assign(np.where(jumping, anywhere, states))
        self.jumps += 1
