# SPDX-License-Identifier: Apache-2.0
"""How well the nets learn, study by study.

python -m benchmarks.learning --study=rules --json=FILE

Every case of a study is trained with several seeds. The figures go into a
Markdown table and pictures in the output folder. Runs are kept in its folder
runs/ and never repeated: after an interruption the same command goes on. With
--records=docs/learning/runs --page=docs/learning.md it writes the
documentation, from the runs that are recorded there and new ones.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import pages
from benchmarks.arguments import positive
from benchmarks.learning import plots, rows, runner, studies, tables
from train import datasets, files
from train.config import Config
from train.errors import UserError


def main() -> None:
    """Runs a study and prints its page."""
    options = _parser().parse_args()
    # So that the processes of the runs end, too.
    signal.signal(signal.SIGTERM, _stop)
    try:
        failed = run(studies.STUDIES[options.study], options)
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted. The same command goes on where it stopped.")
    if failed:
        sys.exit(
            f"{failed} runs ended without a result. The same command tries "
            "them again."
        )


def run(study: studies.Study, options: argparse.Namespace) -> int:
    """Runs a study and writes its results.

    Args:
        study: The study.
        options: As the parser makes them.

    Returns:
        The number of runs that have to be tried again.

    Raises:
        UserError: If a setting is out of range or data cannot be had.
        OSError: If something cannot be written.
    """
    scope = studies.Scope(options.dataset, options.cifar10, options.lengths)
    planned = studies.planned(study, scope, options.epochs, options.width)
    seeds = range(options.seeds or study.seeds)
    _refuse_without_effect([case for case, _ in planned], options)
    if options.page:
        # Now, and not after hours.
        pages.replaced(
            options.page.read_text("utf-8"), "study", options.study, ""
        )
    folder = pathlib.Path(options.output_dir)
    by_case = [
        [
            runner.Run(
                dataclasses.replace(config, seed=seed),
                folder / "runs",
                options.records,
            )
            for seed in seeds
        ]
        for _, config in planned
    ]
    _require_data([r for runs in by_case for r in runs], options.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with runner.alone_in(folder):
        return _run(study, planned, by_case, options, folder)


def _run(
    study: studies.Study,
    planned: Sequence[tuple[studies.Case, Config]],
    by_case: Sequence[Sequence[runner.Run]],
    options: argparse.Namespace,
    folder: pathlib.Path,
) -> int:
    outcomes = runner.run_all(
        _named(planned, by_case),
        options.jobs,
        options.data_dir,
        lambda line: print(line, file=sys.stderr, flush=True),
    )
    settings = rows.all_settings(case for case, _ in planned)
    made = [
        rows.row(
            options.study, case, config, [outcomes[r] for r in runs], settings
        )
        for (case, config), runs in zip(planned, by_case, strict=True)
    ]
    _write(study, made, options, folder)
    return sum(run.outcome() is None for run in outcomes)


def _refuse_without_effect(
    cases: Sequence[studies.Case], options: argparse.Namespace
) -> None:
    """Raises UserError for options of which the study has no use."""
    if options.cifar10 and all(case.net != "cifar10" for case in cases):
        raise UserError(
            f"`cifar10` must be left out with study={options.study}, which "
            f"trains no CIFAR-10 net. Received: cifar10={options.cifar10!r}"
        )
    if options.lengths != studies.Scope.lengths and all(
        "epochs" not in case.varied for case in cases
    ):
        raise UserError(
            f"`lengths` must be left out with study={options.study}, which "
            f"does not vary them. Received: lengths={options.lengths}"
        )


def _named(
    planned: Sequence[tuple[studies.Case, Config]],
    by_case: Sequence[Sequence[runner.Run]],
) -> dict[runner.Run, str]:
    """The runs in the order in which they are made, each once.

    A seed at a time: an interrupted study has seen every case.
    """
    named: dict[runner.Run, str] = {}
    for same_seed in zip(*by_case, strict=True):
        for (case, config), made in zip(planned, same_seed, strict=True):
            data = pathlib.Path(config.dataset or "").name
            settings = f"{case.group}, {rows.in_words(case.varied)}"
            seed = made.config.seed
            named.setdefault(made, f"{data}, {settings}, seed {seed}")
    return named


def _write(
    study: studies.Study,
    made: list[rows.Row],
    options: argparse.Namespace,
    folder: pathlib.Path,
) -> None:
    """Writes and prints the section, its pictures and the rows."""

    def section(pictures: Sequence[str]) -> str:
        return tables.section(
            study.question,
            made,
            command(options),
            study.selects,
            study.zero_shares,
            pictures,
        )

    text = section(plots.draw(study.plot, made, folder))
    print(text)
    files.write_text(folder / f"{options.study}.md", text)
    if options.page:
        beside = options.page.with_suffix("")
        beside.mkdir(exist_ok=True)
        names = plots.draw(study.plot, made, beside)
        files.write_text(
            options.page,
            pages.replaced(
                options.page.read_text("utf-8"),
                "study",
                options.study,
                section([f"{beside.name}/{name}" for name in names]),
            ),
        )
    if options.json:
        files.write_text(
            pathlib.Path(options.json), json.dumps(made, indent=2) + "\n"
        )


def command(options: argparse.Namespace) -> str:
    """The command that gives the same figures, without folders."""
    parts = ["python -m benchmarks.learning", f"--study={options.study}"]
    if options.lengths != studies.Scope.lengths:
        parts.append(f"--lengths={','.join(map(str, options.lengths))}")
    if options.jobs != 1:  # Decides the threads, and so how sums are rounded.
        parts.append(f"--jobs={options.jobs}")
    for name in ("seeds", "epochs", "width", "dataset", "cifar10"):
        value = getattr(options, name)
        if isinstance(value, str):
            value = pathlib.Path(value).name
        if value is not None:
            parts.append(f"--{name}={value}")
    return " ".join(parts)


def _require_data(runs: Iterable[runner.Run], data_dir: str | None) -> None:
    """Raises UserError now, and not in every run, where data is missing.

    Or where runs of the same file name were made with different data, the file
    at hand included; one that no run needs may be elsewhere.
    """
    digests: dict[tuple[str, float], str] = {}
    for run in runs:
        name, share = run.config.dataset or "", run.config.validation_share
        outcome = run.outcome()
        needed = outcome is None or pathlib.Path(name).is_file()
        if needed and (name, share) not in digests:
            loaded = datasets.load(name, data_dir, share)
            digests[name, share] = loaded.digest
        if outcome is None or not outcome.report:
            continue
        made_with = outcome.report["dataset"]["sha256"]
        wanted = digests.setdefault((name, share), made_with)
        if made_with != wanted:
            raise UserError(
                f"All runs of {name!r} must be of the same data. Received: "
                f"records with SHA-256 {wanted}, and the run {run.name} of "
                f"{made_with}. Give one of the files another name, or delete "
                "that run in --records and --output_dir."
            )


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    budgets = "\n".join(
        f"  {name}: {study.question}\n    {study.seeds} seeds, "
        + ", ".join(
            f"{net} net: {budget.epochs} epochs, width {budget.width:g}"
            for net, budget in study.budgets.items()
        )
        for name, study in studies.STUDIES.items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.learning",
        description=f"{__doc__}\nstudies:\n{budgets}",
        epilog=rows.KEYS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--study", required=True, choices=studies.STUDIES)
    parser.add_argument(
        "--output_dir",
        default="out/learning",
        help="use another one for another version of the library",
    )
    parser.add_argument(
        "--records",
        type=pathlib.Path,
        help="folder with a JSON file for each run that ended: what is there "
        "is not run again, what is run is added",
    )
    parser.add_argument(
        "--page",
        type=pathlib.Path,
        help="Markdown file whose section of the study is replaced; its "
        "pictures go into the folder of the same name",
    )
    parser.add_argument("--json", help="file for the rows")
    parser.add_argument("--seeds", type=positive(int), help="runs of a case")
    parser.add_argument("--epochs", type=positive(int), help="of a run")
    parser.add_argument(
        "--width", type=positive(float), help="factor on filters and units"
    )
    parser.add_argument(
        "--dataset",
        help="a name or FILE.npz for the MNIST net in place of the study's own",
    )
    parser.add_argument(
        "--cifar10",
        help="FILE.npz for the CIFAR-10 net, or `cifar10` for that of "
        "TensorFlow Datasets; the studies tuning, baselines, gap, products "
        "and lengths leave CIFAR-10 out without it",
    )
    parser.add_argument(
        "--lengths",
        type=_lengths,
        default=studies.Scope.lengths,
        help="epochs of the study lengths, with commas. Default: 5,100",
    )
    parser.add_argument("--data_dir", help="folder for downloaded data")
    parser.add_argument(
        "--jobs",
        type=positive(int),
        default=1,
        help="runs at the same time; they share the processors",
    )
    return parser


def _lengths(text: str) -> tuple[int, ...]:
    return tuple(positive(int)(part) for part in text.split(","))


if __name__ == "__main__":
    main()
