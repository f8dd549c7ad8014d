# SPDX-License-Identifier: Apache-2.0
"""A study as pictures.

Error rates stand on a logarithmic axis where good and very bad cases share a
picture, and on one from zero where bars are compared.
"""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from PIL import Image

from benchmarks.learning.rows import Row, grouped, in_words
from benchmarks.learning.tables import accuracy
from gxnor_tf.files import replacing

# What is selected by comes first.
_SHOWN = {"validation": "tab:blue", "test": "tab:orange"}
_ZEROS = {"weights": "tab:green", "activations": "tab:red"}
_STYLES: tuple[Any, ...] = ("-", "--", ":")


def dots(rows: Sequence[Row]) -> dict[str, Figure]:
    """The error of every case, below the name of its group."""
    rows = _finished(rows)
    groups = grouped(rows, "dataset", "group")
    lines = len(rows) + 1.3 * len(groups)
    figure = _figure(8, 1.2 + 0.19 * lines)
    axes = figure.subplots()
    place = 0.0
    ticks, names = [], []
    several = len(grouped(rows, "dataset")) > 1
    for (dataset, group), members in groups.items():
        place += 1.3
        ticks.append(place - 0.15)
        heading = f"{dataset}: {group}" if several else group
        names.append(rf"$\bf{{{_math(heading)}}}$")
        for row in members:
            place += 1.0
            ticks.append(place)
            # The setting's name may already be the heading.
            names.append(in_words(row["varied"]).removeprefix(f"{group}="))
            _dot(axes, row, "validation", place - 0.12, "o")
            _dot(axes, row, "test", place + 0.12, "D")
            axes.axhline(place, color="0.92", linewidth=0.6, zorder=0)
    axes.set_yticks(ticks, names, fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(place + 1, 0)
    _log_percents(axes)
    axes.set_xlabel("error (%), mean ± standard deviation")
    axes.grid(axis="x", which="both", alpha=0.25)
    _legend(figure, axes)
    return {"": figure}


def curves(rows: Sequence[Row]) -> dict[str, Figure]:
    """Accuracy and zero shares against each setting, and one another."""
    rows = _finished(rows)
    groups = grouped(rows, "group")
    figure = _figure(3.2 * len(groups) + 0.6, 5.6)
    panels = figure.subplots(2, len(groups), sharey="row", squeeze=False)
    for column, ((group,), members) in zip(
        panels.T, groups.items(), strict=True
    ):
        _curve(column, group, members)
    _legend(figure, panels[0, 0], panels[1, 0])
    panels[0, 0].set_ylabel("accuracy (%)")
    panels[1, 0].set_ylabel("zeros (%)")
    return {"": figure, "-sparsity": _sparsity(rows)}


def heat_map(rows: Sequence[Row]) -> dict[str, Figure]:
    """Accuracies of a grid: the levels of weights and activations."""
    rows = _finished(rows)
    figure = _figure(9.4, 4.4)
    means = [100 * row[f"{name}_mean"] for row in rows for name in _SHOWN]
    scale = Normalize(min(means), max(means))
    down = sorted({row["weight_n"] for row in rows})
    across = sorted({row["activation_n"] for row in rows})
    panels = figure.subplots(1, 2)
    for axes, name in zip(panels, _SHOWN, strict=True):
        values = [[float("nan")] * len(across) for _ in down]
        for row in rows:
            y, x = (
                down.index(row["weight_n"]),
                across.index(row["activation_n"]),
            )
            values[y][x] = 100 * row[f"{name}_mean"]
        image = axes.imshow(values, norm=scale, cmap="viridis")
        for row in rows:
            y, x = (
                down.index(row["weight_n"]),
                across.index(row["activation_n"]),
            )
            light = scale(values[y][x]) > 0.6
            axes.text(
                *(x, y),
                accuracy(row, name).replace(" ", "\n", 1),
                ha="center",
                va="center",
                fontsize=8,
                color="black" if light else "white",
            )
        axes.set_title(f"{name} accuracy (%)")
        axes.set_xticks(range(len(across)), across)
        axes.set_yticks(range(len(down)), down)
        axes.set_xlabel("n of the activations")
        axes.set_ylabel("n of the weights")
    figure.colorbar(image, ax=panels, shrink=0.8)
    return {"": figure}


def bars(rows: Sequence[Row]) -> dict[str, Figure]:
    """Errors from zero, a panel for each data set."""
    datasets = grouped(_finished(rows), "dataset")
    figure = _figure(1.2 + 4.2 * len(datasets), 4.0)
    panels = figure.subplots(1, len(datasets), squeeze=False)[0]
    for axes, ((dataset,), members) in zip(
        panels, datasets.items(), strict=True
    ):
        labels = []
        for place, row in enumerate(members):
            labels.append(in_words(row["varied"]).replace(", ", "\n"))
            for offset, name in ((-0.2, "validation"), (0.2, "test")):
                _bar(axes, row, name, place + offset)
        axes.set_xticks(range(len(labels)), labels, fontsize=7.5)
        axes.set_xlim(-0.6, len(labels) - 0.4)
        axes.margins(y=0.15)
        axes.set_title(dataset)
        axes.grid(axis="y", alpha=0.25)
        axes.set_axisbelow(True)
    panels[0].set_ylabel("error (%)")
    _legend(figure, panels[0])
    return {"": figure}


PLOTS: dict[str, Callable[[Sequence[Row]], dict[str, Figure]]] = {
    "dots": dots,
    "curves": curves,
    "heat_map": heat_map,
    "bars": bars,
}


def draw(kind: str, rows: Sequence[Row], folder: pathlib.Path) -> list[str]:
    """Writes the pictures of a study.

    Args:
        kind: A key of `PLOTS`.
        rows: The rows of the study; cases whose runs all failed are left out.
        folder: Where to write `STUDY.png`, and what else there is.

    Returns:
        The names of the files; none if no run succeeded.
    """
    if not _finished(rows):
        return []
    names = []
    for suffix, figure in PLOTS[kind](rows).items():
        names.append(f"{rows[0]['study']}{suffix}.png")
        with replacing(folder / names[-1]) as temporary:
            figure.savefig(temporary, dpi=110)
            # With a palette, a third of the bytes.
            with Image.open(temporary) as picture:
                small = picture.convert("RGB").quantize()
            small.save(temporary, "PNG", optimize=True)
    return names


def _finished(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["validation_mean"] is not None]


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _error(row: Row, name: str) -> tuple[float, float]:
    """Mean and standard deviation in percent."""
    return 100 * (1 - row[f"{name}_mean"]), 100 * (row[f"{name}_std"] or 0.0)


def _dot(axes: Any, row: Row, name: str, place: float, marker: str) -> None:
    mean, std = _error(row, name)
    # A logarithmic axis has no place for an error of nothing.
    mean = max(mean, 1e-3)
    axes.errorbar(
        mean,
        place,
        xerr=[[min(std, mean / 2)], [std]],
        color=_SHOWN[name],
        marker=marker,
        markersize=4,
        linewidth=1.2,
        linestyle="none",
        label=name,
    )


def _bar(axes: Any, row: Row, name: str, place: float) -> None:
    mean, std = _error(row, name)
    axes.bar(
        place,
        mean,
        0.38,
        yerr=std,
        capsize=3,
        color=_SHOWN[name],
        ecolor="0.2",
        label=name,
    )
    axes.annotate(
        f"{mean:.2f}",
        (place, mean + std),
        (0, 2),
        textcoords="offset points",
        ha="center",
        fontsize=8,
    )


def _log_percents(axes: Any) -> None:
    low, high = axes.get_xlim()
    close = high < 5 * low
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(
        LogLocator(
            subs=(1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8) if close else (1, 2, 5)
        )
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _legend(figure: Figure, *panels: Any) -> None:
    """One entry for each name, above everything."""
    unique: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        unique |= dict(zip(labels, handles, strict=True))
    figure.legend(
        unique.values(),
        unique.keys(),
        loc="outside upper center",
        ncols=len(unique),
    )


def _math(text: str) -> str:
    """A text for the inside of a formula."""
    return text.replace("_", r"\_").replace(" ", r"\ ")


def _curve(column: Any, group: str, rows: Sequence[Row]) -> None:
    """Accuracy above, zero shares below, against the last-named setting.

    Another setting that varies makes lines of other styles.
    """
    *others, name = rows[0]["varied"]
    top, bottom = column
    words = isinstance(rows[0][name], str)
    for number, members in enumerate(grouped(rows, *others).values()):
        x = [row[name] for row in members]
        style = "none" if words else _STYLES[number % len(_STYLES)]
        for kind, colour in _SHOWN.items():
            top.errorbar(
                x,
                [100 * row[f"{kind}_mean"] for row in members],
                [100 * (row[f"{kind}_std"] or 0) for row in members],
                marker="o",
                markersize=4,
                capsize=2,
                linestyle=style,
                color=colour,
                label=kind,
            )
        for kind, colour in _ZEROS.items():
            shares = [row[f"zero_share_{kind}"] for row in members]
            bottom.plot(
                x,
                [float("nan") if s is None else 100 * s for s in shares],
                marker="o",
                markersize=4,
                linestyle=style,
                color=colour,
                label=f"zero {kind}",
            )
    _name_styles(bottom, [key for key in grouped(rows, *others) if key])
    top.set_title(group)
    bottom.set_xlabel(name)
    bottom.set_ylim(0, 100)
    for axes in column:
        if words:
            axes.margins(x=0.4)
        if name == "transition_gain":
            axes.set_xscale("log")
            axes.set_xticks(x, [f"{gain:g}" for gain in x])
            axes.minorticks_off()
        axes.grid(alpha=0.25)


def _name_styles(axes: Any, keys: Sequence[tuple[Any, ...]]) -> None:
    """A small legend of what the styles of the lines stand for."""
    lines = [
        Line2D([], [], color="0.3", linestyle=style)
        for _, style in zip(keys, _STYLES, strict=False)
    ]
    if lines:
        axes.legend(lines, [", ".join(key) for key in keys], fontsize=8)


def _sparsity(rows: Sequence[Row]) -> Figure:
    """Accuracy against the share of zeros, a colour for each group."""
    figure = _figure(9, 4.2)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, kind in zip(panels, ("activations", "weights"), strict=True):
        for (group,), members in grouped(rows, "group").items():
            known = [r for r in members if r[f"zero_share_{kind}"] is not None]
            axes.errorbar(
                [100 * row[f"zero_share_{kind}"] for row in known],
                [100 * row["validation_mean"] for row in known],
                [100 * (row["validation_std"] or 0) for row in known],
                marker="o",
                markersize=4,
                linewidth=1,
                linestyle="none",
                label=group,
            )
        axes.set_xlabel(f"{kind} that are zero (%)")
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("validation accuracy (%)")
    panels[0].legend(fontsize=8)
    return figure
