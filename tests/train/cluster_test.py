# SPDX-License-Identifier: Apache-2.0
"""TF_CONFIG: read as TensorFlow reads it, refused where it is wrong."""

import json

import pytest

from train.cluster import Cluster
from train.errors import UserError

TWO = ["a:1", "b:2"]


def read(monkeypatch, content):
    text = content if isinstance(content, str) else json.dumps(content)
    monkeypatch.setenv("TF_CONFIG", text)
    return Cluster.from_environment()


def config(jobs, kind="worker", index=0):
    return {"cluster": jobs, "task": {"type": kind, "index": index}}


@pytest.mark.parametrize(
    ("content", "addresses", "rank"),
    [
        (config({"worker": TWO}), ("a:1", "b:2"), 0),
        (config({"worker": TWO}, index=1), ("a:1", "b:2"), 1),
        (config({"worker": TWO, "chief": ["c:3"]}), ("c:3", "a:1", "b:2"), 1),
        (
            config({"worker": TWO, "chief": ["c:3"]}, "chief"),
            ("c:3", "a:1", "b:2"),
            0,
        ),
    ],
)
def test_first_process_is_the_chief(monkeypatch, content, addresses, rank):
    cluster = read(monkeypatch, content)
    assert (cluster.addresses, cluster.rank) == (addresses, rank)
    assert cluster.is_chief == (rank == 0)


def test_missing(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(UserError, match="needs the environment variable TF_C"):
        Cluster.from_environment()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no JSON"),
        ("[]", "wrong type"),
        ({}, "'cluster' is missing"),
        ({"cluster": {"worker": TWO}}, "'task' is missing"),
        (
            {"cluster": {"worker": TWO}, "task": {"index": 0}},
            "'type' is missing",
        ),
        (config({"worker": TWO, "ps": ["c:3"]}), "a job 'ps' has no part"),
        (config({"worker": TWO}, "chief"), "no job 'chief'"),
        (config({"worker": TWO}, index=2), r"in 0\.\.1, and is 2"),
        (config({"worker": TWO}, index="0"), "and is '0'"),
        (config({"worker": TWO}, index=-1), "and is -1"),
        (config({"worker": ["a:1", "a:1"]}), "the same address"),
        (config({"worker": ["a"]}), "'a' is no host:port"),
        (config({"worker": 5}), "wrong type"),
    ],
)
def test_wrong(monkeypatch, content, message):
    with pytest.raises(UserError, match=f"TF_CONFIG is wrong.*{message}"):
        read(monkeypatch, content)
