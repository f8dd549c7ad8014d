# SPDX-License-Identifier: Apache-2.0
"""A study as Markdown."""

import pathlib
import textwrap
from collections.abc import Sequence

from benchmarks.learning.rows import Row, best, grouped, in_words, shown

_WIDTH = 80


def section(
    question: str,
    rows: Sequence[Row],
    command: str,
    selects: bool,
    zero_shares: bool,
    pictures: Sequence[str] = (),
) -> str:
    """What is said of a study.

    Args:
        question: What the study asks.
        rows: Its rows.
        command: What made it.
        selects: Whether to mark the best row of each group.
        zero_shares: Whether to show the shares of zeros, and not the test
            accuracy of the last epoch.
        pictures: Paths of its pictures, from where the text will be.
    """
    parts = [
        f"## {rows[0]['study']}",
        _fill(question),
        f"```sh\n{command}\n```",
        _fill(_conditions(rows)),
    ]
    parts += [f"![{pathlib.Path(name).stem}]({name})" for name in pictures]
    for (dataset,), placed in grouped(rows, "dataset").items():
        groups = grouped(placed, "group")
        if selects and (chosen := best(placed)) and len(groups) > 1:
            parts.append(
                _fill(
                    f"The best on {dataset}, by validation: "
                    f"{_name(chosen)}. Its test accuracy is "
                    f"{accuracy(chosen, 'test')} %."
                )
            )
        for (group,), members in groups.items():
            parts.append(f"### {dataset}: {group}")
            if members[0]["fixed"]:
                parts.append(_fill(f"With {in_words(members[0]['fixed'])}."))
            parts.append(table(members, selects, zero_shares))
            parts += [
                _fill(f"{in_words(row['varied'])}: {row['failure']}")
                for row in members
                if row["failed"]
            ]
    return "\n\n".join(parts) + "\n"


def table(rows: Sequence[Row], selects: bool, zero_shares: bool) -> str:
    """The table of a group.

    Args:
        rows: Its rows.
        selects: Whether to print the best one bold, and to name the default
            one.
        zero_shares: Whether to show the shares of zeros, and not the test
            accuracy of the last epoch.
    """
    names = list(dict.fromkeys(name for row in rows for name in row["varied"]))
    # Lines have to stay readable, so the shares take the last epoch's place.
    extra = ["zero w %", "zero a %"] if zero_shares else ["last epoch %"]
    heads = [*names, "validation %", "test %", *extra, "bytes"]
    chosen = best(rows) if selects and len(rows) > 1 else None
    lines = [heads, ["---"] * len(heads)]
    for row in rows:
        # What a case leaves out need not mean anything for it.
        settings = [shown(row["varied"].get(name, "")) for name in names]
        if selects and row["default"]:
            settings[-1] += " (default)"
        validation = accuracy(row, "validation")
        if row["failed"]:
            validation = f"{row['failed']} of {row['seeds']} failed"
        elif row is chosen:
            validation = f"**{validation}**"
        extra = [accuracy(row, "final_test")]
        if zero_shares:
            extra = [
                _number(row[f"zero_share_{kind}"], 100, 1)
                for kind in ("weights", "activations")
            ]
        lines.append(
            [
                *settings,
                validation,
                accuracy(row, "test"),
                *extra,
                _number(row["state_bytes_per_weight"], 1, 2),
            ]
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def accuracy(row: Row, name: str) -> str:
    """Mean and standard deviation in percent, as in `99.31 ± 0.04`."""
    mean = _number(row[f"{name}_mean"], 100, 2)
    std = row[f"{name}_std"]
    return mean if std is None else f"{mean} ± {_number(std, 100, 2)}"


def _number(value: float | None, factor: float, digits: int) -> str:
    return "" if value is None else f"{value * factor:.{digits}f}"


def _name(row: Row) -> str:
    return f"{row['group']}, {in_words(row['varied'])}"


def _conditions(rows: Sequence[Row]) -> str:
    """What the figures mean and what they were made on."""

    def all_of(*keys: str) -> str:
        seen: dict[str, None] = {}
        for row in rows:
            text = " ".join(str(row[key]) for key in keys)
            seen |= dict.fromkeys([text] if row[keys[0]] is not None else [])
        return ", ".join(seen)

    nets = [
        f"the {net} net at width {width:g} for {epochs} epochs"
        for net, width, epochs in grouped(rows, "net", "width", "epochs")
    ]
    return (
        f"Runs: {'; '.join(nets)}; seeds: {rows[0]['seeds']}. Mean ± sample "
        "standard deviation over the seeds. *validation* is the accuracy of "
        "the epoch with the lowest validation loss; *test* is that of the "
        "same model; *last epoch* is the test accuracy at the end. *bytes*: "
        "training state per discrete weight, the weight included. Made on "
        f"{all_of('processor')}; TensorFlow "
        f"{all_of('tensorflow')}, Keras {all_of('keras')}, gxnor_tf "
        f"{all_of('gxnor_tf')}."
    )


def _fill(text: str) -> str:
    return textwrap.fill(
        text, _WIDTH, break_long_words=False, break_on_hyphens=False
    )
