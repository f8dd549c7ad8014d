# SPDX-License-Identifier: Apache-2.0
"""One framework: the MNIST net for every case, trained, exported and compared.

python -m benchmarks.framework --page=docs/framework.md

Trains the paper's MNIST net with the same settings in full precision, as BWN,
TWN, BNN and GXNOR, and for a grid of numbers of levels; exports each with
custom and with builtin ops and runs all test images in LiteRT. After an
interruption the same command goes on where it stopped.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from benchmarks import machine
from benchmarks.arguments import count, positive
from export import convert, verification
from export.files import check_writable, load_model
from train import datasets, pipeline
from train.files import write_text

OPS = ("custom", "builtin")

_KEYS = """\
keys of the rows: case, weight_n, activation_n (null: float), epochs, seed,
dataset, test_accuracy, validation_accuracy, final_test_accuracy, seconds, and
for ops custom and builtin: OPS_accuracy, OPS_differing_labels,
OPS_differing_outputs, OPS_differing_activations, OPS_exact, OPS_bytes"""


@dataclasses.dataclass(frozen=True)
class Case:
    """A case of the framework.

    Attributes:
        name: Its name.
        weight_n: n of the weights, None for float.
        activation_n: n of the activations, None for float.
    """

    name: str
    weight_n: int | None
    activation_n: int | None


NAMED = (
    Case("full precision", None, None),
    Case("BWN", 0, None),
    Case("TWN", 1, None),
    Case("BNN", 0, 0),
    Case("GXNOR", 1, 1),
)


def main() -> None:
    """Runs the cases and prints their table."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        epilog=_KEYS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--epochs", type=positive(int), default=3)
    parser.add_argument("--seed", type=count, default=0)
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--width", type=positive(float), default=1.0)
    parser.add_argument(
        "--levels", type=count, default=4, help="the grid is n = 0..LEVELS"
    )
    parser.add_argument(
        "--output_dir",
        default="out/framework",
        help="use another one for another version of the library",
    )
    parser.add_argument("--json", help="file for the rows")
    parser.add_argument("--page", help="Markdown file for the tables")
    options = parser.parse_args()
    try:
        for path in filter(None, (options.json, options.page)):
            check_writable(path)  # Now, and not after hours.
        run(options)
    except OSError as error:
        sys.exit(f"error: {error}")


def run(options: argparse.Namespace) -> None:
    """Runs the cases, prints their tables and writes what was asked for.

    Args:
        options: As `main` reads them.

    Raises:
        OSError: If something cannot be written.
    """
    rows = []
    cases = all_cases(options.levels)
    for number, case in enumerate(cases, 1):
        row = _run(case, options)
        rows.append(row)
        print(f"[{number}/{len(cases)}] {_line(row)}", flush=True)
    text = page(rows, options.levels, _command(options))
    print(f"\n{text}")
    if options.json:
        write_text(
            pathlib.Path(options.json), json.dumps(rows, indent=2) + "\n"
        )
    if options.page:
        write_text(pathlib.Path(options.page), text)


def all_cases(levels: int) -> list[Case]:
    """The named cases and the rest of the grid."""
    named = {(case.weight_n, case.activation_n) for case in NAMED}
    grid = [
        Case(f"{w}, {a}", w, a)
        for w in range(levels + 1)
        for a in range(levels + 1)
        if (w, a) not in named
    ]
    return [*NAMED, *grid]


def _run(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    """The row of a case; what its folder already has is not done again."""
    name = case.name.replace(", ", "_").replace(" ", "_")
    folder = pathlib.Path(options.output_dir) / name
    asked = {
        **{k: vars(options)[k] for k in ("epochs", "seed", "dataset", "width")},
        "case": case.name,
        "weight_n": case.weight_n,
        "activation_n": case.activation_n,
    }
    training, settings = folder / "training", folder / "settings.json"
    if not settings.exists() or json.loads(settings.read_text()) != asked:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_text(settings, json.dumps(asked))
    if not (training / "report.json").exists():
        _train(case, options, training)
    path = folder / "row.json"
    if path.exists():
        done: dict[str, Any] = json.loads(path.read_text())
        return done
    report = json.loads((training / "report.json").read_text())
    row = asked | {
        key: report[key]
        for key in (
            "test_accuracy",
            "validation_accuracy",
            "final_test_accuracy",
            "seconds",
        )
    }
    row |= _exports(training / "model.keras", options.dataset)
    write_text(path, json.dumps(row))
    return row


def _train(
    case: Case, options: argparse.Namespace, output: pathlib.Path
) -> None:
    def flag(n: int | None) -> str:
        return "float" if n is None else str(n)

    command = [
        sys.executable,
        *("-m", "train.mnist"),
        f"--output_dir={output}",
        "--resume",
        f"--epochs={options.epochs}",
        f"--seed={options.seed}",
        f"--dataset={options.dataset}",
        f"--width={options.width}",
        f"--weight_n={flag(case.weight_n)}",
        f"--activation_n={flag(case.activation_n)}",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def _exports(model_path: pathlib.Path, dataset: str) -> dict[str, Any]:
    """Both files of a model, run on all test images."""
    model = load_model(model_path)
    test = datasets.load(dataset).test
    x = pipeline.int8_inputs(test.images)
    row: dict[str, Any] = {}
    for ops in OPS:
        data = convert(model, ops, float_layers="float32")
        result = verification.compare(
            model, x, ops, data=data, float_layers="float32"
        )
        row |= {
            f"{ops}_accuracy": float(
                np.mean(result.outputs.argmax(1) == test.labels)
            ),
            f"{ops}_differing_labels": result.differing_labels,
            f"{ops}_differing_outputs": result.differing_samples,
            f"{ops}_differing_activations": sum(
                result.differing_activations.values()
            ),
            f"{ops}_exact": result.exact,
            f"{ops}_bytes": len(data),
        }
    return row


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['case']:<14}  test {row['test_accuracy']:.2%}  "
        + "  ".join(
            f"{ops}: {row[f'{ops}_differing_labels']} labels differ, "
            f"{row[f'{ops}_bytes']:,} bytes"
            for ops in OPS
        )
        + f"  ({row['seconds']:.0f} s of training)"
    )


