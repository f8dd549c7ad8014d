# SPDX-License-Identifier: Apache-2.0
"""Options of a custom op: a flexbuffer map of integers with a version.

Every key must be there and no other may be, so that a reader never guesses.
"""

import dataclasses
import struct
from typing import Any, ClassVar, Self

from flatbuffers import flexbuffers

VERSION = 1
MAX_SIZE = 2**31 - 1
"""Largest option value and largest number of elements of a tensor."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What the options of all ops have in common.

    A subclass has a field for each option; names that contain `pad_` may be
    0, all others are at least 1.

    Raises:
        TypeError: If a value is not an int.
        ValueError: If a value is out of range.
    """

    custom_code: ClassVar[str]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least = 0 if "pad_" in field.name else 1
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(
                    f"{self.custom_code}: `{field.name}` must be an int. "
                    f"Received: {field.name}={value!r}"
                )
            if not least <= value <= MAX_SIZE:
                raise ValueError(
                    f"{self.custom_code}: `{field.name}` must be in "
                    f"{least}..{MAX_SIZE}. Received: {field.name}={value}"
                )

    def to_bytes(self) -> bytes:
        """Writes the options as the flexbuffer of the `.tflite` file."""
        options = {"version": VERSION, **dataclasses.asdict(self)}
        return bytes(flexbuffers.Dumps(options))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads the options from the flexbuffer of a `.tflite` file.

        Args:
            data: The custom options of an op.

        Returns:
            The options.

        Raises:
            ValueError: If `data` is not a flexbuffer map, the version is
                unknown, an option is missing or unknown, or a value is not
                an integer in its range.
        """
        try:
            options = _read_map(data)
        except (
            LookupError,
            OverflowError,
            TypeError,
            ValueError,
            struct.error,
        ) as error:
            raise ValueError(
                f"{cls.custom_code}: the options are not a flexbuffer map of "
                f"integers: the file is damaged. Received {len(data)} bytes "
                f"({error})"
            ) from error
        version = options.pop("version", None)
        if version != VERSION:
            raise ValueError(
                f"{cls.custom_code}: the option `version` must be {VERSION}: "
                "export the model again, or update gxnor_tf. "
                f"Received: version={version}"
            )
        expected = {field.name for field in dataclasses.fields(cls)}
        if expected != options.keys():
            raise ValueError(
                f"{cls.custom_code}: version {VERSION} has other options. "
                f"Missing: {sorted(expected - options.keys())}. "
                f"Unknown: {sorted(options.keys() - expected)}"
            )
        try:
            return cls(**options)
        except TypeError as error:  # A flexbuffer has other types than int.
            raise ValueError(str(error)) from error


def _read_map(data: bytes) -> dict[str, Any]:
    """Reads a flexbuffer map of scalars from bytes that may be anything."""
    root = flexbuffers.GetRoot(data)
    if not root.IsMap:
        raise ValueError("the root is not a map")
    entries = root.AsMap
    keys = entries.Keys
    # A damaged size must not become a loop of 2^64 rounds.
    if not len(entries) == len(keys) <= len(data):
        raise ValueError("the sizes of keys and values differ")
    options: dict[str, Any] = {}
    for key, value in zip(keys, entries.Values, strict=True):
        name = key.AsKey
        if name in options or not value.IsInt:
            raise ValueError(f"{name!r} is there twice or is no integer")
        options[name] = value.AsInt
    return options
