# SPDX-License-Identifier: Apache-2.0
"""Random bits: uniform, independent, and the same in every mode."""

import math

import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf import random_bits

COUNT = 60_000


def draw(seed=0, stream=0, iteration=0, number=0, count=COUNT):
    key = random_bits.make_key(seed, stream, iteration)
    return random_bits.random_bits((count,), key, number).numpy()


def numbers(*args, **kwargs):
    bits = tf.constant(draw(*args, **kwargs))
    return random_bits.uniform(bits).numpy()


def mixed(x):
    """The mixer as its author publishes it, in Python's integers."""
    x ^= x >> 16
    x = x * 0x7FEB352D & 0xFFFFFFFF
    x ^= x >> 15
    x = x * 0x846CA68B & 0xFFFFFFFF
    return x ^ x >> 16


def test_agrees_with_a_reference_in_python_integers():
    words = []
    for word in (0x9E3779B9, 0x85EBCA6B):
        for part in (5, 1, 7, 0, 3, 2):  # lower words first
            word = mixed(word ^ part)
        words.append(word)
    number = 2 * 0x9E3779B9 & 0xFFFFFFFF
    first = mixed((words[0] + number) & 0xFFFFFFFF)
    second = mixed(words[1] ^ number)
    expected = [
        mixed((mixed((i + first) & 0xFFFFFFFF) + second) & 0xFFFFFFFF)
        for i in range(100)
    ]
    found = draw(2**32 + 5, 7, 2**33 + 3, number=2, count=100)
    assert found.tolist() == expected


def test_every_bit_is_set_half_of_the_time():
    bits = draw()
    deviation = 0.5 / math.sqrt(COUNT)
    for bit in range(32):
        share = np.mean(bits >> np.uint32(bit) & 1)
        assert abs(share - 0.5) < 4.5 * deviation, bit


def test_numbers_are_uniform_by_a_chi_squared_test():
    x = numbers()
    assert x.dtype == np.float32
    assert 0 <= x.min() and x.max() < 1
    assert (x * 2**24 == np.floor(x * 2**24)).all()
    counts, _ = np.histogram(x, 256, (0, 1))
    expected = COUNT / 256
    chi_squared = np.sum((counts - expected) ** 2 / expected)
    assert abs(chi_squared - 255) < 4 * math.sqrt(2 * 255)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"seed": 2**32},
        {"stream": 1},
        {"iteration": 1},
        {"iteration": 2},
        {"iteration": 2**32},
        {"number": 1},
    ],
)
def test_every_part_of_the_key_gives_independent_numbers(other):
    a, b = numbers(), numbers(**other)
    for shift in (-1, 0, 1):  # one place apart they are no copies, either
        correlation = np.corrcoef(a, np.roll(b, shift))[0, 1]
        assert abs(correlation) < 4.5 / math.sqrt(COUNT)


def test_draws_of_one_key_are_no_shifted_copies():
    """In a tensor so large that copies of part of it would be likely."""
    first, second = (np.unique(draw(number=n, count=2**22)) for n in (0, 1))
    shared = np.intersect1d(first, second, assume_unique=True).size
    # Of two independent sets of 2^22 out of 2^32 numbers.
    assert abs(shared - 2**12) < 5 * 2**6


def test_neighbours_are_independent():
    x = numbers()
    for distance in (1, 2, 512):
        correlation = np.corrcoef(x[:-distance], x[distance:])[0, 1]
        assert abs(correlation) < 4.5 / math.sqrt(COUNT)


def test_upper_and_lower_bits_are_independent():
    bits = draw()
    correlation = np.corrcoef(bits >> np.uint32(16), bits & np.uint32(0xFFFF))
    assert abs(correlation[0, 1]) < 4.5 / math.sqrt(COUNT)


def test_eager_graph_and_xla_agree():
    def step(iteration):
        key = random_bits.make_key(3, 4, iteration)
        return random_bits.uniform(random_bits.random_bits((30, 41), key, 1))

    iteration = tf.constant(12, tf.int64)
    eager = step(iteration).numpy()
    assert (eager == tf.function(step)(iteration).numpy()).all()
    xla = tf.function(step, jit_compile=True)(iteration)
    assert (eager == xla.numpy()).all()