def _command(options: argparse.Namespace) -> str:
    flags = [
        f"--{name}={value:g}" if name == "width" else f"--{name}={value}"
        for name, value in vars(options).items()
        if value is not None and name not in ("output_dir", "json")
    ]
    return f"python -m benchmarks.framework {' '.join(flags)}"


def page(rows: Sequence[dict[str, Any]], levels: int, command: str) -> str:
    """The tables as Markdown."""
    by_case = {(r["weight_n"], r["activation_n"]): r for r in rows}
    lines = [
        *_introduction(rows, command),
        *_named_cases(by_case),
        *_grid(by_case, levels, "Test accuracy", "test_accuracy", "{:.2%}"),
        *(
            line
            for ops in OPS
            for line in _grid(
                by_case,
                levels,
                f"Bytes of the file with {ops} ops",
                f"{ops}_bytes",
                "{:,}",
            )
        ),
        "",
        f"Over all {len(rows)} nets and both forms: "
        f"{_total(rows, 'labels')} labels and {_total(rows, 'activations')} "
        "activations differ.",
        "",
    ]
    return "\n".join(
        line
        if line.startswith(("|", "#", "python"))
        else textwrap.fill(line, width=80)
        for line in lines
    )


def _introduction(rows: Sequence[dict[str, Any]], command: str) -> list[str]:
    first = rows[0]
    exact = [row for row in rows if all(row[f"{ops}_exact"] for ops in OPS)]
    return [
        "# One framework, all its cases",
        "",
        "Binary, ternary and multi-level nets are one net with other spaces. "
        "This page is written by",
        "",
        "```sh",
        command,
        "```",
        "",
        f"The paper's MNIST net 32C5-MP2-64C5-MP2-512FC-10 on "
        f"{first['dataset']}, width {first['width']:g}, seed {first['seed']}, "
        f"epochs: {first['epochs']}. One recipe for all: nothing is tuned for "
        "a case or chosen on test data (the epoch is chosen on the validation "
        "split). It compares cases after a short training and does not show "
        "what each can reach. With one seed, differences of 0.1 % mean "
        "nothing, and another kind of CPU rounds differently.",
        "",
        "Every net was exported with custom and with builtin ops and run on "
        "all test images in LiteRT. *differing* counts images whose label "
        "differs from Keras', and activations that do. Nets with real numbers "
        'inside are exported with `float_layers="float32"` and are equal up '
        f"to rounding. Of the other {len(exact)} nets, "
        f"{_total(exact, 'outputs')} outputs differ in any bit, both forms "
        "together.",
        "",
        f"Machine: {machine.processor()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}.",
        "",
    ]


def _total(rows: Sequence[dict[str, Any]], what: str) -> int:
    """How many outputs, labels or activations differ, in both forms."""
    return sum(row[f"{ops}_differing_{what}"] for row in rows for ops in OPS)


def _named_cases(
    by_case: Mapping[tuple[int | None, int | None], dict[str, Any]],
) -> list[str]:
    lines = [
        "| case | weights n | activations n | test accuracy | LiteRT custom "
        "| LiteRT builtin | differing labels | differing activations | custom "
        "bytes | builtin bytes |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for case in NAMED:
        row = by_case[case.weight_n, case.activation_n]
        lines.append(f"| {' | '.join(_cells(case.name, row))} |")
    return lines


def _grid(
    by_case: Mapping[tuple[int | None, int | None], dict[str, Any]],
    levels: int,
    title: str,
    key: str,
    style: str,
) -> list[str]:
    """A figure by the levels of weights and activations."""
    numbers = range(levels + 1)
    lines = [
        "",
        f"## {title} by levels",
        "",
        "| weights \\ activations | "
        + " | ".join(f"n = {n}" for n in numbers)
        + " |",
        "|---" * (levels + 2) + "|",
    ]
    for w in numbers:
        cells = [style.format(by_case[w, a][key]) for a in numbers]
        lines.append(f"| n = {w} | {' | '.join(cells)} |")
    return lines


def _cells(name: str, row: dict[str, Any]) -> list[str]:
    def n(key: str) -> str:
        return "float" if row[key] is None else str(row[key])

    return [
        name,
        n("weight_n"),
        n("activation_n"),
        f"{row['test_accuracy']:.2%}",
        *(f"{row[f'{ops}_accuracy']:.2%}" for ops in OPS),
        str(_total([row], "labels")),
        str(_total([row], "activations")),
        *(f"{row[f'{ops}_bytes']:,}" for ops in OPS),
    ]


if __name__ == "__main__":
    main()
