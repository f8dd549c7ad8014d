# SPDX-License-Identifier: Apache-2.0
"""Reading arrays from archives that may hold anything."""

import numpy as np
import pytest

from train import files


def test_read_npz_reads_only_what_is_asked_for(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(3), y=np.array([{}], object))
    found = files.read_npz(path, ["x", "z"])
    assert list(found) == ["x"]
    with pytest.raises(files.DamagedError, match="allow_pickle"):
        files.read_npz(path)
    with pytest.raises(FileNotFoundError):
        files.read_npz(tmp_path / "none.npz")
