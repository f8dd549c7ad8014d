# SPDX-License-Identifier: Apache-2.0
"""Files are complete or not there."""

import os
import stat

import numpy as np
import pytest

from train import files


def test_replaces_a_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with files.replacing(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".json"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["report.json"]


def test_failure_keeps_the_old_file(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.json"]


def test_mode_is_that_of_an_ordinary_file(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.write_text("")
    files.write_text(tmp_path / "written", "text")
    modes = [
        stat.S_IMODE((tmp_path / name).stat().st_mode)
        for name in ("ordinary", "written")
    ]
    assert modes[0] == modes[1]


def test_read_npz_reads_only_what_is_asked_for(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(3), y=np.array([{}], object))
    found = files.read_npz(path, ["x", "z"])
    assert list(found) == ["x"]
    with pytest.raises(files.DamagedError, match="allow_pickle"):
        files.read_npz(path)
    with pytest.raises(FileNotFoundError):
        files.read_npz(tmp_path / "none.npz")
