# SPDX-License-Identifier: Apache-2.0
"""Keras models in one file, their discrete weights in as few bits as needed.

The file is a zip archive without compression:

- `metadata.json`: format, version, and a list of all arrays: name, shape,
  dtype, space (null for ordinary variables) and SHA-256.
- `config.json`: the model as `keras.saving.serialize_keras_object` gives it.
- `variables/00000`, ...: the variables of the model, and `optimizer/00000`,
  ... those of its optimizer. States of a discrete space are packed as in
  `bit_packing.py`; everything else is raw, little-endian and row-major.

Nothing in it is code or a pickle.
"""

import dataclasses
import hashlib
import json
import math
import os
import pathlib
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from gxnor_tf import _compat
from gxnor_tf.discrete_space import DiscreteSpace
from gxnor_tf.discrete_variable import DiscreteVariable
from gxnor_tf.files import replacing
from gxnor_tf.layer_tree import all_layers
from gxnor_tf.packed.bit_packing import pack_states, packed_size, unpack_states

FORMAT = "gxnor_tf packed model"
VERSION = 1

_CONFIG = "config.json"
_METADATA = "metadata.json"


@dataclasses.dataclass(frozen=True)
class _Entry:
    """One array of the file, as the metadata describes it."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    space: DiscreteSpace | None
    sha256: str

    @property
    def size(self) -> int:
        """Bytes in the file."""
        count = math.prod(self.shape)
        if self.space is not None:
            return packed_size(count, self.space)
        return count * np.dtype(self.dtype).itemsize

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: Any) -> "_Entry":
        entry = cls(**content)
        shape = tuple(entry.shape)
        if any(type(size) is not int or size < 0 for size in shape):
            raise ValueError(f"shape={shape}")
        space = (
            None
            if entry.space is None
            else DiscreteSpace.from_config(entry.space)
        )
        entry = dataclasses.replace(entry, shape=shape, space=space)
        _ = entry.size  # Raises for a dtype that does not exist.
        return entry


def save_packed(
    model: keras.Model,
    path: str | os.PathLike[str],
    include_optimizer: bool = True,
) -> None:
    """Saves a model with packed weights: architecture and all variables.

    Binary weights take 1 bit, ternary 2, those of n >= 2 levels n + 1. All
    other variables are stored as they are. `load_packed` gives a model with
    the same bits in every variable. The file is written whole or not at all,
    and the same model always gives the same bytes.

    Args:
        model: A built model that Keras can serialise: Sequential, functional,
            or a registered class with a `get_config`.
        path: The file to write; its folder must exist.
        include_optimizer: Whether the optimizer with its moments (in int8, 1
            byte per weight, by default), loss and metrics go in, too. Without
            them the loaded model is not compiled. The state of an optimizer
            that does not train exactly the model's trainable variables, as
            after freezing a layer, is left out with a warning; the loaded
            model's optimizer then starts anew.

    Raises:
        ValueError: If the model is not built, holds a Python lambda, which is
            never stored, a variable that is no array of numbers, or a layer
            with other state, such as a vocabulary.
        OSError: If the file cannot be written.

    Example:

    >>> from gxnor_tf import DiscreteDense
    >>> model = keras.Sequential([keras.Input((100,)), DiscreteDense(400)])
    >>> save_packed(model, folder / "model.packed")
    >>> 10_000 < (folder / "model.packed").stat().st_size < 12_500
    True
    >>> loaded = load_packed(folder / "model.packed")
    >>> bool(np.all(loaded.get_weights()[0] == model.get_weights()[0]))
    True
    """
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(
            "`model` must be a built Keras model: give it a `keras.Input` or "
            f"call it once. Received: {model!r}"
        )
    config = keras.saving.serialize_keras_object(model)
    if not include_optimizer:
        config.pop("compile_config", None)
    if _has_lambda(config):
        raise ValueError(
            f"Model `{model.name}` holds a Python lambda, which is code and "
            "not stored. Use a named function that is registered with "
            "`keras.saving.register_keras_serializable`."
        )
    for name, layer in all_layers(model).items():
        # They keep what they have learned elsewhere than in variables.
        if hasattr(layer, "adapt") and not isinstance(
            layer, keras.layers.Normalization
        ):
            raise ValueError(
                f"Layer `{name}` ({type(layer).__name__}) has state besides "
                "its variables, which would be lost. Put it before the model, "
                "or save the model with `model.save`."
            )
    # A model that was never compiled has no such attribute.
    optimizer = getattr(model, "optimizer", None) if include_optimizer else None
    groups = {
        "variables": model.variables,
        "optimizer": _state(optimizer, model) if optimizer else [],
    }
    members: dict[str, bytes] = {_CONFIG: json.dumps(config).encode()}
    metadata: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "keras_version": keras.__version__,
        "config_sha256": _sha256(members[_CONFIG]),
    }
    for group, variables in groups.items():
        metadata[group] = []
        for number, variable in enumerate(variables):
            data = _to_bytes(variable)
            members[_member(group, number)] = data
            entry = _describe(variable, _sha256(data))
            metadata[group].append(entry.to_json())
    members = {_METADATA: json.dumps(metadata, indent=1).encode()} | members
    with (
        replacing(pathlib.Path(path)) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
    ):
        for name, data in members.items():
            # A ZipInfo of its own has a fixed date.
            archive.writestr(zipfile.ZipInfo(name), data)


def _state(
    optimizer: keras.optimizers.Optimizer, model: keras.Model
) -> list[keras.Variable]:
    """The variables of an optimizer, if a loaded one would have the same."""
    if not optimizer.built:
        return []  # It has not run and has nothing to keep.
    trained = _compat.trained_variables(optimizer)
    if [id(v) for v in trained] != [id(v) for v in model.trainable_variables]:
        warnings.warn(
            f"The state of {type(optimizer).__name__} is not saved: it trains "
            f"{len(trained)} variables, which are not the "
            f"{len(model.trainable_variables)} that `{model.name}` would train "
            "after loading (were layers frozen since?). The loaded model's "
            "optimizer starts anew; compile the model again, or give "
            "`include_optimizer=False`.",
            stacklevel=3,
        )
        return []
    state: list[keras.Variable] = optimizer.variables
    return state


def load_packed(
    path: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    include_optimizer: bool = True,
) -> keras.Model:
    """Loads a model that `save_packed` saved.

    All of the file is checked before the model is filled: checksums, shapes,
    dtypes, and every state against its space. Keras' safe mode is on.

    Args:
        path: The file.
        custom_objects: Classes and functions of the model by name, if they
            are not registered.
        include_optimizer: Whether to load optimizer, loss and metrics, if the
            file has them. Without them the model is not compiled.

    Returns:
        A new model, compiled if its optimizer was saved and is loaded.

    Raises:
        OSError: If the file does not exist or cannot be opened.
        ValueError: If the file is no packed model, damaged or cut, or its
            configuration and its arrays do not fit each other.
    """
    path = pathlib.Path(path)
    try:
        metadata, config, arrays = _read(path)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # What zipfile, json and NumPy raise.
        raise ValueError(
            f"`{path}` is no intact packed model: {error}. Save it anew with "
            "`gxnor_tf.save_packed`, or copy it again."
        ) from error
    if not include_optimizer:
        arrays["optimizer"] = []
        if isinstance(config, dict):
            config.pop("compile_config", None)
    try:
        model = keras.saving.deserialize_keras_object(
            config, custom_objects=custom_objects, safe_mode=True
        )
    except Exception as error:
        raise ValueError(
            f"The model in `{path}`, saved by Keras "
            f"{metadata['keras_version']}, cannot be made by Keras "
            f"{keras.__version__}: {error}. Register its own classes with "
            "`keras.saving.register_keras_serializable`, or pass them as "
            "`custom_objects`."
        ) from error
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"`{path}` holds no Keras model. Received: {type(model).__name__}"
        )
    groups = {"variables": model.variables}
    if arrays["optimizer"]:
        optimizer = getattr(model, "optimizer", None)
        groups["optimizer"] = optimizer.variables if optimizer else []
    # Two passes, so that a model is filled with everything or not at all.
    for group, variables in groups.items():
        _check_fit(
            path, group, variables, [entry for entry, _ in arrays[group]]
        )
    for group, variables in groups.items():
        for variable, (_, array) in zip(variables, arrays[group], strict=True):
            variable.assign(array)
    for layer in all_layers(model).values():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # It computes with copies.
    return model


_Arrays = dict[str, list[tuple[_Entry, npt.NDArray[Any]]]]


def _read(path: pathlib.Path) -> tuple[dict[str, Any], Any, _Arrays]:
    """Reads and checks all that can be checked without Keras."""
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        _check_sizes(infos, path.stat().st_size)
        metadata = json.loads(archive.read(_METADATA))
        if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
            raise ValueError("it is another kind of zip archive")
        if metadata["version"] != VERSION:
            raise ValueError(
                f"it has version {metadata['version']} of the format, and "
                f"this gxnor_tf reads version {VERSION}"
            )
        entries = {
            group: [_Entry.from_json(entry) for entry in metadata[group]]
            for group in ("variables", "optimizer")
        }
        sizes = {
            _member(group, number): entry.size
            for group, described in entries.items()
            for number, entry in enumerate(described)
        }
        found = [info.filename for info in infos]
        if sorted(found) != sorted([_METADATA, _CONFIG, *sizes]):
            raise ValueError("its members are not those that it lists")
        for name, size in sizes.items():
            if archive.getinfo(name).file_size != size:
                raise ValueError(
                    f"`{name}` has {archive.getinfo(name).file_size} bytes "
                    f"instead of {size}"
                )
        config = archive.read(_CONFIG)
        _check_digest(_CONFIG, config, metadata["config_sha256"])
        arrays: _Arrays = {group: [] for group in entries}
        for group, described in entries.items():
            for number, entry in enumerate(described):
                data = archive.read(_member(group, number))
                _check_digest(entry.name, data, entry.sha256)
                arrays[group].append((entry, _from_bytes(data, entry)))
        metadata["keras_version"] = str(metadata["keras_version"])
        return metadata, json.loads(config), arrays


def _check_sizes(infos: Sequence[zipfile.ZipInfo], file_size: int) -> None:
    """Nothing may unpack to more than the file holds."""
    for info in infos:
        if (
            info.compress_type != zipfile.ZIP_STORED
            or info.compress_size != info.file_size
        ):
            raise ValueError(f"`{info.filename}` is compressed")
    total = sum(info.file_size for info in infos)
    if total > file_size:
        raise ValueError(
            f"it declares {total} bytes of content in {file_size} bytes"
        )


def _check_digest(name: str, data: bytes, expected: str) -> None:
    if _sha256(data) != expected:
        raise ValueError(f"the checksum of `{name}` is wrong")


def _check_fit(
    path: pathlib.Path,
    group: str,
    variables: Sequence[keras.Variable],
    entries: Sequence[_Entry],
) -> None:
    """Raises ValueError if a file's arrays are not those of the model."""
    owner = "model" if group == "variables" else "optimizer"
    if len(variables) != len(entries):
        hint = (
            ""
            if owner == "model"
            else " `include_optimizer=False` loads the model without it."
        )
        raise ValueError(
            f"`{path}` does not fit its own {owner}: it has {len(entries)} "
            f"variables of the {owner}, which has {len(variables)}.{hint}"
        )
    for variable, entry in zip(variables, entries, strict=True):
        wanted = _describe(variable, entry.sha256)
        if group == "optimizer":
            # Named after the path of what it belongs to, see `_describe`.
            wanted = dataclasses.replace(wanted, name=entry.name)
        if wanted != entry:
            raise ValueError(
                f"`{path}` does not fit its own {owner}: variable "
                f"`{variable.path}` is {wanted.name} {wanted.dtype} "
                f"{wanted.shape} of {wanted.space}, the file has "
                f"{entry.name} {entry.dtype} {entry.shape} of {entry.space}."
            )


