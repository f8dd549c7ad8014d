# SPDX-License-Identifier: Apache-2.0
"""Places tried one after the other, and where downloads go."""

import pytest

from tests.train import idx_samples
from train import records, sources


def unavailable():
    raise sources.SourceError("no network")


def test_the_first_place_with_the_right_records_is_taken():
    _, right, _ = idx_samples.files(0)
    _, wrong, _ = idx_samples.files(1)
    digest = records.digest(*right)
    places = {"a": unavailable, "b": lambda: wrong, "c": lambda: right}
    found, place = sources.first("Sample", places, digest)
    assert place == "c"
    assert records.digest(*found) == digest
    del places["c"]
    with pytest.raises(sources.UnavailableError) as caught:
        sources.first("Sample", places, digest)
    first, second = caught.value.reasons
    assert first == "a: no network"
    assert "b: its records are not Sample's" in second and digest in second


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GXNOR_TF_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    folder = sources.cache_folder
    assert folder(None) == tmp_path / "home" / ".cache" / "gxnor_tf"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert folder(None) == tmp_path / "xdg" / "gxnor_tf"
    monkeypatch.setenv("GXNOR_TF_CACHE", str(tmp_path / "own"))
    assert folder(None) == tmp_path / "own"
    assert folder(tmp_path / "given") == tmp_path / "given"
