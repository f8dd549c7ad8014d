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


def test_sums_lose_less_than_one_after_the_other():
    x = np.random.default_rng(2).random(1_000_000, np.float32)
    compiled = tf.function(reductions.total, jit_compile=True)
    exact = np.sum(x, dtype=np.float64)
    in_order = np.cumsum(x)[-1]
    error = abs(float(compiled(tf.constant(x))) - exact)
    assert error < abs(in_order - exact)
    assert error < 1e-6 * exact
