# SPDX-License-Identifier: Apache-2.0
"""Reductions of whole tensors that XLA makes fast on a CPU.

A reduction of floats is one long chain of operations there, since their order
matters. A sixteenth of it is left here: slices of the tensor are joined first,
element by element, which vector instructions do, in one loop with what is to be
reduced. Counts are joined likewise, as long as they fit into bytes.
"""

import functools
import math
from collections.abc import Callable

import tensorflow as tf

# Slices, and the number of elements from which on they pay.
_PARTS = 16
_MANY = 4096

# Elements of a short slice.
_SHORT = 256

_Map = Callable[[tf.Tensor], tf.Tensor]


def total(x: tf.Tensor, of: _Map = tf.identity) -> tf.Tensor:
    """The sum over all elements; 0 if there are none.

    Args:
        x: Tensor of a static shape.
        of: What is summed: maps an element to a number.

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
        of: What is compared: maps an element to a number.

    Returns:
        A scalar.

    >>> float(largest(tf.constant([[1.0, -3.0], [2.0, 0.0]]), of=tf.abs))
    3.0
    """
    return _reduced(x, of, tf.maximum, tf.reduce_max)


def count_different(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """How many elements of two tensors differ.

    The slices are short here: those of bytes that are a sixteenth of a large
    tensor apart would drive each other out of the processor's cache.

    Args:
        x: Tensor of a static shape.
        y: Another one of it.

    Returns:
        An int32 scalar.

    >>> int(count_different(tf.constant([1, 0, -1]), tf.constant([1, 1, 0])))
    2
    """
    x, y = tf.reshape(x, [-1]), tf.reshape(y, [-1])
    size = x.shape[0]
    even = size - size % (_PARTS * _SHORT)
    result = tf.reduce_sum(tf.cast(x[even:] != y[even:], tf.int32))
    if even == 0:
        return result
    slices = (
        tf.unstack(tf.reshape(z[:even], [-1, _PARTS, _SHORT]), axis=1)
        for z in (x, y)
    )
    different = (tf.cast(a != b, tf.int8) for a, b in zip(*slices, strict=True))
    counts = functools.reduce(tf.add, different)  # At most _PARTS.
    return result + tf.reduce_sum(tf.cast(counts, tf.int32))


def _reduced(
    x: tf.Tensor,
    of: _Map,
    join: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    reduce: Callable[[tf.Tensor], tf.Tensor],
) -> tf.Tensor:
    size = math.prod(x.shape)
    if size < _MANY:
        return reduce(of(x))
    flat = tf.reshape(x, [-1])
    even = size - size % _PARTS
    # Mapped slice by slice: XLA would write down what has sixteen uses.
    parts = tf.unstack(tf.reshape(flat[:even], [_PARTS, -1]))
    result = reduce(functools.reduce(join, map(of, parts)))
    if even == size:
        return result
    return join(result, reduce(of(flat[even:])))
