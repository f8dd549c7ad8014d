# SPDX-License-Identifier: Apache-2.0
"""Rows as tables that fit a terminal."""

import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.mcu import published
from benchmarks.mcu.measure import Row
from export import terminal_tables

_MARK = " (! not exact)"


def tables(rows: Sequence[Row]) -> str:
    """All tables of some rows."""
    layers = [row for row in rows if row["arena_bytes"] is None]
    nets = [row for row in rows if row["arena_bytes"] is not None]
    parts = []
    if layers:
        parts += [_layer_speed(layers), _layer_bytes(layers)]
    if nets:
        parts += [_net_speed(nets), _net_bytes(nets)]
    return "\n\n".join(parts)


def _layer_speed(rows: Sequence[Row]) -> str:
    lines = _by_density(rows, lambda row: f"{row['instructions_per_mac']:.3f}")
    published_lines = [
        [
            f"{workload} int8*",
            "",
            *(f"{figures[core]:.3f}" for core in lines[0][2:]),
        ]
        for workload, figures in published.INT8_PER_MAC.items()
        if any(line[0] == workload for line in lines)
    ]
    return (
        f"Instructions per MAC{_MARK}\n\n"
        + _narrow([*lines, *published_lines])
        + "\n"
        + textwrap.fill(f"* {published.SOURCE}.", 79, subsequent_indent="  ")
    )


def _layer_bytes(rows: Sequence[Row]) -> str:
    return (
        "Bytes of layers: weights with thresholds in flash, the largest buffer,"
        "\nand by core the code\n\n"
        + _narrow(_by_workload(rows, ("flash_bytes", "buffer_bytes")))
    )


def _net_speed(rows: Sequence[Row]) -> str:
    lines = _by_density(rows, lambda row: f"{row['instructions'] / 1e6:.2f}")
    return f"Millions of instructions of an inference{_MARK}\n\n" + _narrow(
        lines
    )


def _net_bytes(rows: Sequence[Row]) -> str:
    return (
        "Bytes of nets: weights with thresholds in flash, arena, the largest "
        "stack,\nand by core the code\n\n"
        + _narrow(
            _by_workload(rows, ("flash_bytes", "arena_bytes", "stack_bytes"))
        )
    )


def _by_density(
    rows: Sequence[Row], text: Callable[[Row], str]
) -> list[list[str]]:
    """A line for each workload and density, a column for each core."""
    cores = _unique(row["core"] for row in rows)
    lines = [["", "density", *cores]]
    for workload, density in _unique(
        (row["workload"], row["density"]) for row in rows
    ):
        at = {
            row["core"]: text(row) + ("" if row["exact"] else "!")
            for row in rows
            if (row["workload"], row["density"]) == (workload, density)
        }
        lines.append(
            [workload, f"{density:.2f}", *(at[core] for core in cores)]
        )
    return lines


def _by_workload(rows: Sequence[Row], keys: Sequence[str]) -> list[list[str]]:
    """The largest of some bytes, and by core those of the code."""
    cores = _unique(row["core"] for row in rows)
    lines = [["", *(key.removesuffix("_bytes") for key in keys), *cores]]
    for workload in _unique(row["workload"] for row in rows):
        own = [row for row in rows if row["workload"] == workload]
        code = {row["core"]: row["code_bytes"] for row in own}
        lines.append(
            [workload]
            + [str(max(row[key] for row in own)) for key in keys]
            + [str(code[core]) for core in cores]
        )
    return lines


def _unique(items: Iterable[Any]) -> list[Any]:
    """Items without repetition, in their order."""
    return list(dict.fromkeys(items))


def _narrow(lines: Sequence[Sequence[str]]) -> str:
    """Columns one blank apart: there are many."""
    return "\n".join(terminal_tables.aligned(lines, gap=1))
