# SPDX-License-Identifier: Apache-2.0
"""Every state with every moment that can wait beside it, in one byte."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf import DiscreteSpace
from gxnor_tf.shared_byte import MAX_N, SharedByte

SPACES = [DiscreteSpace(n, 0.5 if n == 2 else 1.0) for n in range(MAX_N + 1)]


def pairs(shared):
    """All states and codes, and whether the code points out of the space."""
    levels = range(-shared.levels, shared.levels + 1)
    found = np.array(list(itertools.product(shared.space.states, levels)))
    states, codes = found.astype(np.float32).T
    outward = states * codes > 0
    return states, codes, outward & (abs(states) == shared.space.max_state)


@pytest.mark.parametrize("space", SPACES)
def test_every_pair_has_a_byte_of_its_own(space):
    shared = SharedByte(space)
    states, codes, outward = pairs(shared)
    both = shared.join(states, codes)
    assert both.dtype == tf.int8
    assert (shared.states(both).numpy() == states).all()
    kept = np.where(outward, 0, codes)
    assert (shared.codes(both).numpy() == kept).all()
    assert len(np.unique(both.numpy()[~outward])) == (~outward).sum()


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_every_byte_has_a_state_and_a_moment(space, jit_compile):
    """Those that nothing is joined to, too: a damaged file, for one."""
    shared = SharedByte(space)
    both = tf.range(-128, 128)

    @tf.function(jit_compile=jit_compile)
    def split(both):
        both = tf.cast(both, tf.int8)
        return shared.states(both), shared.codes(both)

    states, codes = split(both)
    used = shared.join(*pairs(shared)[:2]).numpy()
    inside = np.isin(both, used)
    assert space.contains(states.numpy()[inside])
    again = shared.join(states, codes).numpy()
    assert (again[inside] == both.numpy()[inside]).all()
    # Of 256, all but what makes the steps of a space alike.
    assert inside.sum() == {0: 256, 1: 255, 2: 253, 3: 249, 4: 241}[space.n]


@pytest.mark.parametrize(
    ("n", "bits", "levels"), [(0, 8, 127), (1, 7, 63), (2, 6, 31), (4, 4, 7)]
)
def test_what_a_state_leaves(n, bits, levels):
    shared = SharedByte(DiscreteSpace(n))
    assert (shared.bits, shared.levels) == (bits, levels)


def test_too_many_states():
    with pytest.raises(ValueError, match="fewer than 4 bits.*n=5"):
        SharedByte(DiscreteSpace(5))
