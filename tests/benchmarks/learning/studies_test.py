# SPDX-License-Identifier: Apache-2.0
"""Every study is a list of cases that can be run."""

import pytest

from benchmarks.learning import plots, studies
from train.errors import UserError

EVERYWHERE = studies.Scope(cifar10="cifar10")
SIZES = {
    "rules": 45,
    "activations": 24,
    "levels": 25,
    "recipes": 23,
    "tuning": 18,
    "baselines": 6,
    "gap": 8,
    "products": 4,
    "lengths": 6,
    "headline": 2,
}


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_cases_can_be_run_and_told_apart(name, size):
    study = studies.STUDIES[name]
    planned = studies.planned(study, EVERYWHERE)
    assert len(planned) == size
    shown = {
        (config.dataset, case.group, *case.varied.items())
        for case, config in planned
    }
    assert len(shown) == size
    for case, config in planned:
        for key, value in (case.fixed | case.varied).items():
            assert getattr(config, key) == value
        if "epochs" not in case.varied:
            assert config.epochs == study.budgets[case.net].epochs
        assert config.width == study.budgets[case.net].width


def test_every_study_is_described():
    for name, study in studies.STUDIES.items():
        assert name in SIZES
        assert study.question.endswith((".", "?"))
        assert study.plot in plots.PLOTS
        few = name in ("tuning", "gap", "lengths")
        assert study.seeds >= (1 if few else 3)


def test_settings_of_groups_meet_in_the_default():
    study = studies.STUDIES["recipes"]
    planned = studies.planned(study, studies.Scope())
    configs = [config for _, config in planned]
    default = studies.from_recipe("mnist", epochs=5, width=0.5)
    assert configs.count(default) == len({case.group for case, _ in planned})


def test_what_is_asked_for_beats_the_budget():
    scope = studies.Scope(dataset="digits")
    (first, *_), (second, *_) = (
        studies.planned(studies.STUDIES[name], scope, epochs=1, width=0.1)
        for name in ("baselines", "headline")
    )
    for _, config in (first, second):
        assert (config.dataset, config.epochs) == ("digits", 1)
        assert config.width == 0.1


def test_every_side_of_the_baselines_is_tuned_alike():
    cases = studies.STUDIES["tuning"].cases(studies.Scope())
    groups = [case.group for case in cases]
    assert {name: groups.count(name) for name in groups} == {
        "dst": 3,
        "latent": 3,
        "float": 3,
    }


def test_the_baselines_are_tuned_cases():
    scope = studies.Scope(cifar10="cifar10")
    tuned, compared = (
        {
            (case.config().net, case.config())
            for case in studies.STUDIES[name].cases(scope)
        }
        for name in ("tuning", "baselines")
    )
    assert compared < tuned


@pytest.mark.parametrize("net", ["mnist", "cifar10"])
def test_no_chosen_rate_is_at_the_border_of_those_tried(net):
    scope = studies.Scope(cifar10="cifar10")
    tried, chosen = (
        [
            (case.config().training, case.config().weight_n, case.config())
            for case in studies.STUDIES[name].cases(scope)
            if case.net == net
        ]
        for name in ("tuning", "baselines")
    )
    for training, weight_n, config in chosen:
        rates = [
            x.learning_rate
            for t, w, x in tried
            if (t, w) == (training, weight_n)
        ]
        assert min(rates) < config.learning_rate < max(rates)


def test_the_ends_of_the_gap_are_the_baselines():
    scope = studies.Scope(cifar10="cifar10")
    ends, compared = (
        [case.config() for case in studies.STUDIES[name].cases(scope)]
        for name in ("gap", "baselines")
    )
    assert [x for x in ends if x in compared] == [
        x for x in compared if x.training == "dst"
    ]


def test_cifar10_is_left_out_unless_given():
    for name in ("tuning", "baselines", "gap", "lengths"):
        cases = studies.STUDIES[name].cases(studies.Scope())
        assert {case.net for case in cases} == {"mnist"}


def test_lengths():
    scope = studies.Scope(lengths=(1, 2, 3), dataset="digits")
    study = studies.STUDIES["lengths"]
    planned = studies.planned(study, scope)
    assert [config.epochs for _, config in planned] == [1, 2, 3]
    with pytest.raises(UserError, match="use --lengths. Received: epochs=4"):
        studies.planned(study, scope, epochs=4)
