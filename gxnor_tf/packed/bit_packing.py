# SPDX-License-Identifier: Apache-2.0
"""States of a discrete space in as few bits as they need.

This is a storage form, dense and in the order of the array. The form that
kernels compute with is another one, see the export's file format.
"""

import numpy as np
import numpy.typing as npt

from gxnor_tf.discrete_space import DiscreteSpace


def bits_per_state(space: DiscreteSpace) -> int:
    """Bits that tell the states of a space apart.

    1 for binary, 2 for ternary, `n + 1` for n >= 2.

    Args:
        space: The space.

    Example:

    >>> [bits_per_state(DiscreteSpace(n)) for n in range(4)]
    [1, 2, 3, 4]
    """
    return (space.num_states - 1).bit_length()


def packed_size(count: int, space: DiscreteSpace) -> int:
    """Bytes that `pack_states` needs for a number of states.

    Args:
        count: Number of states, >= 0.
        space: Their space.
    """
    return -(-count * bits_per_state(space) // 8)


def pack_states(states: npt.NDArray[np.int8], space: DiscreteSpace) -> bytes:
    """Packs states, the first one in the lowest bits of the first byte.

    A state is stored as its position among the states in ascending order,
    lowest bit first. The unused bits of the last byte are 0.

    Args:
        states: int8 array of any shape, taken in row-major order.
        space: Their space.

    Returns:
        `packed_size(states.size, space)` bytes.

    Raises:
        ValueError: If a state lies outside of the space.

    Example:

    >>> pack_states(np.array([1, 0, -1, 1], np.int8), DiscreteSpace(1)).hex()
    '86'
    """
    states = np.asarray(states)
    if not space.contains(states):
        raise ValueError(
            f"`states` must be states of {space}. Received: values from "
            f"{states.min()} to {states.max()}"
        )
    positions = (states.astype(np.int16).ravel() + space.max_state) // (
        space.state_stride
    )
    shifts = np.arange(bits_per_state(space), dtype=np.uint8)
    bits = positions.astype(np.uint8)[:, None] >> shifts & 1
    return np.packbits(bits.ravel(), bitorder="little").tobytes()


def unpack_states(
    data: bytes, count: int, space: DiscreteSpace
) -> npt.NDArray[np.int8]:
    """Unpacks what `pack_states` packed.

    Args:
        data: `packed_size(count, space)` bytes.
        count: Number of states, >= 0.
        space: Their space.

    Returns:
        int8 array `(count,)`.

    Raises:
        ValueError: If the number of bytes is wrong, or the bytes hold
            something else than states of the space.

    Example:

    >>> unpack_states(bytes.fromhex("86"), 4, DiscreteSpace(1)).tolist()
    [1, 0, -1, 1]
    """
    if len(data) != packed_size(count, space):
        raise ValueError(
            f"{count} states of {space} take {packed_size(count, space)} "
            f"bytes. Received: {len(data)} bytes"
        )
    width = bits_per_state(space)
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    if bits[count * width :].any():
        raise ValueError(
            "The unused bits of the last byte must be 0. Received: "
            f"last byte {data[-1]:#04x}"
        )
    positions = np.packbits(
        bits[: count * width].reshape(count, width), axis=1, bitorder="little"
    ).ravel()
    if np.any(positions >= space.num_states):
        raise ValueError(
            f"{space} has {space.num_states} states. Received: state number "
            f"{positions.max()}"
        )
    states = positions.astype(np.int16) * space.state_stride - space.max_state
    return states.astype(np.int8)
