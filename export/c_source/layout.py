# SPDX-License-Identifier: Apache-2.0
"""The memory of a model: its packed values, and the kernels' buffers.

A buffer makes a convolution several times as fast. A smaller one, for fewer
positions at a time, costs less memory and more time; the results are the same.
"""

import dataclasses
from collections.abc import Sequence

from ..graph import ExportError
from . import scratch
from .arena import ALIGNMENT, Arena, Buffer, aligned, live_bytes, plan
from .calls import Calls


@dataclasses.dataclass(frozen=True)
class Layout:
    """The plan of a model's memory.

    Attributes:
        arena: Where each value begins, by its name, and the buffer of each
            call, by the call's number.
        scratch: Bytes of the buffer of each call, 0 for none.
        fastest: Bytes with which each call is fastest.
    """

    arena: Arena
    scratch: tuple[int, ...]
    fastest: tuple[int, ...]

    @property
    def arena_bytes(self) -> int:
        """Bytes of the memory; at least a word, for C has no empty arrays."""
        return max(self.arena.size, ALIGNMENT)


def lay_out(calls: Calls, limit: int | None = None) -> Layout:
    """Plans the memory of a model.

    Args:
        calls: The model.
        limit: Most bytes that it may take; None for any.

    Raises:
        ExportError: If it needs more; the text says how much.
    """
    values = _values(calls)
    sizes = [scratch.sizes(call.kernel, call.params) for call in calls.calls]
    live = [live_bytes(values, step) for step in range(len(calls.calls))]
    smallest = _with_buffers(values, live, sizes, 0)
    if limit is not None and smallest.arena_bytes > limit:
        raise ExportError(
            f"The model needs an arena of {smallest.arena_bytes:,} bytes, even "
            "without the buffers that make it fast. Give as many, or use "
            "fewer channels or smaller images. Received: "
            f"arena_limit={limit}"
        )
    most = {
        have + aligned(size)
        for have, own in zip(live, sizes, strict=True)
        for size in own
    }
    for target in sorted(most, reverse=True):
        if limit is None or target <= limit:
            layout = _with_buffers(values, live, sizes, target)
            if limit is None or layout.arena_bytes <= limit:
                return layout
    return smallest


def _with_buffers(
    values: Sequence[Buffer],
    live: Sequence[int],
    sizes: Sequence[Sequence[int]],
    most: int,
) -> Layout:
    """The plan in which no step takes more, or none has a buffer.

    Steps that need little besides their buffer keep a large one: what is
    lowered is the memory of the steps that need the most.
    """
    chosen = tuple(
        max((size for size in own if have + aligned(size) <= most), default=0)
        for have, own in zip(live, sizes, strict=True)
    )
    buffers = [
        Buffer(step, size, step, step)
        for step, size in enumerate(chosen)
        if size
    ]
    return Layout(
        plan([*values, *buffers]), chosen, tuple(own[-1] for own in sizes)
    )


def _values(calls: Calls) -> list[Buffer]:
    """The packed values, each alive from its writer to its last reader."""
    written = {call.output: step for step, call in enumerate(calls.calls)}
    read = {
        name: step
        for step, call in enumerate(calls.calls)
        for name in call.inputs
    }
    return [
        Buffer(
            held.name,
            4 * held.words,
            written[held.name],
            read.get(held.name, written[held.name]),
        )
        for held in calls.held.values()
    ]
