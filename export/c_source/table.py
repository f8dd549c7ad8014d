# SPDX-License-Identifier: Apache-2.0
"""What a model in C costs, as a table for a terminal."""

from collections.abc import Sequence

from ..terminal_tables import aligned
from . import CSource

_HEAD = ("layer", "kernel", "flash", "buffer", "MACs")


def format_source(source: CSource) -> str:
    """A table of the calls of a model: bytes of flash and buffers, MACs."""
    rows: list[Sequence[str]] = [_HEAD]
    rows += [
        (
            row.layer if len(row.layer) <= 24 else f"{row.layer[:21]}...",
            row.kernel.removeprefix("gxnor_"),
            _number(row.flash_bytes),
            f"{row.scratch_bytes:,}*"
            if row.scratch_bytes < row.fastest_bytes
            else _number(row.scratch_bytes),
            _number(row.macs),
        )
        for row in source.rows
    ]
    flash = sum(row.flash_bytes for row in source.rows)
    macs = sum(row.macs for row in source.rows)
    rows.append(("total", "", _number(flash), "", _number(macs)))
    lines = aligned(rows, left=2)
    lines.append(
        f"arena: {source.arena_bytes:,} bytes, with activations and buffers"
    )
    if any(row.scratch_bytes < row.fastest_bytes for row in source.rows):
        lines.append("* less than is fastest, to keep to the arena's limit")
    return "\n".join(lines)


def _number(value: int) -> str:
    return f"{value:,}" if value else ""
