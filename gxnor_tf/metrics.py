# SPDX-License-Identifier: Apache-2.0
"""Measured zero shares: how often a gate of the network rests.

A gated-XNOR product counts only where weight and activation are non-zero; the
share of zeros is the resting probability of Deng et al., 2018, section 3.4,
measured instead of derived.
"""

import keras
import numpy as np
import numpy.typing as npt

from gxnor_tf.discrete_variable import DiscreteVariable
from gxnor_tf.layers.activation import DiscreteActivation
from gxnor_tf.probe import probe


def weight_zero_shares(model: keras.Model) -> dict[str, float]:
    """Share of zero states of every discrete weight tensor, by path.

    Args:
        model: A built Keras model.

    Returns:
        `{variable path: share in [0, 1]}`, empty without discrete weights.
    """
    return {
        variable.path: float(np.mean(variable.numpy() == 0))
        for variable in model.variables
        if isinstance(variable, DiscreteVariable)
    }


def weight_zero_share(model: keras.Model) -> float:
    """Share of zero states among all discrete weights, NaN if there are none.

    Args:
        model: A built Keras model.
    """
    states = [
        variable.numpy().ravel()
        for variable in model.variables
        if isinstance(variable, DiscreteVariable)
    ]
    return float(np.mean(np.concatenate(states) == 0)) if states else np.nan


def activation_zero_shares(
    model: keras.Model, x: npt.ArrayLike, batch_size: int = 256
) -> dict[str, float]:
    """Share of zeros in the output of every `DiscreteActivation`.

    Args:
        model: A functional or Sequential model.
        x: Inputs, `(samples, ...)`.
        batch_size: Samples per step.

    Returns:
        `{layer name: share in [0, 1]}`, empty without such layers.

    Raises:
        ValueError: If `x` is empty.
    """
    x = np.asarray(x)
    if len(x) == 0:
        raise ValueError("`x` must hold at least one sample. Received: none.")
    names = [
        layer.name
        for layer in model.layers
        if isinstance(layer, DiscreteActivation)
    ]
    if not names:
        return {}
    evaluate = probe(model, names)
    zeros = dict.fromkeys(names, 0.0)
    for start in range(0, len(x), batch_size):
        batch = x[start : start + batch_size]
        for name, y in evaluate(batch).items():
            zeros[name] += float(np.mean(y.numpy() == 0)) * len(batch)
    return {name: total / len(x) for name, total in zeros.items()}
