# SPDX-License-Identifier: Apache-2.0
"""Measured zero shares and gate-open rates: how often a network rests.

A gated-XNOR product counts only where weight and activation are non-zero.
Deng et al., 2018, section 3.4, derive the resting probability from uniform
states; here it is measured. Transition rates are counted by the optimizer,
see `DiscreteStateTransition.transition_rates`.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from gxnor_tf._arguments import integer
from gxnor_tf.analysis.gates import (
    Gates,
    has_discrete_kernel,
    products,
)
from gxnor_tf.analysis.inputs import as_inputs
from gxnor_tf.analysis.layer_calls import LayerCall, record_calls
from gxnor_tf.discrete_variable import DiscreteVariable
from gxnor_tf.layer_tree import (
    check_model,
    discrete_variables,
    named_layers,
)
from gxnor_tf.layers.activation import DiscreteActivation


def weight_zero_shares(model: keras.Model) -> dict[str, float]:
    """Share of zero states of every discrete weight tensor, by path.

    Args:
        model: A built Keras model.

    Returns:
        `{variable path: share in [0, 1]}`, empty without discrete weights. A
        path that occurs again, as it may in a class, has a number: `"path#2"`.
    """
    return {
        path: float(np.mean(variable.numpy() == 0))
        for path, variable in discrete_variables(model).items()
    }


def weight_zero_share(model: keras.Model) -> float:
    """Share of zero states among all discrete weights, NaN if there are none.

    Args:
        model: A built Keras model.
    """
    zeros = weights = 0
    for variable in discrete_variables(model).values():
        states = variable.numpy()
        zeros += states.size - int(np.count_nonzero(states))
        weights += states.size
    return zeros / weights if weights else np.nan


def activation_zero_shares(
    model: keras.Model, x: Any, batch_size: int = 256
) -> dict[str, float]:
    """Share of zeros in the output of every `DiscreteActivation`.

    Args:
        model: A built Keras model.
        x: Inputs, `(samples, ...)`; for several inputs a list or dict.
        batch_size: Samples per step, > 0.

    Returns:
        `{layer name: share in [0, 1]}`, empty without such layers. In a nested
        model the name is `"model/layer"`. All calls of a shared layer count.

    Raises:
        TypeError: If `model` is no Keras model, or `x` no array.
        ValueError: If `x` is empty, `batch_size` is no positive integer, or
            the model is not built.
    """
    counts: dict[str, tuple[int, int]] = {}
    for call in _calls(model, x, batch_size, DiscreteActivation):
        y = np.asarray(call.outputs)
        zeros, values = counts.get(call.name, (0, 0))
        counts[call.name] = (
            zeros + y.size - int(np.count_nonzero(y)),
            values + y.size,
        )
    return {name: zeros / values for name, (zeros, values) in counts.items()}


def gate_open_rates(
    model: keras.Model, x: Any, batch_size: int = 256
) -> dict[str, float]:
    """Share of products with two non-zero factors, for every discrete layer.

    For a layer that adds up products `w * x` of a weight and an input, it is
    the number of products where `w != 0` and `x != 0`, divided by the number
    of all. Both are exact counts over the given inputs. A product with a zero
    that padding adds is in neither. One minus the rate is the measured
    resting probability.

    Args:
        model: A built Keras model.
        x: Inputs, `(samples, ...)`; for several inputs a list or dict.
        batch_size: Samples per step, > 0.

    Returns:
        `{layer name: share in [0, 1]}`, empty without discrete weights. In a
        nested model or layer the name is `"model/layer"`. All calls of a
        shared layer count. A separable convolution has two entries,
        `"layer/kernel name"`. A warning names discrete variables that could
        not be counted: those that are no layer's kernel, or whose layer does
        not run, or in a `tf.function` of its own.

    Raises:
        TypeError: If `model` is no Keras model, or `x` no array.
        ValueError: If `x` is empty, `batch_size` is no positive integer, or
            the model is not built.

    Example:

    >>> from gxnor_tf import DiscreteDense
    >>> layer = DiscreteDense(1, name="dense")
    >>> model = keras.Sequential([keras.Input((4,)), layer])
    >>> layer.set_weights([np.array([[1], [0], [-1], [1]])])
    >>> gate_open_rates(model, np.array([[0.5, 0.5, 0.0, -0.5]]))
    {'dense': 0.5}

    References:

    - [Deng et al., 2018](https://arxiv.org/abs/1705.09283), section 3.4.
    """
    counts = gate_counts(model, x, batch_size)
    return {name: gates.open_rate for name, gates in counts.items()}


def gate_counts(
    model: keras.Model, x: Any, batch_size: int = 256
) -> dict[str, Gates]:
    """The counts behind `gate_open_rates`, with the same arguments.

    `sum(gate_counts(model, x).values(), Gates()).open_rate` is the rate of
    the whole model.

    Args:
        model: A built Keras model.
        x: Inputs, `(samples, ...)`; for several inputs a list or dict.
        batch_size: Samples per step, > 0.

    Returns:
        `{layer name: Gates}`.
    """
    counts: dict[str, Gates] = {}
    counted: set[int] = set()
    for call in _calls(model, x, batch_size, keras.layers.Layer):
        if not has_discrete_kernel(call.layer):
            continue
        found = products(call.layer, call.inputs)
        for product in found:
            counted.add(id(product.kernel))
            name = call.name
            if len(found) > 1:
                name += f"/{product.kernel_name}"
            counts[name] = counts.get(name, Gates()) + product.count()
    _warn_of_others(model, counted)
    return counts


def _warn_of_others(model: keras.Model, counted: set[int]) -> None:
    """Warns of discrete variables whose products were not seen."""
    others = [
        f"`{variable.path}`"
        for variable in model.variables
        if isinstance(variable, DiscreteVariable)
        and id(variable) not in counted
    ]
    if others:
        warnings.warn(
            f"The gates of {', '.join(others)} are not counted: each is no "
            "`kernel` of a layer, or its layer did not run outside of a graph.",
            stacklevel=3,
        )


def _calls(
    model: keras.Model, x: Any, batch_size: int, kind: Any
) -> Iterator[LayerCall]:
    """The calls of the layers of a kind, batch by batch."""
    check_model(model)
    batch_size = integer(batch_size, "batch_size")
    arrays, samples = as_inputs(model, x)
    if not any(isinstance(k, kind) for k in named_layers(model).values()):
        return
    for start in range(0, samples, batch_size):
        batch = keras.tree.map_structure(
            lambda array, start=start: array[start : start + batch_size],
            arrays,
        )
        for call in record_calls(model, batch):
            if isinstance(call.layer, kind):
                yield call
