# SPDX-License-Identifier: Apache-2.0
"""Reductions of whole tensors that XLA makes fast on a CPU.

A reduction of floats is one long chain of operations there, since their order
matters. A sixteenth of it is left here: slices of the tensor are joined first,
element by element, which vector instructions do, in one loop with what is to be
reduced.
"""

import functools
import math
from collections.abc import Callable, Sequence

import tensorflow as tf

# Slices, and the number of elements from which on they pay.
_PARTS = 16
_MANY = 4096

_Map = Callable[..., tf.Tensor]


def total(*tensors: tf.Tensor, of: _Map = tf.identity) -> tf.Tensor:
    """The sum over all elements; 0 if there are none.

    Args:
        *tensors: Tensors of one static shape.
        of: What is summed: maps an element of each to a number.

    Returns:
        A scalar.

    >>> float(total(tf.constant([[1.0, 2.0], [3.0, 4.0]]), of=tf.square))
    30.0
    """
    return _reduced(tensors, of, tf.add, tf.reduce_sum)


def largest(*tensors: tf.Tensor, of: _Map = tf.identity) -> tf.Tensor:
    """The largest over all elements; the least of the dtype if there are none.

    Args:
        *tensors: Tensors of one static shape.
        of: What is compared: maps an element of each to a number.

    Returns:
        A scalar.

    >>> float(largest(tf.constant([[1.0, -3.0], [2.0, 0.0]]), of=tf.abs))
    3.0
    """
    return _reduced(tensors, of, tf.maximum, tf.reduce_max)


def _reduced(
    tensors: Sequence[tf.Tensor],
    of: _Map,
    join: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    reduce: Callable[[tf.Tensor], tf.Tensor],
) -> tf.Tensor:
    size = math.prod(tensors[0].shape)
    if size < _MANY:
        return reduce(of(*tensors))
    flat = [tf.reshape(x, [-1]) for x in tensors]
    even = size - size % _PARTS
    # Mapped slice by slice: XLA would write down what has sixteen uses.
    parts = [tf.unstack(tf.reshape(x[:even], [_PARTS, -1])) for x in flat]
    result = reduce(functools.reduce(join, map(of, *parts)))
    if even == size:
        return result
    return join(result, reduce(of(*(x[even:] for x in flat))))
