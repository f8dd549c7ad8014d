# SPDX-License-Identifier: Apache-2.0
"""No file that is read can run code: a walk over every call and import.

It must find nothing in the packages, and the planted line in each of the bad
examples below.
"""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).absolute().parents[1]
PACKAGES = ("gxnor_tf", "train", "export", "benchmarks", "examples", "tools")

# They run what is in a file, or can.
MODULES = {
    *("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib"),
    *("marshal", "shelve", "jsonpickle", "yaml", "torch", "code", "codeop"),
    "runpy",
}
FUNCTIONS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {"enable_unsafe_deserialization", "func_load", "unpickle"}
KEYWORDS = {"allow_pickle": False, "safe_mode": True}
"""Arguments, and the only constant that they may have."""


def violations(source: str) -> list[str]:
    """What in a source file could run what another file holds."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
            found += [a.name for a in node.names if a.name in ATTRIBUTES]
        found += [n for n in names if n.partition(".")[0] in MODULES]
        if isinstance(node, ast.Name) and node.id in FUNCTIONS | ATTRIBUTES:
            found.append(node.id)
        if isinstance(node, ast.Attribute):
            if node.attr in ATTRIBUTES:
                found.append(node.attr)
            if (
                isinstance(node.value, ast.Name)
                and node.value.id == "builtins"
                and node.attr in FUNCTIONS
            ):
                found.append(node.attr)
        if isinstance(node, ast.keyword) and node.arg in KEYWORDS:
            wanted = KEYWORDS[node.arg]
            if not (
                isinstance(node.value, ast.Constant)
                and node.value.value is wanted
            ):
                found.append(f"{node.arg}={ast.unparse(node.value)}")
    return found


def test_no_package_runs_what_a_file_holds() -> None:
    paths = [p for name in PACKAGES for p in (ROOT / name).rglob("*.py")]
    assert len(paths) > 50
    found = {
        str(path.relative_to(ROOT)): bad
        for path in paths
        if (bad := violations(path.read_text()))
    }
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, pickle as p",
        "from pickle import loads",
        "def f():\n    import dill.session",
        "eval(text)",
        "call = exec",
        "import builtins\nbuiltins.eval(text)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "np.load(path, allow_pickle=1)",
        "keras.models.load_model(path, safe_mode=False)",
        "keras.models.load_model(path, safe_mode=not flag)",
        "keras.config.enable_unsafe_deserialization()",
        "from keras.config import enable_unsafe_deserialization",
    ],
)
def test_planted(source: str) -> None:
    assert len(violations(source)) >= 1


@pytest.mark.parametrize(
    "source",
    [
        "model.compile(optimizer)",
        "re.compile(text)",
        "np.load(path, allow_pickle=False)",
        "keras.models.load_model(path, safe_mode=True)",
        "from . import code",
    ],
)
def test_harmless(source: str) -> None:
    assert violations(source) == []
