# SPDX-License-Identifier: Apache-2.0
"""Finding and loading the delegate's library, and its options."""

import importlib.metadata
import importlib.resources
import pathlib
import sys
import types
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import interpreter as litert

from export import delegate, packing
from export.op_schema import Conv2DOptions
from tests.export import helpers

pytestmark = pytest.mark.filterwarnings(
    r"ignore:\s*Warning. tf.lite.Interpreter is deprecated:UserWarning"
)


def test_unknown_options() -> None:
    path = str(delegate.get_delegate_path())
    for load in (litert.load_delegate, tf.lite.experimental.load_delegate):
        with pytest.raises(ValueError, match="`kernels` only.*: mode=1"):
            load(path, {"mode": 1, "log": 2})
        with pytest.raises(ValueError, match="portable. Received: kernels=mmx"):
            load(path, {"kernels": "mmx"})


def test_tensorflow_loads_the_delegate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    loaded = delegate.load_delegate()
    assert type(loaded).__module__.startswith("tensorflow")
    options = Conv2DOptions(
        input_channels=3, output_channels=33, kernel_height=3, kernel_width=2
    )
    problem = helpers.make_problem(options, packed=True)
    started = litert.Interpreter(
        model_content=helpers.one_op_model(problem),
        experimental_delegates=[loaded],
    )
    np.testing.assert_array_equal(
        started.get_signature_runner()(x=problem.input)["y"],
        packing.pack_activations(problem.states),
    )


def test_delegate_needs_a_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match="ai-edge-litert and tensorflow"):
        delegate.load_delegate()


def test_variable_names_a_missing_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "absent.so"
    monkeypatch.setenv(delegate.LIBRARY_VARIABLE, str(path))
    with pytest.raises(FileNotFoundError, match="GXNOR_DELEGATE_LIBRARY") as e:
        delegate.load_delegate()
    assert str(path) in str(e.value)


def installed_in(
    monkeypatch: pytest.MonkeyPatch,
    package: pathlib.Path,
    site_packages: pathlib.Path,
) -> None:
    """Pretends an installation in these folders."""

    def distribution(name: str) -> Any:
        return types.SimpleNamespace(locate_file=site_packages.joinpath)

    monkeypatch.delenv(delegate.LIBRARY_VARIABLE, raising=False)
    monkeypatch.setattr(importlib.resources, "files", lambda name: package)
    monkeypatch.setattr(importlib.metadata, "distribution", distribution)


def test_installed_library_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    package, site_packages = tmp_path / "package", tmp_path / "site"
    installed_in(monkeypatch, package, site_packages)
    with pytest.raises(FileNotFoundError, match="Run `pip install .`") as e:
        delegate.get_delegate_path()
    assert str(package / delegate.LIBRARY_NAME) in str(e.value)
    # Behind a checkout that hides the installed package.
    hidden = site_packages / "gxnor_tf" / "export" / delegate.LIBRARY_NAME
    hidden.parent.mkdir(parents=True)
    hidden.touch()
    assert delegate.get_delegate_path() == hidden
    # In the package, which comes first.
    package.mkdir()
    (package / delegate.LIBRARY_NAME).touch()
    assert delegate.get_delegate_path() == package / delegate.LIBRARY_NAME


def test_library_is_missing_in_a_bare_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    def files(name: str) -> pathlib.Path:
        if name == "gxnor_tf.export":
            raise ModuleNotFoundError(name)
        return tmp_path

    def distribution(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    installed_in(monkeypatch, tmp_path, tmp_path)
    monkeypatch.setattr(importlib.resources, "files", files)
    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    with pytest.raises(FileNotFoundError, match="Run `pip install .`"):
        delegate.load_delegate()


def test_library_is_garbage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / delegate.LIBRARY_NAME
    path.write_bytes(b"\x7fELF and then nothing of the kind")
    monkeypatch.setenv(delegate.LIBRARY_VARIABLE, str(path))
    with pytest.raises(OSError, match="cannot be loaded.*pip install") as e:
        delegate.load_delegate()
    assert str(path) in str(e.value)


def test_library_is_no_delegate(monkeypatch: pytest.MonkeyPatch) -> None:
    import _ctypes  # Any shared library will do.

    monkeypatch.setenv(delegate.LIBRARY_VARIABLE, _ctypes.__file__)
    with pytest.raises(OSError, match="lacks tflite_plugin_create_delegate"):
        delegate.load_delegate()


def test_headers_are_found() -> None:
    assert (delegate.get_include() / "gxnor" / "types.h").is_file()
