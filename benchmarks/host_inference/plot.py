# SPDX-License-Identifier: Apache-2.0
"""Speed of every workload beside XNNPACK's int8, as bars."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from gxnor_tf.files import replacing

Row = dict[str, Any]

_OTHERS = {
    "xnnpack_int4_us": ("int4 weights", "D"),
    "xnnpack_int2_us": ("int2 weights", "v"),
    "xnnpack_float32_us": ("XNNPACK float32", "s"),
    "builtin_int8_us": ("int8 without XNNPACK", "x"),
}


def draw(rows: Sequence[Row], path: pathlib.Path) -> None:
    """Draws the rows of one thread.

    Args:
        rows: Rows of the benchmark.
        path: The PNG file.
    """
    rows = [row for row in rows if row["threads"] == 1]
    names = list(dict.fromkeys(row["workload"] for row in rows))
    densities = sorted({row["density"] for row in rows})
    figure = Figure(figsize=(10, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    breadth = 0.8 / len(densities)
    shades = np.linspace(0.35, 0.9, len(densities))
    for number, density in enumerate(densities):
        ratios = [
            row["ratio_xnnpack_int8"]
            for row in rows
            if row["density"] == density
        ]
        places = np.arange(len(ratios)) + (number + 0.5) * breadth - 0.4
        bars = axes.bar(
            places,
            ratios,
            breadth * 0.92,
            color=(0.12, 0.47, 0.71, shades[number]),
            label=f"gxnor, {density:.0%} non-zero",
        )
        axes.bar_label(bars, fmt="%.1f", fontsize=7)
    for key, (label, marker) in _OTHERS.items():
        points = [
            (names.index(row["workload"]), row["xnnpack_int8_us"] / row[key])
            for row in rows
            if row["density"] == densities[0] and row[key] is not None
        ]
        if points:
            axes.scatter(
                *zip(*points, strict=True),
                marker=marker,
                color="0.25",
                zorder=3,
                label=label,
            )
    axes.axhline(1, color="tab:red", linewidth=1)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks([0.1, 0.2, 0.5, 1, 2, 5, 10])
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("speed, XNNPACK int8 = 1")
    axes.grid(axis="y", alpha=0.3)
    axes.set_title(
        f"One thread, batch 1, {rows[0]['processor']}, "
        f"kernels {rows[0]['kernels']}",
        fontsize=10,
    )
    figure.legend(loc="outside lower center", ncols=4, fontsize=8)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
