# SPDX-License-Identifier: Apache-2.0
"""Reductions, beside those of NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf import reductions

# Few elements, a multiple of the parts, and with a rest.
SHAPES = [(), (0,), (7, 3), (64, 64), (5, 1000), (4097,)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_whole_numbers_are_added_exactly(shape, jit_compile):
    x = np.random.default_rng(0).integers(-9, 10, shape)
    squares = tf.function(
        lambda x: reductions.total(x, of=tf.square), jit_compile=jit_compile
    )
    assert squares(tf.constant(x, tf.float32)) == np.sum(x**2)
    assert squares(tf.constant(x, tf.int32)) == np.sum(x**2)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_largest_is_found_wherever_it_is(shape):
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    expected = np.max(np.abs(x), initial=-np.inf)
    assert reductions.largest(tf.constant(x), of=tf.abs) == expected
    for place in (0, -1) if x.size else ():
        changed = x.copy()
        changed.flat[place] = 9
        assert reductions.largest(tf.constant(changed)) == 9


BLOCK = reductions._PARTS * reductions._SHORT


@pytest.mark.parametrize(
    "shape", [*SHAPES, (BLOCK,), (2 * BLOCK + 3,)], ids=str
)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_different_elements_are_counted(shape, jit_compile):
    rng = np.random.default_rng(2)
    x, y = (rng.integers(-1, 2, shape).astype(np.int8) for _ in range(2))
    count = tf.function(reductions.count_different, jit_compile=jit_compile)
    assert count(tf.constant(x), tf.constant(y)) == np.sum(x != y)
    assert reductions._PARTS < 128  # That of a slice fits into int8.
    assert count(tf.constant(x), tf.constant(x + np.int8(1))) == x.size
    assert count(tf.constant(x), tf.constant(x)) == 0
