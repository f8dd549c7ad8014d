# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gxnor_tf import DiscreteSpace
from gxnor_tf.packed.bit_packing import (
    bits_per_state,
    pack_states,
    packed_size,
    unpack_states,
)

spaces = st.builds(DiscreteSpace, st.integers(0, 7))


@given(spaces, st.data())
def test_round_trip(space, data):
    states = np.array(
        data.draw(st.lists(st.sampled_from(space.states.tolist()))), np.int8
    )
    packed = pack_states(states, space)
    assert len(packed) == packed_size(len(states), space)
    np.testing.assert_array_equal(
        unpack_states(packed, len(states), space), states
    )


@given(spaces, st.integers(0, 40), st.data())
def test_bytes_are_states_or_refused(space, count, data):
    size = packed_size(count, space)
    raw = data.draw(st.binary(min_size=size, max_size=size))
    try:
        states = unpack_states(raw, count, space)
    except ValueError:
        return
    assert states.shape == (count,) and space.contains(states)
    assert pack_states(states, space) == raw


@pytest.mark.parametrize(
    ("n", "bits"), list(enumerate([1, 2, 3, 4, 5, 6, 7, 8]))
)
def test_bits(n, bits):
    assert bits_per_state(DiscreteSpace(n)) == bits
    assert packed_size(9, DiscreteSpace(n)) == -(-9 * bits // 8)


def test_layout():
    """First state in the lowest bits."""
    assert pack_states(np.array([1, -1, -1]), DiscreteSpace(0)) == b"\x01"
    assert pack_states(np.array([[-1, 0], [1, 0]]), DiscreteSpace(1)) == bytes(
        [0b01_10_01_00]
    )
    assert pack_states(np.array([2, -2, 1]), DiscreteSpace(2)) == bytes(
        [0b11_000_100, 0b0]
    )


@pytest.mark.parametrize(
    ("data", "count", "n", "text"),
    [
        (b"\x03", 1, 1, "state number 3"),
        (b"\x00\x00", 4, 1, "4 states .* take 1 bytes. Received: 2 bytes"),
        (b"", 1, 0, "Received: 0 bytes"),
        (b"\x02", 1, 0, "last byte 0x02"),
    ],
)
def test_wrong_bytes(data, count, n, text):
    with pytest.raises(ValueError, match=text):
        unpack_states(data, count, DiscreteSpace(n))


def test_state_outside_of_the_space():
    with pytest.raises(ValueError, match="from 0 to 2"):
        pack_states(np.array([0, 2], np.int8), DiscreteSpace(1))
    with pytest.raises(ValueError, match="from -1 to 0"):
        pack_states(np.array([0, -1], np.int8), DiscreteSpace(0))
