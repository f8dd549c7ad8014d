# SPDX-License-Identifier: Apache-2.0
"""Elementwise functions as one kernel instead of one per operation."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from gxnor_tf import _compat


def fused(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """Compiles a function of tensors when it is part of a graph.

    Outside of XLA every TensorFlow operation is a pass over memory, which is
    what elementwise functions cost. XLA makes one loop of them, once for
    every shape. That pays in training, where the same graph runs many times;
    in eager mode, and where XLA compiles the whole graph anyway, the function
    is called as it is.

    Only for functions whose values do not depend on who computes them:
    comparisons, selections and single products, no sums of products.

    Args:
        function: Maps tensors to a tensor.

    Returns:
        A function like it.

    Example:

    >>> double = fused(lambda x: x + x)
    >>> tf.function(double)(tf.constant([1.0, 2.0])).numpy().tolist()
    [2.0, 4.0]
    """
    compiled = tf.function(function, jit_compile=True)

    def call(*tensors: tf.Tensor) -> Any:
        if tf.executing_eagerly() or _compat.inside_xla():
            return function(*tensors)
        return compiled(*tensors)

    return call
