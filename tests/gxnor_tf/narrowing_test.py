# SPDX-License-Identifier: Apache-2.0
"""The cast to int8, for every number that there is."""

import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf.narrowing import to_int8


@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_every_byte_arrives(jit_compile):
    cast = to_int8
    if jit_compile is not None:
        cast = tf.function(to_int8, jit_compile=jit_compile)
    numbers = np.arange(-128, 128)
    found = cast(tf.constant(numbers, tf.float32))
    assert found.dtype == tf.int8
    assert found.numpy().tolist() == numbers.tolist()
    assert cast(tf.constant(-0.0)).numpy() == 0
