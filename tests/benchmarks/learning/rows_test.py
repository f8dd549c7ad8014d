# SPDX-License-Identifier: Apache-2.0
"""What the runs of a case come to."""

import json
import pathlib

import pytest

from benchmarks.learning import rows, studies
from benchmarks.learning.runner import Outcome
from tests.benchmarks.learning.fake_rows import outcome

CASE = studies.Case(
    "decay", {"momentum": 0.9}, {"dataset": "some/digits.npz", "dropout": 0.1}
)
RECORDS = pathlib.Path(__file__).parents[3] / "docs" / "learning" / "runs"
NAMES = ["momentum", "learning_rate"]


def row(*outcomes):
    config = CASE.config(epochs=5, width=0.5)
    return rows.row("tiny", CASE, config, outcomes, NAMES)


def test_statistics():
    made = row(outcome(0.97), outcome(0.98), outcome(0.99, seconds=15.0))
    assert made["validation_mean"] == pytest.approx(0.98)
    assert made["validation_std"] == pytest.approx(0.01)
    assert made["test_mean"] == pytest.approx(0.979)
    assert made["final_test_mean"] == pytest.approx(0.978)
    assert made["zero_share_weights"] == pytest.approx(0.3)
    assert made["zero_share_activations"] == pytest.approx(0.5)
    assert made["seconds"] == 13
    assert (made["seeds"], made["failed"], made["failure"]) == (3, 0, None)


def test_what_the_row_is_of():
    made = row(outcome(), outcome())
    assert (made["study"], made["group"]) == ("tiny", "decay")
    assert made["varied"] == {"momentum": 0.9}
    assert made["fixed"] == {"dropout": 0.1}
    assert (made["dataset"], made["net"]) == ("digits.npz", "mnist")
    assert (made["epochs"], made["width"]) == (5, 0.5)
    assert (made["momentum"], made["learning_rate"]) == (0.9, 0.03)
    assert made["processor"] == "a processor"
    assert (made["threads"], made["commit"]) == (None, None)
    assert made["tensorflow"] == "2.21.0"


def test_a_file_is_named_after_what_it_holds():
    record = next(RECORDS.glob("cifar10_jpeg-*.json"))
    dataset = json.loads(record.read_text())["report"]["dataset"]
    made = row(outcome(dataset=dataset), outcome(dataset=dataset))
    assert made["dataset"] == "CIFAR-10, JPEG re-encoded"
    assert row(outcome(dataset=dataset), outcome())["dataset"] == "digits.npz"


def test_the_default_recipe_is_known():
    def is_default(**varied):
        case = studies.Case("any", varied, {"dataset": "digits"})
        config = case.config(epochs=5, width=0.5)
        return rows.row("tiny", case, config, [outcome()], [])["default"]

    assert is_default()
    assert is_default(learning_rate=0.03, zero_window=0.5)
    assert not is_default(learning_rate=0.1)


def test_every_key_is_explained():
    for key in row(outcome()):
        named = key in rows.KEYS or f"_{key.rpartition('_')[2]}" in rows.KEYS
        assert named or key in NAMES, key


def test_one_run_has_no_deviation():
    assert row(outcome())["validation_std"] is None


def test_float_nets_have_no_zero_shares():
    bare = outcome(zero_share={"weights": {}, "activations": {}})
    made = row(bare, bare)
    assert made["zero_share_weights"] is made["zero_share_activations"] is None


def test_failures_are_told():
    made = row(outcome(0.9), Outcome(failure="The loss is nan."))
    assert (made["failed"], made["failure"]) == (1, "The loss is nan.")
    assert made["validation_mean"] == 0.9
    made = row(Outcome(failure="first"), Outcome(failure="second"))
    assert (made["failed"], made["failure"]) == (2, "first")
    assert made["validation_mean"] is made["seconds"] is None
    assert made["processor"] is None


def test_the_best_is_chosen_on_validation_alone():
    poor, good = row(outcome(0.97)), row(outcome(0.98))
    poor["test_mean"] = 1.0
    lucky = row(outcome(0.999), Outcome(failure="The loss is nan."))
    assert rows.best([poor, good, dict(good), lucky]) is good
    assert rows.best([lucky]) is None


def test_all_settings():
    cases = [CASE, studies.Case("loss", {"loss": "cross_entropy"})]
    assert rows.all_settings(cases) == ["dropout", "momentum", "loss"]
