# SPDX-License-Identifier: Apache-2.0
import os

import pytest

from train.config import Config
from train.errors import UserError
from train.run_folder import RunFolder


def test_resume_removes_what_a_killed_run_left(tmp_path):
    (tmp_path / "config.json").write_text(Config().to_json())
    names = [".model.gxnor-writing-a.keras", ".curves.gxnor-writing-b.png"]
    for name in (*names, ".mine.txt"):
        (tmp_path / name).write_text("half")
    RunFolder(tmp_path, True, Config())
    assert sorted(os.listdir(tmp_path)) == [".mine.txt", "config.json"]


def test_resume_without_a_run(tmp_path):
    with pytest.raises(UserError, match="holds no run to continue"):
        RunFolder(tmp_path / "new", True, Config())


def test_a_run_that_is_there_is_not_begun_anew(tmp_path):
    (tmp_path / "config.json").write_text(Config().to_json())
    with pytest.raises(UserError, match="already holds a run.*Add --resume"):
        RunFolder(tmp_path, False, Config())


def test_other_settings_are_named(tmp_path):
    (tmp_path / "config.json").write_text(Config(seed=3).to_json())
    with pytest.raises(UserError, match="seed=3, now 4"):
        RunFolder(tmp_path, True, Config(seed=4))
