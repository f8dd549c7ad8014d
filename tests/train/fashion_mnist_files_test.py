# SPDX-License-Identifier: Apache-2.0
"""Fashion-MNIST's sources, with small stand-ins; nothing is fetched."""

import gzip

import pytest

from tests.train import idx_samples
from train import datasets, fashion_mnist_files, records, tfds_files
from train.errors import UserError
from train.sources import SourceError, UnavailableError


@pytest.fixture
def places(monkeypatch, tmp_path):
    """Folders for the cache and for Debian's files, both empty."""
    _, parts, hashes = idx_samples.files()
    debian = tmp_path / "debian"
    debian.mkdir()
    for name, value in (
        ("FILES_SHA256", hashes),
        ("RECORDS_SHA256", records.digest(*parts)),
        ("_DEBIAN_FOLDER", debian),
    ):
        monkeypatch.setattr(fashion_mnist_files, name, value)

    def no_network(name, data_dir):
        raise SourceError("no network")

    monkeypatch.setattr(tfds_files, "load", no_network)
    return tmp_path / "cache", debian


def fill(folder, seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in idx_samples.files(seed)[0].items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))


def test_debian_then_the_user_s_folder(places):
    cache, debian = places
    fill(debian)
    parts, source = fashion_mnist_files.load(cache)
    assert source == "Debian package dataset-fashion-mnist"
    assert records.digest(*parts) == fashion_mnist_files.RECORDS_SHA256
    fill(cache / "fashion_mnist")
    assert fashion_mnist_files.load(cache)[1] == "cached IDX files"
    assert datasets.load("fashion_mnist", cache).name == "fashion_mnist"


def test_mnist_s_files_of_the_same_names_are_refused(places):
    cache, debian = places
    fill(debian, seed=1)
    with pytest.raises(UnavailableError, match="train-images.*is damaged"):
        fashion_mnist_files.load(cache)


def test_tfds_that_gives_mnist_is_refused(places, monkeypatch):
    cache, _ = places
    asked = []

    def mnist(name, data_dir):
        asked.append((name, data_dir))
        return idx_samples.files(1)[1]

    monkeypatch.setattr(tfds_files, "load", mnist)
    with pytest.raises(UserError, match="records are not Fashion-MNIST's"):
        datasets.load("fashion_mnist", cache)
    assert asked == [("fashion_mnist", cache)]
    monkeypatch.setattr(tfds_files, "load", lambda *_: idx_samples.files()[1])
    assert fashion_mnist_files.load(cache)[1] == "TensorFlow Datasets"
