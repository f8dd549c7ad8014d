# SPDX-License-Identifier: Apache-2.0
"""The few names of Keras that are not public, each with its reason."""

from typing import Any

import keras


def variable_index(optimizer: keras.optimizers.Optimizer, variable: Any) -> int:
    """Position of a variable in the list that the optimizer was built with.

    `update_step` receives the backend's variable, under a distribution
    strategy one of its replicas. Keras' own documentation of custom optimizers
    finds its state by `_get_variable_index`; there is no public name for it.
    """
    return int(optimizer._get_variable_index(variable))
