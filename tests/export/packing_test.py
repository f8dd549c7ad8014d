# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from export import packing

TERNARY = st.integers(-1, 1)


def states(shape: st.SearchStrategy[tuple[int, ...]]) -> st.SearchStrategy:
    return hnp.arrays(np.int8, shape, elements=TERNARY)


def shapes(rank: int, *, last: int = 70) -> st.SearchStrategy:
    return st.tuples(*[st.integers(1, 4)] * (rank - 1), st.integers(1, last))


@given(st.integers(1, 4).flatmap(lambda rank: states(shapes(rank))))
def test_activations_survive_the_round_trip(x: np.ndarray) -> None:
    words = packing.pack_activations(x)
    assert words.dtype == np.int32
    assert words.shape == (*x.shape[:-1], 2 * -(-x.shape[-1] // 32))
    np.testing.assert_array_equal(
        packing.unpack_activations(words, x.shape[-1]), x
    )


@given(states(shapes(2)))
def test_activation_bits_are_where_the_format_says(x: np.ndarray) -> None:
    words = packing.pack_activations(x).astype(np.uint32)
    for row, channel in np.ndindex(x.shape):
        group, bit = divmod(channel, 32)
        plus = words[row, 2 * group] >> bit & 1
        minus = words[row, 2 * group + 1] >> bit & 1
        assert int(plus) - int(minus) == x[row, channel]
        assert not plus & minus
    assert packing.pack_activations(x).shape == words.shape
    tail = np.ones((1, words.shape[-1] * 16), bool)
    tail[:, : x.shape[-1]] = False
    unused = packing.pack_activations(tail.astype(np.int8))[0, ::2]
    assert not np.any(words[:, ::2].view(np.int32) & unused)
    assert not np.any(words[:, 1::2].view(np.int32) & unused)


@given(
    states(
        st.tuples(
            st.integers(1, 70),
            st.integers(1, 3),
            st.integers(1, 3),
            st.integers(1, 40),
        )
    )
)
def test_weights_survive_the_round_trip(weights: np.ndarray) -> None:
    records = packing.pack_weights(weights)
    depth = weights[0].size
    assert records.dtype == np.int32
    assert records.shape == (-(-len(weights) // 32), depth + 1, 2)
    assert not np.any(records[..., 0] & records[..., 1])
    assert not np.any(records[:, -1])
    np.testing.assert_array_equal(
        packing.unpack_weights(records, *weights.shape), weights
    )


def test_weight_records_are_where_the_format_says() -> None:
    rng = np.random.default_rng(0)
    weights = rng.integers(-1, 2, (40, 2, 3, 5)).astype(np.int8)
    records = packing.pack_weights(weights).astype(np.uint32)
    for o, ky, kx, ci in np.ndindex(weights.shape):
        plus, zero = records[o // 32, (ky * 3 + kx) * 5 + ci] >> o % 32 & 1
        # w + 1 = 2 P + Z
        assert 2 * int(plus) + int(zero) - 1 == weights[o, ky, kx, ci]
    # The lanes without a channel hold weight 0.
    assert np.all(records[1, :-1, 0] >> 8 == 0)
    assert np.all(records[1, :-1, 1] >> 8 == 0xFFFFFF)


@st.composite
def thresholds(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    depth = draw(st.one_of(st.integers(1, 9), st.integers(1, 2**24 - 1)))
    pair = draw(
        hnp.arrays(
            np.int32,
            st.tuples(st.just(2), st.integers(1, 70)),
            elements=st.integers(-depth, depth + 1),
        )
    )
    return pair.max(0), pair.min(0), depth


@given(thresholds())
def test_thresholds_survive_the_round_trip(
    case: tuple[np.ndarray, np.ndarray, int],
) -> None:
    high, low, depth = case
    words = packing.pack_thresholds(high, low, depth)
    planes = packing.planes_for(depth)
    assert words.dtype == np.int32
    assert words.shape == (-(-high.size // 32), planes, 2)
    unpacked = packing.unpack_thresholds(words, high.size, depth)
    np.testing.assert_array_equal(unpacked, (high, low))


def test_threshold_bits_are_where_the_format_says() -> None:
    rng = np.random.default_rng(0)
    depth, planes = 100, 8
    low, high = np.sort(
        rng.integers(-depth, depth + 2, (2, 40)).astype(np.int32), 0
    )
    words = packing.pack_thresholds(high, low, depth).astype(np.uint32)
    for channel in range(64):
        bits = words[channel // 32] >> channel % 32 & 1
        offset = bits.astype(np.int64).T @ 2 ** np.arange(planes)
        expected = (
            (high[channel], low[channel])
            if channel < 40
            else (depth + 1, -depth)
        )
        np.testing.assert_array_equal(offset - 2 ** (planes - 1), expected)


@given(st.integers(1, packing.MAX_DEPTH))
def test_planes_are_just_enough(depth: int) -> None:
    planes = packing.planes_for(depth)
    assert 2 ** (planes - 1) - 1 >= depth + 1
    assert 2 ** (planes - 2) - 1 < depth + 1


def test_int8_thresholds_are_pairs() -> None:
    high = np.array([5, 2**31 - 1], np.int32)
    low = np.array([5, -(2**31)], np.int32)
    pairs = packing.pair_thresholds(high, low)
    assert pairs.dtype == np.int32
    np.testing.assert_array_equal(pairs, np.stack([high, low], 1))


X = np.zeros((2, 5), np.int8)
W = np.zeros((3, 1, 1, 4), np.int8)
T = np.zeros(3, np.int32)


def changed(array: np.ndarray, index: tuple[int, ...], bits: int) -> np.ndarray:
    array = array.copy()
    array[index] = np.array(bits, np.uint32).view(np.int32)
    return array


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: packing.groups_for(0), ValueError, "channels=0"),
        (lambda: packing.planes_for(0), ValueError, "depth=0"),
        (lambda: packing.planes_for(2**24), ValueError, "depth=16777216"),
        (
            lambda: packing.pack_activations(X.astype(np.int32)),
            TypeError,
            "Received: int32",
        ),
        (
            lambda: packing.pack_activations([0, 1]),
            TypeError,
            "Received: list",
        ),
        (
            lambda: packing.pack_activations(X + np.int8(2)),
            ValueError,
            r"only -1, 0 and \+1.*Received: \[2\]",
        ),
        (
            lambda: packing.pack_activations(np.array(0, np.int8)),
            ValueError,
            r"channel axis. Received: shape=\(\)",
        ),
        (
            lambda: packing.pack_activations(np.zeros((2, 0), np.int8)),
            ValueError,
            r"channel axis. Received: shape=\(2, 0\)",
        ),
        (
            lambda: packing.unpack_activations(X, 5),
            TypeError,
            "Received: int8",
        ),
        (
            lambda: packing.unpack_activations(np.zeros((1, 2), np.int32), 33),
            ValueError,
            r"\(\.\.\., 4\) for channels=33",
        ),
        (
            lambda: packing.unpack_activations(np.array([3, 6], np.int32), 5),
            ValueError,
            "Received 1 such channels",
        ),
        (
            lambda: packing.unpack_activations(np.array([0, 32], np.int32), 5),
            ValueError,
            "beyond channel 4 must be 0. Received 1 set bits",
        ),
        (lambda: packing.pack_weights(W[0]), ValueError, r"\(1, 1, 4\)"),
        (
            lambda: packing.pack_weights(W[:0]),
            ValueError,
            r"\(0, 1, 1, 4\)",
        ),
        (lambda: packing.pack_weights(W - np.int8(2)), ValueError, r"\[-2\]"),
        (
            lambda: packing.unpack_weights(packing.pack_weights(W), 3, 1, 1, 5),
            ValueError,
            r"shape \(1, 6, 2\).*Received: shape=\(1, 5, 2\)",
        ),
        (
            lambda: packing.unpack_weights(W, 3, 1, 1, 4),
            TypeError,
            "Received: int8",
        ),
        (
            lambda: packing.unpack_weights(
                changed(packing.pack_weights(W), (0, 1, 0), 1), 3, 1, 1, 4
            ),
            ValueError,
            "Received 1 records",
        ),
        (
            lambda: packing.unpack_weights(
                changed(packing.pack_weights(W), (0, 4, 1), 1), 3, 1, 1, 4
            ),
            ValueError,
            "null record",
        ),
        (
            lambda: packing.unpack_weights(
                changed(packing.pack_weights(W), (0, 1, 1), 7), 3, 1, 1, 4
            ),
            ValueError,
            "beyond output channel 2.*Received 29 other",
        ),
        (
            lambda: packing.pack_thresholds(T, T.astype(np.int64), 4),
            TypeError,
            "`low` must be a NumPy array of int32. Received: int64",
        ),
        (
            lambda: packing.pack_thresholds(T, T[:2], 4),
            ValueError,
            r"high.shape=\(3,\), low.shape=\(2,\)",
        ),
        (
            lambda: packing.pack_thresholds(T, T + np.int32(1), 4),
            ValueError,
            "channel 0: low=1, high=0",
        ),
        (
            lambda: packing.pack_thresholds(T + np.int32(6), T, 4),
            ValueError,
            r"here \[-4, 5\].*high=6 at channel 0",
        ),
        (
            lambda: packing.pack_thresholds(T, T - np.int32(5), 4),
            ValueError,
            "low=-5 at channel 0",
        ),
        (
            lambda: packing.unpack_thresholds(
                packing.pack_thresholds(T, T, 4), 3, 400
            ),
            ValueError,
            r"shape \(1, 10, 2\)",
        ),
        (
            lambda: packing.unpack_thresholds(
                packing.pack_thresholds(T, T, 4), 2, 4
            ),
            ValueError,
            "beyond output channel 1",
        ),
        (
            lambda: packing.unpack_thresholds(
                packing.pack_thresholds(T + np.int32(5), T, 4)[..., ::-1].copy()
                & np.int32(7)
                | packing.pack_thresholds(T, T, 4) & np.int32(-8),
                3,
                4,
            ),
            ValueError,
            "low=5, high=0",
        ),
        (
            lambda: packing.unpack_thresholds(
                changed(packing.pack_thresholds(T, T, 4), (0, 0, 0), 2**32 - 1)
                | np.array([[[7, 0]]], np.int32),
                3,
                4,
            ),
            ValueError,
            r"in \[-4, 5\]",
        ),
        (
            lambda: packing.pair_thresholds(T, T + np.int32(1)),
            ValueError,
            "flip the sign",
        ),
    ],
)
def test_wrong_arguments(call, error, text) -> None:
    with pytest.raises(error, match=text):
        call()
