# SPDX-License-Identifier: Apache-2.0
"""Pictures of studies, from rows that nobody measured."""

import pytest

from benchmarks.learning import plots, studies
from tests.benchmarks.learning.fake_rows import rows_of

SCOPE = studies.Scope(cifar10="cifar10")


def figures(name, change=lambda rows: None):
    study = studies.STUDIES[name]
    made = rows_of(name, studies.planned(study, SCOPE))
    change(made)
    return made, plots.PLOTS[study.plot](made)


def labels(axes):
    return [text.get_text() for text in axes.get_xticklabels()]


def test_dots():
    made, drawn = figures("recipes")
    (axes,) = drawn[""].axes
    groups = {row["group"] for row in made}
    # A marker and an error bar for validation and for test.
    assert len(axes.containers) == 2 * len(made)
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert len(names) == len(made) + len(groups)
    assert "cross_entropy" in names
    assert any("batch" in name and r"\bf" in name for name in names)
    assert axes.get_xscale() == "log"


def test_a_perfect_case_has_a_dot():
    def perfect(rows):
        rows[0] |= {"validation_mean": 1.0, "test_mean": 1.0}

    _, drawn = figures("recipes", perfect)
    (axes,) = drawn[""].axes
    assert 0 < axes.get_xlim()[0] < 1e-3


def test_curves():
    made, drawn = figures("activations")
    panels = drawn[""].axes
    assert len(panels) == 2 * len({row["group"] for row in made})
    top, bottom = panels[0], panels[4]
    windows = [row for row in made if row["group"] == "zero_window"]
    for container, name in zip(
        top.containers, ("validation", "test"), strict=True
    ):
        line = container.lines[0]
        assert list(line.get_xdata()) == [row["zero_window"] for row in windows]
        assert list(line.get_ydata()) == pytest.approx(
            [100 * row[f"{name}_mean"] for row in windows]
        )
    assert list(bottom.lines[1].get_ydata()) == pytest.approx(
        [100 * row["zero_share_activations"] for row in windows]
    )
    shapes = panels[5].get_legend().get_texts()
    assert [text.get_text() for text in shapes] == ["rectangular", "triangular"]
    assert [len(axes.containers) for axes in drawn["-sparsity"].axes] == [4, 4]


def test_heat_map():
    made, drawn = figures("levels")
    axes, *_ = drawn[""].axes
    assert len(axes.texts) == 25
    (row,) = [r for r in made if (r["weight_n"], r["activation_n"]) == (1, 3)]
    assert axes.images[0].get_array()[1, 3] == pytest.approx(
        100 * row["validation_mean"]
    )


def test_bars_of_several_data_sets():
    made, drawn = figures("baselines")
    panels = drawn[""].axes
    assert [axes.get_title() for axes in panels] == ["mnist", "cifar10"]
    assert [label.split("\n")[0] for label in labels(panels[0])] == [
        *("training=dst", "training=latent", "weight_n=float"),
    ]
    assert panels[0].patches[0].get_height() == pytest.approx(
        100 * (1 - made[0]["validation_mean"])
    )


def test_bars_of_all_cases():
    _, drawn = figures("lengths")
    assert [labels(axes) for axes in drawn[""].axes] == [
        ["epochs=5", "epochs=100"]
    ] * 3


@pytest.mark.parametrize("name", sorted(studies.STUDIES))
def test_files(name, tmp_path):
    study = studies.STUDIES[name]
    made = rows_of(name, studies.planned(study, SCOPE), seeds=1)
    failed = {"validation_mean": None, "failed": 1, "failure": "The loss"}
    made[0] |= failed
    names = plots.draw(study.plot, made, tmp_path)
    assert names[0] == f"{name}.png"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    for row in made:
        row |= failed
    assert plots.draw(study.plot, made, tmp_path) == []
