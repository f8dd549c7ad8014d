# SPDX-License-Identifier: Apache-2.0
"""Random bits that depend on a key and a position only.

So a run can be repeated and resumed, and every replica draws the same. They
come from an integer hash of the position, since a compiler fuses that into
the loop that uses it: nothing is written to memory. TensorFlow's own
stateless generators cannot be fused, and under XLA on CPUs cost more than the
whole transition.

The hash is two rounds of a mixer of 32-bit integers with low bias, found by
Chris Wellons (https://github.com/skeeto/hash-prospector, public domain). It
is no cryptography. All arithmetic is modulo 2^32: eager mode, graphs and XLA
give the same bits.
"""

import math

import tensorflow as tf


def _word(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint32)


def _mix(x: tf.Tensor) -> tf.Tensor:
    """A bijection of uint32 in which every bit depends on every other."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _word(shift)))
        x *= _word(factor)
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _word(16)))


def make_key(
    seed: int | tf.Tensor, stream: int | tf.Tensor, iteration: int | tf.Tensor
) -> tf.Tensor:
    """A key for the draws of one step.

    Args:
        seed: Seed of the run, an integer scalar >= 0.
        stream: Number of what is drawn for, such as a variable, likewise.
        iteration: The training step, likewise.

    Returns:
        uint32 tensor of two words.
    """
    parts = []
    for number in (seed, stream, iteration):
        number = tf.cast(number, tf.int64)
        parts.append(tf.cast(number & 0xFFFFFFFF, tf.uint32))
        upper = tf.bitwise.right_shift(number, tf.constant(32, tf.int64))
        parts.append(tf.cast(upper, tf.uint32))
    words = []
    for word in (_word(0x9E3779B9), _word(0x85EBCA6B)):
        for part in parts:
            word = _mix(tf.bitwise.bitwise_xor(word, part))
        words.append(word)
    return tf.stack(words)


def random_bits(shape: tf.TensorShape, key: tf.Tensor, draw: int) -> tf.Tensor:
    """32 random bits for each element.

    Args:
        shape: Static shape. Beyond 2^32 elements they repeat.
        key: What `make_key()` gave.
        draw: Number of this draw among those with the same key.

    Returns:
        uint32 tensor.

    >>> key = make_key(seed=0, stream=0, iteration=1)
    >>> random_bits((2, 3), key, draw=0).shape
    TensorShape([2, 3])
    """
    # Both words differ between draws: with the first alone, one would be the
    # other one shifted.
    number = _word(draw * 0x9E3779B9 & 0xFFFFFFFF)
    first, second = (
        _mix(key[0] + number),
        _mix(tf.bitwise.bitwise_xor(key[1], number)),
    )
    size = math.prod(shape)
    position = tf.range(size, dtype=tf.int32 if size < 2**31 else tf.int64)
    bits = _mix(tf.cast(position, tf.uint32) + first)
    return tf.reshape(_mix(bits + second), shape)


def uniform(bits: tf.Tensor) -> tf.Tensor:
    """The upper 24 bits as float32 in [0, 1), exactly."""
    upper = tf.bitwise.right_shift(bits, _word(8))
    # By way of int32, which CPUs convert to float in one instruction.
    return tf.cast(tf.cast(upper, tf.int32), tf.float32) * 2.0**-24
