# SPDX-License-Identifier: Apache-2.0
"""Reads models from files and writes exports to them."""

import contextlib
import hashlib
import os
import pathlib
from collections.abc import Collection, Mapping
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
    except Exception as error:  # NumPy's parsers have many of their own.
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


def check_folder(path: str | os.PathLike[str]) -> None:
    """Raises OSError if files could not be written into a folder."""
    path = pathlib.Path(path)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(
            f"`{path}` is no folder. Choose another path, or move it away."
        )
    folder = next(one for one in (path, *path.parents) if one.exists())
    if not folder.is_dir():
        raise NotADirectoryError(
            f"`{path}` cannot be made, for `{folder}` is no folder. Choose "
            "another path, or move it away."
        )
    if not os.access(folder, os.W_OK):
        raise PermissionError(
            f"The folder `{folder}` is not writable. Choose another one."
        )


def write_folder(
    path: str | os.PathLike[str],
    texts: Mapping[str, str],
    examples: Collection[str],
    mark: str,
) -> list[str]:
    """Writes files into a folder, all of them or none.

    Args:
        path: The folder, which is made if need be.
        texts: The text of each file by its path in the folder.
        examples: Those that a user may change, `sealed`: one that is not as an
            export wrote it is kept.
        mark: Stands in the first line of files that may be replaced, of those
            that have it in their new text, too.

    Returns:
        The examples that were kept.

    Raises:
        OSError: If a file cannot be written, or would replace one without the
            mark; what was there before stays.
    """
    path = pathlib.Path(path)
    check_folder(path)
    kept = []
    for name in texts:
        if name in examples:
            if (path / name).is_file() and not _is_sealed(path / name, mark):
                kept.append(name)
        elif _is_foreign(path / name, texts[name], mark):
            raise FileExistsError(
                f"`{path / name}` was not written by an export and would be "
                "lost. Move it away, or choose another folder or name."
            )
    made: list[pathlib.Path] = []
    try:
        for name in texts:
            _make_folders((path / name).parent, made)
        with contextlib.ExitStack() as stack:
            # They take their names when all have been written.
            for name in texts.keys() - set(kept):
                check_writable(path / name)
                temporary = stack.enter_context(replacing(path / name))
                temporary.write_text(texts[name], "ascii")
    except BaseException as error:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError) and error.strerror is not None:
            raise OSError(
                error.errno, f"`{path}` cannot be written ({error.strerror})"
            ) from error
        raise
    return kept


def _is_foreign(path: pathlib.Path, text: str, mark: str) -> bool:
    """Whether a file would be replaced that lacks the mark of its new text."""
    if mark not in text.partition("\n")[0] or not path.is_file():
        return False
    return mark.encode() not in path.read_bytes().partition(b"\n")[0]


def sealed(text: str, mark: str) -> str:
    """A text with a digest of it behind the mark, which tells changes."""
    return text.replace(mark, f"{mark} {_digest(text)}", 1)


def _is_sealed(path: pathlib.Path, mark: str) -> bool:
    """Whether a file is as it was sealed."""
    text = path.read_bytes().decode("ascii", "replace")
    _, _, behind = text.partition("\n")[0].partition(f"{mark} ")
    digest = behind[: len(_digest(""))]
    return _digest(text.replace(f"{mark} {digest}", mark, 1)) == digest


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _make_folders(path: pathlib.Path, made: list[pathlib.Path]) -> None:
    """Makes a folder and those above it, and lists which."""
    missing = [
        folder for folder in (path, *path.parents) if not folder.exists()
    ]
    for folder in reversed(missing):
        folder.mkdir()
        made.append(folder)
