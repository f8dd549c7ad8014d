# SPDX-License-Identifier: Apache-2.0
"""Files are complete or not there."""

import os
import stat

import pytest

from gxnor_tf.files import replacing


def test_replaces_a_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with replacing(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".json"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["report.json"]


def test_failure_keeps_the_old_file(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.json"]


def test_mode_is_that_of_an_ordinary_file(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.write_text("")
    with replacing(tmp_path / "written") as temporary:
        temporary.write_text("text")
    modes = [
        stat.S_IMODE((tmp_path / name).stat().st_mode)
        for name in ("ordinary", "written")
    ]
    assert modes[0] == modes[1]
