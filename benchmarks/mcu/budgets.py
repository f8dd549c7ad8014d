# SPDX-License-Identifier: Apache-2.0
"""Counts that were recorded, which later ones must not exceed by much."""

import json
import pathlib
from collections.abc import Sequence

from benchmarks.mcu.measure import Row

DENSITY = 0.5
"""Of the rows that have a budget."""

GROWTH = 1.03
"""How many times its budget a count may be."""

_KEYS = ("instructions", "code_bytes", "arena_bytes", "stack_bytes")

Budgets = dict[str, dict[str, dict[str, int]]]
"""The count by core, workload and key."""


def from_rows(rows: Sequence[Row]) -> Budgets:
    """The budgets that these rows just keep."""
    made: Budgets = {}
    for row in rows:
        counts = made.setdefault(row["core"], {})
        counts[row["workload"]] = {
            key: row[key] for key in _KEYS if row[key] is not None
        }
    return made


def excesses(rows: Sequence[Row], budgets: Budgets) -> list[str]:
    """What is above its budget, or has none.

    Args:
        rows: Rows of the density `DENSITY`.
        budgets: What was recorded.

    Returns:
        A sentence for each count; each budget must have its row, too.
    """
    found = []
    counted = from_rows(rows)
    for core in sorted(counted.keys() | budgets.keys()):
        now, then = counted.get(core, {}), budgets.get(core, {})
        for workload in sorted(now.keys() | then.keys()):
            counts = now.get(workload, {})
            most = then.get(workload, {})
            for key in counts.keys() | most.keys():
                count, budget = counts.get(key), most.get(key)
                if count is None or budget is None:
                    found.append(
                        f"{core} {workload}: {key} {count}, budget {budget}"
                    )
                elif count > GROWTH * budget:
                    found.append(
                        f"{core} {workload}: {key} {count}, "
                        f"{count / budget - 1:.1%} above {budget}"
                    )
    return found


def read(path: pathlib.Path) -> Budgets:
    """Reads budgets that `write` has written."""
    budgets: Budgets = json.loads(path.read_text())
    return budgets


def write(path: pathlib.Path, rows: Sequence[Row]) -> None:
    """Writes the budgets of rows, one line for each workload."""
    by_core = [
        f'  "{core}": {{\n'
        + ",\n".join(
            f'    "{workload}": {json.dumps(counts)}'
            for workload, counts in workloads.items()
        )
        + "\n  }"
        for core, workloads in from_rows(rows).items()
    ]
    path.write_text("{\n" + ",\n".join(by_core) + "\n}\n")
