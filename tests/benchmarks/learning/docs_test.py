# SPDX-License-Identifier: Apache-2.0
"""docs/learning.md says what the records of the runs beside it say."""

import dataclasses
import pathlib
import re
import shlex

import pytest

from benchmarks.learning import __main__ as program
from benchmarks.learning import runner, studies
from train.recipes import from_recipe

PAGE = pathlib.Path(__file__).parents[3] / "docs" / "learning.md"
RECORDS = PAGE.with_suffix("") / "runs"
SECTIONS = PAGE.read_text("utf-8").split("<!-- study: ")[1:]


def commands():
    """By study, the command in its section."""
    found = {}
    for section in SECTIONS:
        match = re.search(r"```sh\n(python -m .*)\n```", section)
        if match:
            found[section.partition(" ")[0]] = match[1]
    return found


def test_every_study_has_a_place():
    names = {section.partition(" ")[0] for section in SECTIONS}
    assert names == set(studies.STUDIES)
    assert commands()


@pytest.mark.parametrize("study", commands())
def test_section_is_what_its_command_makes(study, tmp_path, monkeypatch):
    def never(self, *_):
        raise AssertionError(f"no record of {self.config}")

    monkeypatch.setattr(runner.Run, "start", never)
    page = tmp_path / PAGE.name
    page.write_text(PAGE.read_text("utf-8"), encoding="utf-8")
    arguments = shlex.split(commands()[study])[3:]
    options = program._parser().parse_args(
        [
            *(*arguments, f"--records={RECORDS}"),
            *(f"--page={page}", f"--output_dir={tmp_path / 'out'}"),
        ]
    )
    assert program.run(studies.STUDIES[study], options) == 0
    assert page.read_text("utf-8") == PAGE.read_text("utf-8")


def test_the_rates_of_the_baselines_are_the_best_in_validation(tmp_path):
    scope = studies.Scope(cifar10="cifar10_jpeg.npz")
    best = {}
    for case, config in studies.planned(studies.STUDIES["tuning"], scope):
        run = runner.Run(dataclasses.replace(config, seed=0), tmp_path, RECORDS)
        accuracy = run.outcome().report["validation_accuracy"]
        so_far = best.setdefault((case.net, case.group), (0, None))
        best[case.net, case.group] = max(
            so_far, (accuracy, config.learning_rate)
        )
    assert studies._CHOSEN == {
        net: {
            kind: rate
            for (of_net, kind), (_, rate) in best.items()
            if of_net == net
        }
        for net in ("mnist", "cifar10")
    }
    # They are the defaults, too.
    for net, chosen in studies._CHOSEN.items():
        for kind, rate in chosen.items():
            made = from_recipe(net, **studies._KINDS[kind])
            assert made.learning_rate == rate
