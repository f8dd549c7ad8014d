# SPDX-License-Identifier: Apache-2.0
"""Reads models from files and writes exports to them."""

import os
import pathlib
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

import gxnor_tf  # noqa: F401  (registers the layers)
from gxnor_tf.files import replacing


def load_model(path: str | os.PathLike[str]) -> keras.Model:
    """Loads a `.keras` file.

    Args:
        path: The file.

    Returns:
        The model, not compiled.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or no Keras model.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no model file `{path}`. Give a `.keras` file that "
            "`model.save()` wrote."
        )
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:
        raise ValueError(
            f"`{path}` cannot be read as a Keras model; it may be damaged, "
            f"cut off, or of another version. Save the model again. ({error})"
        ) from error


def read_tflite(path: str | os.PathLike[str]) -> bytes:
    """Reads a `.tflite` file.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file `{path}`. Give a `.tflite` file that was "
            "exported before."
        )
    return path.read_bytes()


def read_npy(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Reads the array of an `.npy` file, without unpickling anything.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no plain array of numbers.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file `{path}`. Give an `.npy` file that `np.save` "
            "wrote."
        )
    try:
        array = np.lib.format.open_memmap(path, mode="r")
        return np.array(array, np.float32)
    except (ValueError, TypeError, OSError, EOFError) as error:
        raise ValueError(
            f"`{path}` holds no array of numbers; it may be damaged. Write it "
            f"with `np.save`. ({error})"
        ) from error


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raises OSError if a file could not be written at `path`."""
    path = pathlib.Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            f"`{path}` is a folder. Give the name of a file in it."
        )
    if path.exists() and not path.is_file():
        raise OSError(
            f"`{path}` is no regular file, which cannot be replaced. Choose "
            "another path."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"The folder `{path.parent}` does not exist. Create it first."
        )
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(
            f"The folder `{path.parent}` is not writable. Choose another "
            "output path."
        )


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file whole or not at all.

    Args:
        path: The file; an existing one is replaced at the end.
        data: Its content.

    Raises:
        OSError: If it cannot be written; what was there before stays.
    """
    path = pathlib.Path(path)
    check_writable(path)
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise OSError(
            error.errno, f"`{path}` cannot be written ({error.strerror})"
        ) from error
