# SPDX-License-Identifier: Apache-2.0
"""Pages of studies, from rows that nobody measured."""

import pytest

from benchmarks.learning import studies, tables
from benchmarks.learning.rows import in_words
from tests.benchmarks.learning.fake_rows import rows_of

SCOPE = studies.Scope(cifar10="cifar10")
NAMES = sorted(studies.STUDIES)


def page(name, made):
    study = studies.STUDIES[name]
    return tables.section(
        study.question,
        made,
        f"python -m benchmarks.learning --study={name}",
        study.selects,
        study.zero_shares,
        [f"{name}.png"],
    )


def made_rows(name):
    return rows_of(name, studies.planned(studies.STUDIES[name], SCOPE))


def table_lines(text):
    return [line for line in text.splitlines() if line.startswith("|")]


@pytest.mark.parametrize("name", NAMES)
def test_page(name):
    made = made_rows(name)
    text = page(name, made)
    assert max(map(len, text.splitlines())) <= 100
    assert f"--study={name}\n" in text
    assert f"]({name}.png)" in text
    sections = {(row["dataset"], row["group"]) for row in made}
    lines = table_lines(text)
    assert len(lines) == len(made) + 2 * len(sections)
    assert all(text.count(f"### {d}: {g}\n") == 1 for d, g in sections)
    bold = sum("**" in line for line in lines)
    assert bold == (len(sections) if studies.STUDIES[name].selects else 0)


def test_numbers_and_the_best():
    rows = made_rows("headline")
    for row, accuracy in zip(rows, (0.9911, 0.9922), strict=True):
        row |= {"validation_mean": accuracy, "validation_std": 0.0005}
        row |= {"test_mean": 0.9, "test_std": None}
        row |= {"final_test_mean": 0.8, "final_test_std": 0.1}
    lines = tables.table(rows, True, False).splitlines()
    assert lines[2:] == [
        "| none (default) | 99.11 ± 0.05 | 90.00 | 80.00 ± 10.00 | 5.00 |",
        "| shift | **99.22 ± 0.05** | 90.00 | 80.00 ± 10.00 | 5.00 |",
    ]


def test_best_of_the_study_and_its_test_accuracy():
    rows = made_rows("recipes")
    rows[5] |= {"validation_mean": 0.9999, "test_mean": 0.95, "test_std": 0.01}
    text = " ".join(page("recipes", rows).split())
    varied = in_words(rows[5]["varied"])
    assert (
        f"The best on mnist, by validation: batch_size, {varied}. "
        "Its test accuracy is 95.00 ± 1.00 %."
    ) in text


def test_failed_runs():
    rows = made_rows("headline")
    rows[1] |= {"failed": 3, "failure": "The loss is nan.", "processor": None}
    rows[1] |= dict.fromkeys(
        (key for key in rows[1] if key.endswith(("_mean", "_std"))), None
    )
    rows[1] |= {"state_bytes_per_weight": None, "seconds": None}
    text = page("headline", rows)
    assert "| shift | 3 of 3 failed |  |  |  |" in text
    assert "augmentation=shift: The loss is nan." in text


def test_zero_shares():
    rows = made_rows("activations")[:2]
    rows[0]["zero_share_weights"] = 0.3456
    rows[1]["zero_share_weights"] = None
    head, _, first, second = (
        [cell.strip() for cell in line.split("|")]
        for line in tables.table(rows, True, True).splitlines()
    )
    column = head.index("zero w %")
    assert (first[column], second[column]) == ("34.6", "")
