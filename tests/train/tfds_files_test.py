# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Datasets, with a stand-in for it; nothing is fetched."""

import socket
import sys
import types

import numpy as np
import pytest

from train import records, tfds_files
from train.sources import SourceError


class Tfds:
    """Stands for the package and for a builder of it."""

    def __init__(self, monkeypatch, parts):
        self.parts, self.prepared, self.asked = parts, True, None
        self.url_infos = {"http://example.org/a.gz": None}
        module = types.ModuleType("tensorflow_datasets")
        module.builder = self.builder
        module.as_numpy = lambda split: split
        monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)

    def builder(self, name, data_dir):
        self.asked = name, data_dir
        return self

    def is_prepared(self):
        return self.prepared

    def download_and_prepare(self):
        raise RuntimeError("404\nmore lines")

    def as_dataset(self, split, batch_size):
        assert batch_size == -1
        return self.parts[split]


@pytest.fixture
def tfds(monkeypatch):
    rng = np.random.default_rng(0)

    def part(size):
        images = rng.integers(0, 256, (size, 4, 4, 3), np.uint8)
        return {"image": images, "label": np.arange(size) % 3}

    return Tfds(monkeypatch, {"train": part(7), "test": part(3)})


def test_both_parts_in_canonical_order(tfds, tmp_path):
    found = tfds_files.load("name", tmp_path)
    assert tfds.asked == ("name", tmp_path / "tensorflow_datasets")
    wanted = [records.canonical(*p.values()) for p in tfds.parts.values()]
    assert records.digest(*found) == records.digest(*wanted)
    tfds_files.load("name")
    assert tfds.asked == ("name", None)


def test_sizes_are_checked(tfds):
    found = tfds_files.load_sized("name", (7, 3), (4, 4, 3))
    assert [len(part) for part in found] == [7, 3]
    for sizes, shape in (((7, 4), (4, 4, 3)), ((7, 3), (4, 4, 1))):
        with pytest.raises(SourceError, match="not those of name.*7, 4, 4, 3"):
            tfds_files.load_sized("name", sizes, shape)


def test_what_tfds_raises_is_a_reason(tfds, monkeypatch):
    tfds.prepared = False
    monkeypatch.setattr(tfds_files, "check_reachable", lambda urls: None)
    with pytest.raises(SourceError, match=r"^RuntimeError: 404$"):
        tfds_files.load("name")


def test_an_unreachable_host_is_not_waited_for(tfds, monkeypatch):
    tfds.prepared = False

    def refuse(urls):
        assert list(urls) == ["http://example.org/a.gz"]
        raise SourceError("no route")

    monkeypatch.setattr(tfds_files, "check_reachable", refuse)
    with pytest.raises(SourceError, match="no route"):
        tfds_files.load("name")


def test_unreachable_host_is_a_reason(monkeypatch):
    asked = []

    def refuse(address, timeout):
        asked.append((address, timeout))
        raise OSError("no route")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    with pytest.raises(SourceError, match="example.org.*no route"):
        tfds_files.check_reachable(["https://example.org/a.gz"])
    assert asked[0][0] == ("example.org", 443)
    assert 0 < asked[0][1] < 10
    # Behind a proxy the host need not be reachable from here.
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "p"})
    tfds_files.check_reachable(["https://example.org/a.gz"])
    assert len(asked) == 1