def _describe(variable: keras.Variable, sha256: str) -> _Entry:
    return _Entry(
        # The path begins with the names of what a layer was built in, which
        # may differ after loading.
        name=variable.name,
        shape=tuple(variable.shape),
        dtype=keras.backend.standardize_dtype(variable.dtype),
        space=getattr(variable, "space", None),
        sha256=sha256,
    )


def _to_bytes(variable: keras.Variable) -> bytes:
    array: npt.NDArray[Any] = variable.numpy()
    if isinstance(variable, DiscreteVariable):
        return pack_states(array, variable.space)
    if array.dtype.hasobject:
        raise ValueError(
            f"`{variable.path}` is no array of numbers and cannot be stored. "
            f"Received: dtype={variable.dtype}"
        )
    return array.tobytes()


def _from_bytes(data: bytes, entry: _Entry) -> npt.NDArray[Any]:
    if entry.space is not None:
        states = unpack_states(data, math.prod(entry.shape), entry.space)
        return states.reshape(entry.shape)
    return np.frombuffer(data, entry.dtype).reshape(entry.shape)


def _has_lambda(config: Any) -> bool:
    if isinstance(config, dict):
        return config.get("class_name") == "__lambda__" or any(
            _has_lambda(value) for value in config.values()
        )
    return isinstance(config, (list, tuple)) and any(map(_has_lambda, config))


def _member(group: str, number: int) -> str:
    return f"{group}/{number:05}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
