# SPDX-License-Identifier: Apache-2.0
"""What the replicas of a model measure by themselves, made equal."""

import keras
import numpy as np


def measured(model: keras.Model) -> list[keras.Variable]:
    """Variables that each replica updates by what it sees of a batch.

    Moving averages of BatchNormalization are; trained variables and the
    optimizer's are equal on all replicas anyway.
    """
    return [
        v
        for v in model.weights
        if not v.trainable and v.dtype.startswith(("float", "bfloat"))
    ]


class AverageMeasured(keras.callbacks.Callback):
    """Averages `measured()` over the local replicas before each validation.

    Keras leaves a replica its own values and saves those of the first one; a
    run that is continued from them would not validate as one that never
    stopped.
    """

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Gives all replicas the mean."""
        strategy = self.model.distribute_strategy
        for variable in measured(self.model):
            values = [
                value.numpy()
                for value in strategy.experimental_local_results(variable.value)
            ]
            if len(values) > 1:
                variable.assign(np.mean(values, axis=0))
