# SPDX-License-Identifier: Apache-2.0
"""The picture of the README shows what the benchmarks have measured."""

import pathlib

from PIL import Image

from tools import overview


def drawn(path: pathlib.Path) -> str:
    with Image.open(path) as picture:
        assert len(picture.convert("L").getcolors()) > 10
        return str(picture.text["Description"])


def test_picture_is_up_to_date():
    assert drawn(overview.PICTURE) == overview.description(overview.panels()), (
        "run `python -m tools.overview` and look at the picture"
    )


def test_another_figure_is_another_picture(tmp_path):
    training, *others = overview.panels()
    (ours, _, is_ours), *rest = training.bars
    changed = (overview.Panel("a", "b", ((ours, 3.0, is_ours), *rest)), *others)
    overview.draw(changed, tmp_path / "a.png")
    assert drawn(tmp_path / "a.png") != drawn(overview.PICTURE)
