# SPDX-License-Identifier: Apache-2.0
"""Reading arrays from archives that may hold anything."""

import zipfile

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


NPY = b"\x93NUMPY\x01\x00"


@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        ("x", b"no array", "member `x` is no array"),
        ("x.npy", b"no array", "member `x` is no array"),
        # What its parsers of the header raise.
        ("x.npy", NPY + b"\x03\0(1,", "TokenError|ValueError"),
        ("x.npy", NPY + b"\x03\0  )", "Error"),
    ],
)
def test_archives_of_something_else(member, content, message, tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
    with pytest.raises(files.DamagedError, match=message):
        files.read_npz(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_read_npz_refuses_what_unpacks_without_measure(method, tmp_path):
    """By bzip2, 254 bytes would become 20 million."""
    path = tmp_path / "a.npz"
    np.save(tmp_path / "x.npy", np.zeros(20_000_000, np.uint8))
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.write(tmp_path / "x.npy", "x.npy")
    assert path.stat().st_size < 10_000
    with pytest.raises(files.DamagedError, match="`x.npy` is compressed in an"):
        files.read_npz(path)
    np.savez_compressed(path, x=np.arange(3))
    assert files.read_npz(path)["x"].tolist() == [0, 1, 2]
