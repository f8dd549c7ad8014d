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


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_several_tensors_are_mapped_together(shape):
    rng = np.random.default_rng(2)
    x, y = rng.integers(-1, 2, shape), rng.integers(-1, 2, shape)
    different = reductions.total(
        tf.constant(x, tf.int8),
        tf.constant(y, tf.int8),
        of=lambda x, y: tf.cast(x != y, tf.int32),
    )
    assert different == np.sum(x != y)
