# SPDX-License-Identifier: Apache-2.0
"""Reductions of whole tensors that XLA makes fast on a CPU.

A floating-point sum depends on the order of its numbers, and XLA, which keeps
to one, adds a number at a time. Sixteen sums side by side are one vector
instruction, and closer to the exact sum.
"""

import functools
import math
from collections.abc import Callable

import tensorflow as tf

# Partial results, and the number of elements from which on they pay.
_PARTS = 16
_MANY = 4096

_Map = Callable[[tf.Tensor], tf.Tensor]


def total(x: tf.Tensor, of: _Map = tf.identity) -> tf.Tensor:
    """The sum over all elements; 0 if there are none.

    Args:
        x: Tensor of a static shape.
        of: What is summed, by element.

    Returns:
        A scalar.

    >>> float(total(tf.constant([[1.0, 2.0], [3.0, 4.0]]), of=tf.square))
    30.0
    """
    return _reduced(x, of, tf.add, tf.reduce_sum)


def largest(x: tf.Tensor, of: _Map = tf.identity) -> tf.Tensor:
    """The largest over all elements; the least of the dtype if there are none.

    Args:
        x: Tensor of a static shape.
        of: What is compared, by element.

    Returns:
        A scalar.

    >>> float(largest(tf.constant([[1.0, -3.0], [2.0, 0.0]]), of=tf.abs))
    3.0
    """
    return _reduced(x, of, tf.maximum, tf.reduce_max)


def _reduced(
    x: tf.Tensor,
    of: _Map,
    join: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    reduce: _Map,
) -> tf.Tensor:
    size = math.prod(x.shape)
    if size < _MANY:
        return reduce(of(x))
    x = tf.reshape(x, [-1])
    even = size - size % _PARTS
    # Mapped part by part: so all is one loop, where XLA would otherwise write
    # down what has several uses.
    parts = tf.unstack(tf.reshape(x[:even], [_PARTS, -1]))
    result = reduce(functools.reduce(join, map(of, parts)))
    return result if even == size else join(result, reduce(of(x[even:])))
