# SPDX-License-Identifier: Apache-2.0
"""What the programs print: tables for a terminal."""

import math
import typing
from collections.abc import Sequence

import numpy as np

# Only for the types: to load TensorFlow takes seconds.
if typing.TYPE_CHECKING:
    from .inspection import OpRow
    from .verification import Comparison

_MOST_NAME = 48
"""Characters of an operator's name that a terminal gets."""


def aligned(
    rows: Sequence[Sequence[str]], left: int = 1, gap: int = 2
) -> list[str]:
    """Lines of which the columns stand below each other.

    Args:
        rows: The cells of each line, as many in one as in any other.
        left: So many columns begin below each other; the others, numbers, end
            so.
        gap: Blanks between two columns.

    >>> aligned([("layer", "bytes"), ("a", "1,024")])
    ['layer  bytes', 'a      1,024']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        (" " * gap)
        .join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(
                zip(row, widths, strict=True)
            )
        )
        .rstrip()
        for row in rows
    ]


def format_rows(rows: Sequence["OpRow"], file_bytes: int) -> str:
    """The operators of a file.

    Args:
        rows: What `inspection.inspect` gave.
        file_bytes: Size of the file.
    """
    cells = [("op", "output shape", "bytes", "MACs", "zero weights")]
    cells += [
        (
            row.op[:_MOST_NAME],
            "x".join(map(str, row.output_shape)),
            f"{row.constant_bytes:,}",
            f"{row.macs:,}" if row.macs else "",
            "" if row.zero_share is None else f"{row.zero_share:.1%}",
        )
        for row in rows
    ]
    total_bytes = sum(row.constant_bytes for row in rows)
    total_macs = sum(row.macs for row in rows)
    cells.append(("total", "", f"{total_bytes:,}", f"{total_macs:,}", ""))
    lines = aligned(cells, left=2)
    lines.append(f"file: {file_bytes:,} bytes")
    if any(row.op.startswith("Gxnor") for row in rows):
        lines.append(
            "Shapes of packed activations are in words: two for 32 channels."
        )
    return "\n".join(lines)


def format_comparison(comparison: "Comparison") -> str:
    """A model and its file: how many values were compared, how many differ.

    Args:
        comparison: What `verification.compare` gave.
    """
    cells = [("layer", "compared", "differing")]
    cells += [
        (name, f"{count:,}", f"{comparison.differing_activations[name]:,}")
        for name, count in comparison.activations.items()
    ]
    size = math.prod(comparison.outputs.shape)
    different = np.count_nonzero(comparison.outputs != comparison.keras_outputs)
    cells.append(("output", f"{size:,}", f"{different:,}"))
    lines = aligned(cells)
    if not comparison.exact:
        lines.append(
            f"labels differing: {comparison.differing_labels:,} of "
            f"{comparison.samples:,}; largest difference of an output: "
            f"{comparison.largest_difference:.1e}"
        )
    return "\n".join(lines)
