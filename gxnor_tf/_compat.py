# SPDX-License-Identifier: Apache-2.0
"""The few things that no public name does, each with its reason."""

import inspect
from typing import Any

import keras


def variable_index(optimizer: keras.optimizers.Optimizer, variable: Any) -> int:
    """Position of a variable in the list that the optimizer was built with.

    `update_step` receives the backend's variable, under a distribution
    strategy one of its replicas. Keras' own documentation of custom optimizers
    finds its state by `_get_variable_index`; there is no public name for it.
    """
    return int(optimizer._get_variable_index(variable))


def asking_optimizer() -> keras.optimizers.Optimizer | None:
    """The optimizer from whose code this is called, if it is from one.

    A variable cannot learn by a public name which optimizer is about to
    change it: Keras reads its properties, and passes nothing. An ordinary
    optimizer must be told apart from a `LossScaleOptimizer` around the right
    one, which reads the same before that one starts, in threads and graphs of
    its own. The innermost method of an optimizer on the stack is the answer
    in all of these.
    """
    frame = inspect.currentframe()
    while frame is not None:
        asking = frame.f_locals.get("self")
        if isinstance(asking, keras.optimizers.Optimizer):
            return asking
        frame = frame.f_back
    return None
