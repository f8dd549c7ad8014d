# SPDX-License-Identifier: Apache-2.0
import itertools

from hypothesis import given
from hypothesis import strategies as st

from export.c_source.arena import ALIGNMENT, Buffer, live_bytes, plan


@st.composite
def buffers(draw: st.DrawFn) -> list[Buffer]:
    made = []
    for key in range(draw(st.integers(0, 12))):
        first = draw(st.integers(0, 8))
        last = draw(st.integers(first, 8))
        made.append(Buffer(key, draw(st.integers(1, 40)), first, last))
    return made


@given(buffers())
def test_buffers_that_meet_do_not_overlap(made: list[Buffer]) -> None:
    arena = plan(made)
    assert arena.offsets.keys() == {buffer.key for buffer in made}
    for buffer in made:
        offset = arena.offsets[buffer.key]
        assert offset % ALIGNMENT == 0
        assert 0 <= offset <= arena.size - buffer.size
    for one, other in itertools.combinations(made, 2):
        if one.first <= other.last and other.first <= one.last:
            a, b = arena.offsets[one.key], arena.offsets[other.key]
            assert a + one.size <= b or b + other.size <= a


@given(buffers())
def test_size_is_between_the_bounds(made: list[Buffer]) -> None:
    size = plan(made).size
    aligned = [-(-buffer.size // ALIGNMENT) * ALIGNMENT for buffer in made]
    assert max((live_bytes(made, step) for step in range(9)), default=0) <= size
    assert size <= sum(aligned)


def test_a_chain_needs_its_largest_step() -> None:
    sizes = [100, 40, 60, 8, 120, 4]
    chain = [Buffer(i, size, i, i + 1) for i, size in enumerate(sizes)]
    assert plan(chain).size == 140 == live_bytes(chain, 1)
