# SPDX-License-Identifier: Apache-2.0
"""Every defect of a user's own data set is named."""

import io
import zipfile

import numpy as np
import pytest

from tests.train.npz_samples import arrays, write
from train import datasets
from train.errors import UserError


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="does not exist.*none.npz"):
        datasets.load(str(tmp_path / "none.npz"))
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    with pytest.raises(UserError, match="does not exist.*folder.npz"):
        datasets.load(str(folder))


def saved(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"PK\x03\x04 and then nothing", saved(np.zeros(3))],
    ids=["empty", "text", "zip header", "npy"],
)
def test_file_that_is_none(tmp_path, content):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match="bad.npz is not a complete .npz"):
        datasets.load(str(path))


def test_file_cut_anywhere(tmp_path):
    content = (tmp_path / write(tmp_path / "good.npz")).read_bytes()
    path = tmp_path / "cut.npz"
    for length in range(0, len(content) - 1, 97):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match="cut.npz is not a complete"):
            datasets.load(str(path))


def test_damaged_bytes_never_give_wrong_data(tmp_path):
    content = (tmp_path / write(tmp_path / "good.npz")).read_bytes()
    wanted = datasets.load(str(tmp_path / "good.npz")).digest
    path = tmp_path / "damaged.npz"
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(content), 150):
        damaged = bytearray(content)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            digest = datasets.load(str(path)).digest
        except UserError:
            continue
        assert digest == wanted  # Bytes that nothing reads, such as a date.


def test_pickles_are_not_unpickled(tmp_path):
    path = write(tmp_path / "own.npz", y_test=np.array([{}] * 9, object))
    with pytest.raises(UserError, match="plain arrays.*allow_pickle"):
        datasets.load(path)


def test_member_with_a_wrong_header(tmp_path):
    path = tmp_path / "own.npz"
    lies = saved(np.zeros((2, 2), np.uint8)).replace(b"(2, 2)", b"(9, 9)")
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays().items():
            archive.writestr(f"{name}.npy", saved(array))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning):
        archive.writestr("x_test.npy", lies)
    with pytest.raises(UserError, match="own.npz is not a complete"):
        datasets.load(str(path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, "Missing: y_test"),
        ({"x_train": None, "y_train": None}, "Missing: x_train, y_train"),
        (
            {"x_train": np.zeros((30, 6, 5, 3), np.float32)},
            "`x_train`.*uint8.*float32",
        ),
        ({"x_test": np.zeros((9, 6, 5, 3), np.int8)}, "`x_test`.*int8"),
        ({"x_train": np.zeros((30, 30), np.uint8)}, r"`x_train`.*\(30, 30\)"),
        ({"x_test": np.zeros((9, 6, 5, 1, 1), np.uint8)}, "`x_test`.*shape"),
        ({"x_train": np.zeros((30, 0, 5), np.uint8)}, "`x_train`.*shape"),
        ({"y_train": np.zeros(30)}, "`y_train`.*integer.*float64"),
        ({"y_train": np.zeros(29, int)}, r"`y_train`.*30 images.*\(29,\)"),
        ({"y_test": np.zeros((9, 3), int)}, r"`y_test`.*\(9, 3\)"),
        ({"y_train": np.zeros(30, int)}, "`y_train`.*2 to 1000 classes.*0"),
        ({"y_train": np.arange(30) - 1}, "`y_train`.*from -1 to 28"),
        ({"y_train": np.arange(30) * 50}, "`y_train`.*to 1450"),
        ({"y_test": np.arange(9)}, "`y_test`.*0 to 2.*from 0 to 8"),
        ({"y_test": np.arange(9) - 8}, "`y_test`.*from -8"),
        ({"x_test": np.zeros((9, 5, 5, 3), np.uint8)}, "`x_test`.*5, 5, 3"),
        ({"x_test": np.zeros((9, 6, 5), np.uint8)}, "`x_test`.*of x_train"),
        (
            {
                "x_test": np.zeros((0, 6, 5, 3), np.uint8),
                "y_test": np.zeros(0, int),
            },
            "`x_test`.*at least one",
        ),
        (
            {
                "x_train": np.zeros((5, 6, 5, 3), np.uint8),
                "y_train": np.arange(5) % 3,
            },
            "`validation_share` must leave.*0.1667 of the 5 training images",
        ),
    ],
)
def test_defects_are_named(tmp_path, changes, message):
    path = write(tmp_path / "own.npz", **changes)
    with pytest.raises(UserError, match=message) as caught:
        datasets.load(path)
    assert path in str(caught.value)
