# SPDX-License-Identifier: Apache-2.0
"""Finds and loads the delegate that runs the custom ops on a host."""

import ctypes
import importlib
import importlib.metadata
import importlib.resources
import itertools
import os
import pathlib
import types
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

LIBRARY_NAME: Final = "libgxnor_delegate.so"
LIBRARY_VARIABLE: Final = "GXNOR_DELEGATE_LIBRARY"
"""Environment variable with the path of another build of the library."""

_ENTRY_POINTS: Final = (
    "tflite_plugin_create_delegate",
    "tflite_plugin_destroy_delegate",
    "gxnor_delegate_kernels",
    "gxnor_delegate_memory",
)
_CURE: Final = (
    "Run `pip install .` in the checkout, which compiles the library, or let "
    f"the environment variable {LIBRARY_VARIABLE} name one."
)


def load_delegate(kernels: str = "auto") -> Any:
    """Loads the delegate for the custom ops.

    One delegate may serve several interpreters, in several threads. Each uses
    as many threads as its argument `num_threads` says; what it computes does
    not depend on that, nor on the kernels.

    Args:
        kernels: Which kernels to run: one of `get_kernels()`, `"auto"` for
            the first of them, or `"reference"` for the plain C ones that
            microcontrollers run, which need no packed copy of the weights.

    Returns:
        A delegate for the argument `experimental_delegates` of
        `ai_edge_litert.interpreter.Interpreter` and
        `tf.lite.Interpreter`, whichever is used.

    Raises:
        FileNotFoundError: If the library is missing.
        OSError: If the library cannot be loaded.
        ImportError: If neither ai-edge-litert nor TensorFlow is installed.
        ValueError: If `kernels` are unknown, or not for this processor.
    """
    path = get_delegate_path()
    _open_library(path)
    # The runtimes' loaders would fail, too, with another text around ours.
    names = ("auto", "reference", *get_kernels())
    if kernels not in names:
        raise ValueError(
            f"`kernels` must be one of {', '.join(names)} on this processor. "
            f"Received: kernels={kernels!r}"
        )
    return _load_runtime().load_delegate(str(path), {"kernels": kernels})


def get_kernels() -> tuple[str, ...]:
    """Names the kernels that this processor can run, best first.

    `load_delegate` takes these and `"auto"` and `"reference"`.

    Raises:
        FileNotFoundError: If the library is missing.
        OSError: If the library cannot be loaded.

    Example:
    >>> get_kernels()[-1]
    'portable'
    """
    name_of = _open_library(get_delegate_path()).gxnor_delegate_kernels
    name_of.argtypes = [ctypes.c_size_t]
    name_of.restype = ctypes.c_char_p
    names = itertools.takewhile(bool, map(name_of, itertools.count()))
    return tuple(name.decode() for name in names)


class DelegateMemory(NamedTuple):
    """Bytes that delegates hold.

    Attributes:
        weights: Packed weights and thresholds.
        scratch: Buffers that an invocation uses.
    """

    weights: int
    scratch: int


def get_delegate_memory() -> DelegateMemory:
    """Counts the bytes that the delegates of this process hold.

    They are those of all interpreters whose tensors are allocated.

    Raises:
        FileNotFoundError: If the library is missing.
        OSError: If the library cannot be loaded.

    Example:
    >>> get_delegate_memory()
    DelegateMemory(weights=0, scratch=0)
    """
    count = _open_library(get_delegate_path()).gxnor_delegate_memory
    count.argtypes = [ctypes.c_int32]
    count.restype = ctypes.c_size_t
    return DelegateMemory(count(0), count(1))


def get_delegate_path() -> pathlib.Path:
    """Finds the delegate library.

    Returns:
        The path in the environment variable `GXNOR_DELEGATE_LIBRARY` if it
        is set, else that of the library in the installed package.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    override = os.environ.get(LIBRARY_VARIABLE)
    if override:
        path = pathlib.Path(override)
        if not path.is_file():
            raise FileNotFoundError(
                f"There is no file {path}, which the environment variable "
                f"{LIBRARY_VARIABLE} names. Correct or unset it."
            )
        return path
    paths = list(_installed_paths())
    for path in paths:
        if path.is_file():
            return path
    raise FileNotFoundError(f"There is no delegate library {paths[0]}. {_CURE}")


def get_include() -> pathlib.Path:
    """Finds the headers of the C kernels.

    Returns:
        The folder for a C compiler's `-I`; the headers are `gxnor/*.h`.
        The sources are in the folder `src` beside it, and the custom ops for
        TensorFlow Lite Micro in `tflite_micro/gxnor_ops.h`.

    Example:
    >>> (get_include() / "gxnor" / "conv2d.h").is_file()
    True
    """
    return pathlib.Path(__file__).absolute().parent / "runtime" / "include"


def _installed_paths() -> Iterator[pathlib.Path]:
    """Where the package build may have put the library.

    Never beside this file: an editable install has this file in the checkout
    and the library elsewhere.
    """
    try:
        package = importlib.resources.files("gxnor_tf.export")
    except ModuleNotFoundError:  # A checkout has `export` at the top.
        package = importlib.resources.files(__package__)
    yield pathlib.Path(str(package / LIBRARY_NAME))
    # In a checkout its own modules hide those of an installed package.
    try:
        installed = importlib.metadata.distribution("gxnor_tf")
    except importlib.metadata.PackageNotFoundError:
        return
    file = installed.locate_file(f"gxnor_tf/export/{LIBRARY_NAME}")
    yield pathlib.Path(str(file))


def _open_library(path: pathlib.Path) -> ctypes.CDLL:
    """Loads a library and checks that it is a delegate.

    The runtimes' own loaders would fail, too, but without a cure, and with a
    second error from a finalizer.
    """
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise OSError(
            f"The delegate library {path} cannot be loaded: {error}. {_CURE}"
        ) from error
    missing = [name for name in _ENTRY_POINTS if not hasattr(library, name)]
    if missing:
        raise OSError(
            f"{path} is no delegate library, for it lacks "
            f"{', '.join(missing)}. {_CURE}"
        )
    return library


def _load_runtime() -> types.SimpleNamespace | types.ModuleType:
    """Loads a module that has `load_delegate`."""
    try:
        return importlib.import_module("ai_edge_litert.interpreter")
    except ImportError:
        pass
    try:
        tensorflow = importlib.import_module("tensorflow")
    except ImportError as error:
        raise ImportError(
            "A delegate needs a runtime. Install one of the packages "
            "ai-edge-litert and tensorflow."
        ) from error
    return types.SimpleNamespace(
        load_delegate=tensorflow.lite.experimental.load_delegate
    )
