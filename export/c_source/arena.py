# SPDX-License-Identifier: Apache-2.0
"""Where each buffer lies in the one piece of memory that they share."""

import dataclasses
from collections.abc import Sequence

ALIGNMENT = 4
"""Of all offsets and of the memory itself: that of a word."""


@dataclasses.dataclass(frozen=True)
class Buffer:
    """Memory that is needed for a time.

    Attributes:
        key: What it is for; unique.
        size: Bytes.
        first: The first step that needs it.
        last: The last one.
    """

    key: str | int
    size: int
    first: int
    last: int

    def meets(self, other: "Buffer") -> bool:
        """Whether some step needs both."""
        return self.first <= other.last and other.first <= self.last


@dataclasses.dataclass(frozen=True)
class Arena:
    """A plan of the memory.

    Attributes:
        offsets: Where each buffer begins, by its key.
        size: Bytes in all.
    """

    offsets: dict[str | int, int]
    size: int


def plan(buffers: Sequence[Buffer]) -> Arena:
    """Places buffers so that those which live at the same time do not overlap.

    The largest come first, each at the lowest place that is free during its
    life ("greedy by size"; TensorFlow Lite Micro plans likewise).

    Example:
    >>> arena = plan([Buffer("a", 8, 0, 1), Buffer("b", 4, 1, 2),
    ...               Buffer("c", 8, 2, 3)])
    >>> arena.offsets, arena.size
    ({'a': 0, 'c': 0, 'b': 8}, 12)

    References:

    - [Pisarchyk and Lee, 2020](https://arxiv.org/abs/2001.03288), memory
      plans of neural networks.
    """
    placed: list[tuple[int, Buffer]] = []
    for buffer in sorted(buffers, key=lambda one: -one.size):
        offset = 0
        for begin, other in sorted(placed, key=lambda one: one[0]):
            if not buffer.meets(other):
                continue
            if offset + buffer.size <= begin:
                break
            offset = max(offset, begin + aligned(other.size))
        placed.append((offset, buffer))
    return Arena(
        {buffer.key: offset for offset, buffer in placed},
        max((offset + aligned(one.size) for offset, one in placed), default=0),
    )


def live_bytes(buffers: Sequence[Buffer], step: int) -> int:
    """Bytes that a step needs: no plan can do with less."""
    return sum(
        aligned(buffer.size)
        for buffer in buffers
        if buffer.first <= step <= buffer.last
    )


def aligned(size: int) -> int:
    """A size that leaves the next offset aligned."""
    return -(-size // ALIGNMENT) * ALIGNMENT
