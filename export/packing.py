# SPDX-License-Identifier: Apache-2.0
"""Packed forms of activations, weights and thresholds.

They are the words that a kernel reads in place, in a `.tflite` file as in the
flash of a microcontroller. One word holds one bit of 32 channels, channel `c`
is bit `c % 32` (LSB first) of group `c // 32`.

- Activations: per group the pair `{plus, minus}`; the bit in `plus` is set
  where the state is +1, the bit in `minus` where it is -1.
- Weights: one record `{P, Z}` per group of 32 output channels and input tap;
  the bit in P is set where the weight is +1, the bit in Z where it is 0, so
  that `weight + 1 = 2 P + Z`. A null record `{0, 0}` ends each group.
- Thresholds for packed inputs: bit-sliced, so that 32 accumulators are
  compared at once. One word holds one bit of 32 thresholds.

All words are int32, the type of the TFLite tensors that hold them. This
module needs NumPy only.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Int8Array: TypeAlias = npt.NDArray[np.int8]
Int32Array: TypeAlias = npt.NDArray[np.int32]

CHANNELS_PER_WORD = 32
MAX_DEPTH = 2**24 - 1
"""Most taps of one output, so that `128 * depth` fits an int32."""


def groups_for(channels: int) -> int:
    """How many groups of 32 channels hold `channels` channels.

    Args:
        channels: Number of channels, >= 1.

    Returns:
        `ceil(channels / 32)`.

    Raises:
        ValueError: If `channels` is < 1.

    Example:
    >>> groups_for(32), groups_for(33)
    (1, 2)
    """
    if channels < 1:
        raise ValueError(
            f"`channels` must be >= 1. Received: channels={channels}"
        )
    return -(-channels // CHANNELS_PER_WORD)


def planes_for(depth: int) -> int:
    """How many bit planes the accumulator of `depth` ternary taps has.

    The planes hold every sum in `[-depth, depth]` and every threshold in
    `[-depth, depth + 1]` as a two's complement number.

    Args:
        depth: Taps of one output, that is kernel height * kernel width *
            input channels, in `1..MAX_DEPTH`.

    Returns:
        The smallest p with `2^(p-1) - 1 >= depth + 1`.

    Raises:
        ValueError: If `depth` is out of range.

    Example:
    >>> planes_for(1), planes_for(2), planes_for(3), planes_for(800)
    (3, 3, 4, 11)
    """
    if not 1 <= depth <= MAX_DEPTH:
        raise ValueError(
            f"`depth` must be in 1..{MAX_DEPTH}. Received: depth={depth}"
        )
    return (depth + 1).bit_length() + 1


def pack_activations(states: Int8Array) -> Int32Array:
    """Packs ternary activations into `{plus, minus}` words.

    The last axis is the channel axis. The unused bits of its last group are
    0 in both words, that is the state 0.

    Args:
        states: int8 array of shape `(..., channels)`, values in {-1, 0, +1}.

    Returns:
        int32 array of shape `(..., 2 * ceil(channels / 32))`. Element `2 g`
        is the `plus` word of group g, element `2 g + 1` its `minus` word.
        Invariant: `plus & minus == 0`.

    Raises:
        TypeError: If `states` is not int8.
        ValueError: If `states` has no channel or a state outside
            {-1, 0, +1}.

    Example:
    >>> pack_activations(np.array([1, 0, -1, 1], np.int8)).tolist()
    [9, 4]
    """
    _check_ternary("states", states)
    if states.ndim < 1 or states.shape[-1] < 1:
        raise ValueError(
            f"`states` must have a channel axis. Received: shape={states.shape}"
        )
    words = np.stack([_pack_words(states == 1), _pack_words(states == -1)], -1)
    return words.reshape(*states.shape[:-1], -1)


def unpack_activations(words: Int32Array, channels: int) -> Int8Array:
    """Unpacks `{plus, minus}` words; the inverse of `pack_activations`.

    Args:
        words: int32 array of shape `(..., 2 * ceil(channels / 32))`.
        channels: Number of channels, >= 1.

    Returns:
        int8 array of shape `(..., channels)`, values in {-1, 0, +1}.

    Raises:
        TypeError: If `words` is not int32.
        ValueError: If the shape does not fit `channels`, a channel is set in
            both words, or a bit beyond the last channel is set.

    Example:
    >>> unpack_activations(np.array([9, 4], np.int32), channels=4).tolist()
    [1, 0, -1, 1]
    """
    _check_dtype("words", words, np.dtype(np.int32))
    groups = groups_for(channels)
    if words.ndim < 1 or words.shape[-1] != 2 * groups:
        raise ValueError(
            f"`words` must have shape (..., {2 * groups}) for "
            f"channels={channels}. Received: shape={words.shape}"
        )
    pairs = words.reshape(*words.shape[:-1], groups, 2)
    plus = _unpack_words(pairs[..., 0])
    minus = _unpack_words(pairs[..., 1])
    if np.any(plus & minus):
        raise ValueError(
            "No channel may be set in both `plus` and `minus`. Received "
            f"{np.count_nonzero(plus & minus)} such channels: `words` is not "
            "a packed activation."
        )
    if np.any((plus | minus)[..., channels:]):
        raise ValueError(
            f"The bits beyond channel {channels - 1} must be 0. Received "
            f"{np.count_nonzero((plus | minus)[..., channels:])} set bits: "
            "`words` is damaged or `channels` is too small."
        )
    states: Int8Array = plus.astype(np.int8) - minus.astype(np.int8)
    return np.ascontiguousarray(states[..., :channels])


def pack_weights(states: Int8Array) -> Int32Array:
    """Packs ternary weights into records `{P, Z}`.

    The lanes of the last group that have no output channel hold weight 0.

    Args:
        states: int8 array of shape `(output_channels, kernel_height,
            kernel_width, input_channels)`, values in {-1, 0, +1}. A fully
            connected op on `(height, width, input_channels)` is the kernel
            that covers its whole input.

    Returns:
        int32 array of shape `(ceil(output_channels / 32), kernel_height *
        kernel_width * input_channels + 1, 2)`. Its last axis is `{P, Z}`,
        the last record of each group is the null record `{0, 0}`.
        Invariant: `P & Z == 0`.

    Raises:
        TypeError: If `states` is not int8.
        ValueError: If the shape is not as above, an axis is empty, or a
            state lies outside {-1, 0, +1}.

    Example:
    >>> weights = np.array([1, 0, -1], np.int8).reshape(3, 1, 1, 1)
    >>> pack_weights(weights)[0, 0].astype(np.uint32).tolist() == [
    ...     0b001,
    ...     0xFFFFFFFF - 0b101,
    ... ]
    True
    """
    _check_ternary("states", states)
    if states.ndim != 4 or 0 in states.shape:
        raise ValueError(
            "`states` must have shape (output_channels, kernel_height, "
            "kernel_width, input_channels), each >= 1. "
            f"Received: shape={states.shape}"
        )
    output_channels = states.shape[0]
    planes_for(states[0].size)  # Checks the depth.
    groups = groups_for(output_channels)
    lanes = np.zeros((groups * CHANNELS_PER_WORD, states[0].size), states.dtype)
    lanes[:output_channels] = states.reshape(output_channels, -1)
    by_tap = lanes.reshape(groups, CHANNELS_PER_WORD, -1).transpose(0, 2, 1)
    records = np.zeros((groups, by_tap.shape[1] + 1, 2), np.int32)
    records[:, :-1, 0] = _pack_words(by_tap == 1)[..., 0]
    records[:, :-1, 1] = _pack_words(by_tap == 0)[..., 0]
    return records


def unpack_weights(
    records: Int32Array,
    output_channels: int,
    kernel_height: int,
    kernel_width: int,
    input_channels: int,
) -> Int8Array:
    """Unpacks weight records; the inverse of `pack_weights`.

    Args:
        records: int32 array as made by `pack_weights`.
        output_channels: Number of output channels.
        kernel_height: Height of the kernel.
        kernel_width: Width of the kernel.
        input_channels: Number of input channels.

    Returns:
        int8 array of shape `(output_channels, kernel_height, kernel_width,
        input_channels)`, values in {-1, 0, +1}.

    Raises:
        TypeError: If `records` is not int32.
        ValueError: If the shape does not fit, `P & Z != 0`, a group does not
            end with the null record, or an unused lane is not 0.

    Example:
    >>> weights = np.array([1, 0, -1], np.int8).reshape(3, 1, 1, 1)
    >>> unpack_weights(pack_weights(weights), 3, 1, 1, 1).ravel().tolist()
    [1, 0, -1]
    """
    _check_dtype("records", records, np.dtype(np.int32))
    groups = groups_for(output_channels)
    depth = kernel_height * kernel_width * input_channels
    planes_for(depth)  # Checks the depth.
    if records.shape != (groups, depth + 1, 2):
        raise ValueError(
            f"`records` must have shape {(groups, depth + 1, 2)}: groups of "
            "32 output channels, kernel_height * kernel_width * "
            "input_channels records and the null record, {P, Z}. "
            f"Received: shape={records.shape}"
        )
    if np.any(records[..., 0] & records[..., 1]):
        raise ValueError(
            "No weight may be set in both P and Z. Received "
            f"{np.count_nonzero(records[..., 0] & records[..., 1])} records "
            "with such weights: `records` is damaged."
        )
    if np.any(records[:, -1]):
        raise ValueError(
            "Each group must end with the null record {0, 0}. Received: "
            f"{records[:, -1].tolist()}"
        )
    plus = _unpack_words(records[:, :-1, 0, None])
    zero = _unpack_words(records[:, :-1, 1, None])
    by_tap = plus.astype(np.int8) - (~plus & ~zero).astype(np.int8)
    lanes = by_tap.transpose(0, 2, 1).reshape(-1, depth)
    if np.any(lanes[output_channels:]):
        raise ValueError(
            f"The lanes beyond output channel {output_channels - 1} must hold "
            "weight 0. Received "
            f"{np.count_nonzero(lanes[output_channels:])} other weights."
        )
    return np.ascontiguousarray(
        lanes[:output_channels].reshape(
            output_channels, kernel_height, kernel_width, input_channels
        )
    )


def pack_thresholds(
    high: Int32Array, low: Int32Array, depth: int
) -> Int32Array:
    """Packs the thresholds of an op with packed input, bit-sliced.

    An output is +1 where its accumulator is >= high, -1 where it is < low,
    else 0. Every threshold is stored in offset binary, `threshold +
    2^(planes - 1)`. The lanes without an output channel never fire.

    Args:
        high: int32 array `(output_channels,)`, values in
            `[-depth, depth + 1]`.
        low: int32 array `(output_channels,)`, values in
            `[-depth, depth + 1]`, `low <= high`.
        depth: Taps of one output, see `planes_for`.

    Returns:
        int32 array `(ceil(output_channels / 32), planes_for(depth), 2)`.
        Bit l of word `[g, i, 0]` is bit i (LSB first) of the offset high
        threshold of channel `32 g + l`; `[g, i, 1]` is the same of low.

    Raises:
        TypeError: If `high` or `low` is not int32.
        ValueError: If shapes differ or a threshold is out of range.

    Example:
    >>> one = np.array([1], np.int32)
    >>> (pack_thresholds(one, -one, depth=1)[0, :, 0] & 1).tolist()
    [1, 0, 1]
    """
    _check_thresholds(high, low)
    planes = planes_for(depth)
    for name, threshold in (("high", high), ("low", low)):
        outside = (threshold < -depth) | (threshold > depth + 1)
        if np.any(outside):
            raise ValueError(
                f"`{name}` must be in [-depth, depth + 1], here [{-depth}, "
                f"{depth + 1}]; clip it, sums never leave [-depth, depth]. "
                f"Received: {name}={threshold[outside][0]} at channel "
                f"{int(np.flatnonzero(outside)[0])}"
            )
    groups = groups_for(high.size)
    pairs = np.empty((groups * CHANNELS_PER_WORD, 2), np.int64)
    pairs[:] = (depth + 1, -depth)
    pairs[: high.size] = np.stack([high, low], -1)
    pairs += 1 << (planes - 1)
    bits = (pairs[:, None, :] >> np.arange(planes)[:, None]) & 1
    lanes_last = (
        bits.astype(bool)
        .reshape(groups, CHANNELS_PER_WORD, planes, 2)
        .transpose(0, 2, 3, 1)
    )
    return np.ascontiguousarray(_pack_words(lanes_last)[..., 0])


def unpack_thresholds(
    words: Int32Array, output_channels: int, depth: int
) -> tuple[Int32Array, Int32Array]:
    """Unpacks bit-sliced thresholds; the inverse of `pack_thresholds`.

    Args:
        words: int32 array as made by `pack_thresholds`.
        output_channels: Number of output channels.
        depth: Taps of one output.

    Returns:
        `(high, low)`, int32 arrays `(output_channels,)`.

    Raises:
        TypeError: If `words` is not int32.
        ValueError: If the shape does not fit, a threshold is out of range,
            low > high, or an unused lane could fire.

    Example:
    >>> high, low = np.array([2], np.int32), np.array([-1], np.int32)
    >>> unpack_thresholds(pack_thresholds(high, low, 5), 1, 5)
    (array([2], dtype=int32), array([-1], dtype=int32))
    """
    _check_dtype("words", words, np.dtype(np.int32))
    groups = groups_for(output_channels)
    planes = planes_for(depth)
    if words.shape != (groups, planes, 2):
        raise ValueError(
            f"`words` must have shape {(groups, planes, 2)}: groups of 32 "
            f"output channels, bit planes for depth {depth}, {{high, low}}. "
            f"Received: shape={words.shape}"
        )
    # (groups, planes, 2, 32)
    bits = _unpack_words(words[..., None]).astype(np.int64)
    weights = (1 << np.arange(planes))[:, None, None]
    offset = (bits * weights).sum(1) - (1 << (planes - 1))
    pairs = offset.transpose(0, 2, 1).reshape(-1, 2).astype(np.int32)
    unused = pairs[output_channels:]
    if np.any(unused != (depth + 1, -depth)):
        raise ValueError(
            f"The lanes beyond output channel {output_channels - 1} must have "
            f"the thresholds {{{depth + 1}, {-depth}}}, which never fire. "
            f"Received: {unused[(unused != (depth + 1, -depth)).any(1)][0]}"
        )
    high, low = pairs[:output_channels].T.copy()
    if np.any((pairs < -depth) | (pairs > depth + 1)):
        raise ValueError(
            f"Thresholds must be in [{-depth}, {depth + 1}] for depth "
            f"{depth}. Received: {pairs.min()}..{pairs.max()}"
        )
    _check_thresholds(high, low)
    return high, low


def pair_thresholds(high: Int32Array, low: Int32Array) -> Int32Array:
    """Pairs the thresholds of an op with int8 input, which are not sliced.

    Args:
        high: int32 array `(output_channels,)`.
        low: int32 array `(output_channels,)`, `low <= high`.

    Returns:
        int32 array `(output_channels, 2)`, `{high, low}` per channel.

    Raises:
        TypeError: If `high` or `low` is not int32.
        ValueError: If shapes differ or a low threshold is above the high one.

    Example:
    >>> pair_thresholds(np.array([7], np.int32), np.array([-6], np.int32))
    array([[ 7, -6]], dtype=int32)
    """
    _check_thresholds(high, low)
    return np.stack([high, low], -1)


def _pack_words(bits: npt.NDArray[np.bool_]) -> Int32Array:
    """Packs the last axis, 32 bits to a word, LSB first, padded with 0."""
    missing = -bits.shape[-1] % CHANNELS_PER_WORD
    padded = np.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, missing)])
    packed = np.packbits(padded, -1, bitorder="little")
    return np.ascontiguousarray(packed).view("<i4").astype(np.int32, copy=False)


def _unpack_words(words: Int32Array) -> npt.NDArray[np.bool_]:
    """Unpacks the last axis, 32 bits from a word, LSB first."""
    octets = np.ascontiguousarray(words, "<i4").view(np.uint8)
    return np.unpackbits(octets, -1, bitorder="little").astype(bool)


def _check_ternary(name: str, states: Int8Array) -> None:
    """Checks that `states` is an int8 array of ternary states."""
    _check_dtype(name, states, np.dtype(np.int8))
    outside = (states < -1) | (states > 1)
    if np.any(outside):
        raise ValueError(
            f"`{name}` must hold only -1, 0 and +1: only ternary weights and "
            "activations (`DiscreteSpace(1)`) can be packed. Received: "
            f"{np.unique(states[outside]).tolist()}"
        )


def _check_thresholds(high: Int32Array, low: Int32Array) -> None:
    """Checks that a pair of thresholds per channel is ordered."""
    _check_dtype("high", high, np.dtype(np.int32))
    _check_dtype("low", low, np.dtype(np.int32))
    if high.ndim != 1 or high.size == 0 or high.shape != low.shape:
        raise ValueError(
            "`high` and `low` must have the same shape (output_channels,). "
            f"Received: high.shape={high.shape}, low.shape={low.shape}"
        )
    if np.any(low > high):
        channel = int(np.argmax(low > high))
        raise ValueError(
            "`low` must be <= `high`; where a scale is negative, flip the "
            "sign of the channel's weights. Received at channel "
            f"{channel}: low={low[channel]}, high={high[channel]}"
        )


def _check_dtype(name: str, array: object, dtype: np.dtype[Any]) -> None:
    """Checks that `array` is a NumPy array of `dtype`."""
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        received = getattr(array, "dtype", type(array).__name__)
        raise TypeError(
            f"`{name}` must be a NumPy array of {dtype.name}. "
            f"Received: {received}"
        )
