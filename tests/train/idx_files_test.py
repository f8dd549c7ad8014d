# SPDX-License-Identifier: Apache-2.0
"""IDX files: parsed, checked, and read from a folder, gzipped or not."""

import gzip

import numpy as np
import pytest

from tests.train import idx_samples
from tests.train.idx_samples import idx
from train import idx_files, records
from train.sources import SourceError


def test_parse_idx():
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.testing.assert_array_equal(
        idx_files.parse_idx(idx(array), "name"), array
    )


GOOD = idx(np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "begins with nothing"),
        (GOOD[:3], "no IDX file"),
        (b"\x1f\x8b\x08\x08" + GOOD, "1f 8b 08 08"),
        (b"\0\0\x0d\x01\0\0\0\0", "00 00 0d 01"),
        (b"\0\0\x08\0", "rank 0"),
        (GOOD[:10], "complete"),
        (GOOD[:-1], "announces 6 elements.*5 bytes follow"),
        (GOOD + b"x", "7 bytes follow"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "announces"),
        (b"\0\0\x08\xff" + b"\0\0\0\x01" * 255 + b"x", "rank 255"),
    ],
)
def test_parse_idx_names_a_defective_file(data, message):
    with pytest.raises(SourceError, match=message) as caught:
        idx_files.parse_idx(data, "some-file")
    assert "some-file" in str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
def test_from_folder(tmp_path, packed):
    contents, parts, hashes = idx_samples.files()
    for name, content in contents.items():
        if packed:
            name, content = f"{name}.gz", gzip.compress(content)
        (tmp_path / name).write_bytes(content)
    found = idx_files.from_folder(tmp_path, hashes)
    assert records.digest(*found) == records.digest(*parts)


def test_gzip_that_unpacks_to_too_much(tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(bytes((1 << 26) + 1)))
    with pytest.raises(SourceError, match="x.gz.*more than 67108864 bytes"):
        idx_files.from_folder(tmp_path, {"x": "0" * 64})


def test_damaged_gzip_is_named(tmp_path):
    contents, _, hashes = idx_samples.files()
    for name, content in contents.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    path = tmp_path / f"{idx_files.TEST_IMAGES}.gz"
    good = path.read_bytes()
    for bad in (good[:20], b"text", good[:-1]):
        path.write_bytes(bad)
        with pytest.raises(SourceError, match="t10k-images.*gz is damaged"):
            idx_files.from_folder(tmp_path, hashes)


def test_missing_and_unreadable_files_are_named(tmp_path):
    _, _, hashes = idx_samples.files()
    with pytest.raises(SourceError, match="does not hold train-images"):
        idx_files.from_folder(tmp_path, hashes)
    (tmp_path / idx_files.TRAIN_IMAGES).mkdir()
    with pytest.raises(SourceError, match="train-images.*directory"):
        idx_files.from_folder(tmp_path, hashes)
