# SPDX-License-Identifier: Apache-2.0
"""A whole study of tiny nets: trained, continued, reported."""

import csv
import dataclasses
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from benchmarks.learning import __main__ as program
from benchmarks.learning import child, runner, studies
from train import loop
from train.errors import UserError


def cases(scope):
    return [
        studies.Case(
            "rate",
            {"learning_rate": rate},
            {"weight_n": "float", "activation_n": "float"}
            | {"dataset": scope.dataset},
        )
        # With the second one no loss stays a number.
        for rate in (0.01, 1e30)
    ]


TINY = studies.Study(
    "Does a study work?",
    cases,
    "dots",
    {"mnist": studies.Budget(epochs=2, width=0.05)},
    seeds=1,
)


class StopInSecondEpoch(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def seconds_of_epochs(run):
    with (run.folder / "metrics.csv").open(newline="") as stream:
        return [row["seconds"] for row in csv.DictReader(stream)]


def test_study(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(studies.STUDIES, "tiny", TINY)
    arguments = [
        *("--study=tiny", "--dataset=digits", "--jobs=2"),
        *(f"--output_dir={tmp_path}", f"--json={tmp_path / 'rows.json'}"),
        *(f"--page={tmp_path / 'page.md'}", f"--records={tmp_path / 'kept'}"),
    ]
    (tmp_path / "page.md").write_text("# Page\n<!-- study: tiny -->\n")
    options = program._parser().parse_args(arguments)
    (_, config), _ = studies.planned(TINY, studies.Scope(dataset="digits"))
    good = runner.Run(config, tmp_path / "runs")
    good.folder.mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt):
        loop.train(config, good.folder, callbacks=[StopInSecondEpoch()])
    (first_epoch,) = seconds_of_epochs(good)

    assert program.run(TINY, options) == 0

    assert seconds_of_epochs(good)[0] == first_epoch
    made = json.loads((tmp_path / "rows.json").read_text())
    assert [row["failed"] for row in made] == [0, 1]
    assert made[0]["validation_mean"] > 0.3
    assert made[0]["processor"]
    assert "The loss is" in made[1]["failure"]
    shown = capsys.readouterr()
    assert (tmp_path / "tiny.md").read_text() in shown.out
    assert (
        "python -m benchmarks.learning --study=tiny --jobs=2 --dataset=digits\n"
        in shown.out
    )
    assert "digits, rate, learning_rate=1e+30, seed 0: failed" in shown.err
    assert "[2/2]" in shown.err
    assert (tmp_path / "tiny.png").stat().st_size > 1000
    assert (tmp_path / "page.md").read_text() == (
        "# Page\n<!-- study: tiny -->\n\n"
        + (tmp_path / "tiny.md")
        .read_text()
        .replace("(tiny.png)", "(page/tiny.png)")
        + "\n"
    )
    assert (tmp_path / "page" / "tiny.png").stat().st_size > 1000

    def never(*_):
        raise AssertionError("a run was repeated")

    monkeypatch.setattr(runner.Run, "start", never)
    assert program.run(TINY, options) == 0
    assert json.loads((tmp_path / "rows.json").read_text()) == made


def test_a_page_without_a_place_stops_the_study_before_any_run(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n")
    options = program._parser().parse_args(
        ["--study=headline", f"--page={page}", f"--output_dir={tmp_path / 'o'}"]
    )
    with pytest.raises(UserError, match="`page` must have the line"):
        program.run(studies.STUDIES["headline"], options)
    assert list(tmp_path.iterdir()) == [page]


def test_missing_data_stops_the_study_before_any_run(tmp_path):
    options = program._parser().parse_args(
        ["--study=headline", "--dataset=none.npz", f"--output_dir={tmp_path}"]
    )
    with pytest.raises(UserError, match="does not exist"):
        program.run(studies.STUDIES["headline"], options)
    assert list(tmp_path.iterdir()) == []


def test_another_file_of_the_same_name_is_refused(tmp_path, monkeypatch):
    """Its runs are not those that are kept."""

    def write(folder, seed):
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 256, (150, 28, 28), np.uint8)
        labels = (np.arange(150) % 10).astype(np.uint8)
        folder.mkdir(exist_ok=True)
        np.savez(
            folder / "own.npz",
            **{"x_train": images, "y_train": labels},
            **{"x_test": images[:20], "y_test": labels[:20]},
        )

    def study(folder):
        tiny = dataclasses.replace(TINY, cases=lambda scope: cases(scope)[:1])
        monkeypatch.setitem(studies.STUDIES, "tiny", tiny)
        options = program._parser().parse_args(
            [
                *("--study=tiny", f"--dataset={folder / 'own.npz'}"),
                *("--epochs=1", f"--records={tmp_path / 'kept'}"),
                f"--output_dir={tmp_path / 'out'}",
            ]
        )
        return program.run(tiny, options)

    write(tmp_path / "one", 1)
    assert study(tmp_path / "one") == 0
    (kept,) = (tmp_path / "kept").iterdir()
    content = json.loads(kept.read_text())
    assert content["config"]["dataset"] == "own.npz"
    assert content["machine"]["threads"] == 0
    assert content["machine"]["commit"] == child._commit()

    def never(*_):
        raise AssertionError("a run was repeated")

    monkeypatch.setattr(runner.Run, "start", never)
    write(tmp_path / "two", 1)
    assert study(tmp_path / "two") == 0
    write(tmp_path / "two", 2)
    with pytest.raises(UserError, match="must be of the same data.*own-seed0"):
        study(tmp_path / "two")
    (tmp_path / "two" / "own.npz").unlink()
    assert study(tmp_path / "two") == 0


def test_command_has_what_decides_the_figures():
    options = program._parser().parse_args(
        [
            *("--study=lengths", "--lengths=1,2", "--seeds=2", "--width=0.5"),
            *("--cifar10=some/where/cifar10_jpeg.npz", "--jobs=2"),
        ]
    )
    assert program.command(options) == (
        "python -m benchmarks.learning --study=lengths --lengths=1,2 "
        "--jobs=2 --seeds=2 --width=0.5 --cifar10=cifar10_jpeg.npz"
    )


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--seeds=0", "argument --seeds: must be > 0. Received: 0"),
        ("--epochs=x", "argument --epochs: invalid number value: 'x'"),
        ("--lengths=5,-1", "argument --lengths: must be > 0. Received: -1"),
        ("--study=speed", "argument --study: invalid choice: 'speed'"),
    ],
)
def test_bad_arguments(argument, message, capsys):
    with pytest.raises(SystemExit):
        program._parser().parse_args(["--study=levels", argument])
    assert message in capsys.readouterr().err


def test_help_names_studies_and_keys():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.learning", "--help"],
        cwd=runner._ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name, study in studies.STUDIES.items():
        assert f"{name}: {study.question}" in done.stdout
    assert "state_bytes_per_weight" in done.stdout


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("--cifar10=cifar10", "`cifar10` must be left out with study=tiny"),
        ("--lengths=1,2", "`lengths` must be left out with study=tiny"),
    ],
)
def test_options_without_effect_are_refused(
    argument, text, tmp_path, monkeypatch
):
    monkeypatch.setitem(studies.STUDIES, "tiny", TINY)
    options = program._parser().parse_args(
        ["--study=tiny", f"--output_dir={tmp_path / 'out'}", argument]
    )
    with pytest.raises(UserError, match=text):
        program.run(TINY, options)
    assert not (tmp_path / "out").exists()


def test_one_study_at_a_time_in_a_folder(tmp_path):
    with runner.alone_in(tmp_path):
        with pytest.raises(UserError, match="in use by another study"):
            with runner.alone_in(tmp_path):
                pass
    with runner.alone_in(tmp_path):
        pass
