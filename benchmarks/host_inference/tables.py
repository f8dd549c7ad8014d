# SPDX-License-Identifier: Apache-2.0
"""The rows as tables, for a terminal and for a document."""

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def table(rows: Sequence[Row], header: bool = True) -> str:
    """The rows as a table for a terminal."""
    columns = {
        "workload": ("{}", 12, "workload"),
        "threads": ("{}", 2, "th"),
        "density": ("{:.2f}", 5, "dens"),
        "gxnor_us": ("{:.1f}", 8, "gxnor µs"),
        "gxnor_gmacs": ("{:.0f}", 6, "GMAC/s"),
        "xnnpack_int8_us": ("{:.1f}", 8, "XNN int8"),
        "ratio_xnnpack_int8": ("{:.2f}", 6, "ratio"),
        "xnnpack_int4_us": ("{:.1f}", 7, "int4"),
        "xnnpack_int2_us": ("{:.1f}", 7, "int2"),
        "xnnpack_float32_us": ("{:.1f}", 8, "float32"),
        "builtin_int8_us": ("{:.1f}", 8, "no XNN"),
        "gxnor_constant_bytes": ("{:,}", 10, "bytes"),
        "int8_constant_bytes": ("{:,}", 10, "int8's"),
    }

    def line(cells: Sequence[str]) -> str:
        widths = [max(w, len(title)) for _, w, title in columns.values()]
        return "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(
                zip(cells, widths, strict=True)
            )
        )

    lines = [line([title for _, _, title in columns.values()])] * header
    for row in rows:
        lines.append(
            line(
                [
                    "" if row[key] is None else form.format(row[key])
                    for key, (form, _, _) in columns.items()
                ]
            )
        )
    return "\n".join(lines)


def markdown(rows: Sequence[Row], command: str) -> str:
    """The rows as Markdown, one line for each workload and number of threads.

    Args:
        rows: Rows of the benchmark.
        command: What made them.
    """
    densities = sorted({row["density"] for row in rows})
    cases: dict[tuple[str, int], dict[float, Row]] = {}
    for row in rows:
        case = cases.setdefault((row["workload"], row["threads"]), {})
        case[row["density"]] = row
    shares = ", ".join(f"{density:g}" for density in densities)
    head = [
        "workload",
        "threads",
        f"gxnor, µs at density {shares}",
        "XNNPACK int8, µs",
        "ratio",
        "int4",
        "int2",
        "float32",
        "int8 without XNNPACK",
    ]
    lines = [head, ["---"] * len(head)]
    for (workload, threads), by_density in cases.items():
        of = list(by_density.values())
        lines.append(
            [
                workload,
                str(threads),
                " / ".join(_number(row["gxnor_us"]) for row in of),
                _number(of[0]["xnnpack_int8_us"]),
                " / ".join(f"{row['ratio_xnnpack_int8']:.1f}" for row in of),
                _number(of[0]["xnnpack_int4_us"]),
                _number(of[0]["xnnpack_int2_us"]),
                _number(of[0]["xnnpack_float32_us"]),
                _number(of[0]["builtin_int8_us"]),
            ]
        )
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return (
        f"```sh\n{command}\n```\n\n"
        f"{rows[0]['processor']}, kernels `{rows[0]['kernels']}`:\n\n{text}\n"
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"
