# SPDX-License-Identifier: Apache-2.0
"""Runs are done once, go on where they stopped, and may fail."""

import dataclasses
import json
import subprocess
import sys

import pytest

from benchmarks.learning import runner
from train.config import Config
from train.errors import UserError

CONFIG = Config(dataset="digits", epochs=2)

# Stands for the process of a run.
CHILD = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
config = json.load(sys.stdin)
with (folder / "starts").open("a") as stream:
    stream.write("x")
(folder / "config.json").write_text(json.dumps(config))
seed = config["seed"]
if seed == 7:
    print("Out of memory", flush=True)
    sys.exit(3)
if seed == 8:
    (folder / "failure.json").write_text('{"error": "The loss is nan."}')
    sys.exit()
report = {"validation_accuracy": 0.9, "seconds": 2, "seed": seed}
(folder / "machine.json").write_text('{"processor": "a processor"}')
(folder / "report.json").write_text(json.dumps(report))
"""


def run(folder, seed=0, **settings):
    config = dataclasses.replace(CONFIG, seed=seed, **settings)
    return runner.Run(config, folder)


@pytest.fixture
def quick(monkeypatch):
    """Replaces the program of the processes; gives their arguments."""
    started = []
    real = subprocess.Popen

    def popen(command, **kwargs):
        started.append(command)
        folder = command[command.index("benchmarks.learning.child") + 1]
        return real([sys.executable, "-S", "-c", CHILD, folder], **kwargs)

    monkeypatch.setattr(runner.subprocess, "Popen", popen)
    return started


def run_all(runs, jobs=1):
    said = []
    named = {each: f"seed {each.config.seed}" for each in runs}
    return runner.run_all(named, jobs, None, said.append), said


def test_folders_are_those_of_settings(tmp_path):
    folders = {
        run(tmp_path, **settings).folder
        for settings in ({}, {"seed": 1}, {"width": 0.5}, {"epochs": 3}, {})
    }
    assert len(folders) == 4
    assert run(tmp_path).folder.name.startswith("digits-seed0-")


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_run_once(quick, tmp_path, jobs):
    runs = [run(tmp_path, seed) for seed in (0, 1, 2, 0)]
    outcomes, said = run_all(runs, jobs)
    assert [outcomes[r].report["seed"] for r in runs] == [0, 1, 2, 0]
    assert outcomes[runs[0]].machine == {"processor": "a processor"}
    assert len(quick) == len(said) == 3
    assert said[-1].startswith("[3/3] seed ")
    assert said[-1].endswith("validation 90.00%, 2 s; about 0 min 00 s left")

    again, said = run_all(runs, jobs)
    assert again == outcomes
    assert len(quick) == 3
    assert said == ["3 runs are there, 0 are to be done"]


def test_jobs_share_the_processors(quick, tmp_path, monkeypatch):
    monkeypatch.setattr(runner.os, "cpu_count", lambda: 4)
    run_all([run(tmp_path)])
    run_all([run(tmp_path, 1), run(tmp_path, 2)], jobs=2)
    run_all([run(tmp_path, 3)], jobs=9)
    threads = [command[-1] for command in quick]
    assert threads == [f"--threads={n}" for n in (0, 2, 2, 1)]


def test_a_diverged_run_is_remembered(quick, tmp_path):
    runs = [run(tmp_path, 8), run(tmp_path, 1)]
    for _ in range(2):
        outcomes, _ = run_all(runs)
        assert outcomes[runs[0]] == runner.Outcome(failure="The loss is nan.")
        assert outcomes[runs[1]].failure is None
    assert len(quick) == 2


def test_a_broken_run_is_tried_again(quick, tmp_path):
    runs = [run(tmp_path, 7), run(tmp_path, 1)]
    for _ in range(2):
        outcomes, said = run_all(runs)
        failure = "exit status 3: Out of memory"
        assert outcomes[runs[0]].failure == failure
        assert outcomes[runs[1]].failure is None
        assert any(f"failed: {failure}; about" in line for line in said)
    assert len(quick) == 3
    assert (runs[0].folder / "starts").read_text() == "xx"


def test_a_begun_run_goes_on_and_a_damaged_one_starts_anew(quick, tmp_path):
    begun, damaged, other = (run(tmp_path, seed) for seed in (0, 1, 2))
    for each, text in (
        (begun, begun.config.to_json()),
        (damaged, begun.config.to_json()[:-9]),
        (other, begun.config.to_json()),
    ):
        each.folder.mkdir()
        (each.folder / "config.json").write_text(text)
        (each.folder / "checkpoint.npz").write_text("some epochs")
        assert each.outcome() is None
    run_all([begun, damaged, other])
    kept = [(r.folder / "checkpoint.npz").exists() for r in (begun, damaged)]
    assert kept == [True, False]
    assert not (other.folder / "checkpoint.npz").exists()
    assert other.outcome() is not None


def test_a_report_of_other_settings_is_no_outcome(quick, tmp_path):
    done = run(tmp_path)
    run_all([done])
    config = json.loads((done.folder / "config.json").read_text())
    (done.folder / "config.json").write_text(json.dumps(config | {"seed": 5}))
    assert done.outcome() is None


def test_records_outlast_the_folders(quick, tmp_path):
    def runs(parent, records=tmp_path / "records"):
        return [
            runner.Run(dataclasses.replace(CONFIG, seed=seed), parent, records)
            for seed in (1, 7, 8)
        ]

    ended, broken, diverged = runs(tmp_path / "first")
    run_all([ended, broken, diverged])
    again = runs(tmp_path / "second")
    assert again[0].outcome() == ended.outcome()
    assert again[1].outcome() is None
    assert again[2].outcome() == runner.Outcome(failure="The loss is nan.")
    run_all(again)
    assert len(quick) == 4
    assert not again[0].folder.exists()


def test_runs_that_are_there_are_recorded(quick, tmp_path):
    records = tmp_path / "records"
    run_all([run(tmp_path)])
    recorded = dataclasses.replace(run(tmp_path), records=records)
    run_all([recorded])
    assert len(quick) == 1
    assert [path.stem for path in records.iterdir()] == [recorded.name]


def test_a_record_stays_as_it_is(quick, tmp_path):
    """Even if the folder has a later run of the same settings."""
    recorded = dataclasses.replace(run(tmp_path), records=tmp_path / "records")
    run_all([recorded])
    (record,) = recorded.records.iterdir()
    before = record.read_text()
    report = recorded.folder / "report.json"
    report.write_text(report.read_text().replace("0.9", "0.5"))
    outcomes, _ = run_all([recorded])
    assert outcomes[recorded].report["validation_accuracy"] == 0.9
    assert record.read_text() == before


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-9],
        lambda text: text.replace('"seed": 1', '"seed": 2', 1),
        lambda text: text.replace('"config"', '"settings"', 1),
        lambda text: text.replace('"failure"', '"problem"', 1),
        lambda text: "[]",
    ],
)
def test_a_damaged_record_is_named(quick, tmp_path, change):
    config = dataclasses.replace(CONFIG, seed=1)
    recorded = runner.Run(config, tmp_path / "runs", tmp_path)
    run_all([recorded])
    path = tmp_path / f"{recorded.name}.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError, match=f"{recorded.name}.json is no record"):
        recorded.outcome()


def test_processes_end_with_an_interruption(tmp_path, monkeypatch):
    processes = []

    def start(self, threads, data_dir):
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        processes.append(subprocess.Popen(command))
        return processes[-1]

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner.Run, "start", start)
    monkeypatch.setattr(runner.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_all([run(tmp_path, 0), run(tmp_path, 1)], jobs=2)
    assert [process.returncode for process in processes] == [-15, -15]


def test_time_left_goes_by_epochs(tmp_path, monkeypatch):
    clock = iter([100.0, 110.0, 7330.0])
    monkeypatch.setattr(runner.time, "monotonic", lambda: next(clock))
    runs = [
        run(tmp_path, epochs=epochs, final_learning_rate=None)
        for epochs in (1, 9, 20)
    ]
    progress = runner._Progress(runs)
    failed = runner.Outcome(failure="no")
    lines = [progress.line(each, "a run", failed) for each in runs[:2]]
    assert lines[0].endswith("about 4 min 50 s left")
    assert lines[1].endswith("about 4 h 01 min left")
