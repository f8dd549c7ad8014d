# SPDX-License-Identifier: Apache-2.0
"""Changes zip archives member by member, for a fuzzer.

A byte changed at random makes a wrong checksum and little else. Here a member
is changed and the archive written anew; JSON is changed as a tree.
"""

import io
import json
import random
import zipfile
from collections.abc import Callable
from typing import Any

Members = dict[str, bytes]
"""The content of an archive by name."""

Mutate = Callable[[bytes], bytes]
"""Changes some bytes."""

# No sizes that a machine's memory could not hold: Keras gives a layer what
# its configuration says.
_VALUES = (
    *(None, True, False, -1, 0, 1, 2, 3, 7, 33, 0.5, -0.5, 1e38, float("nan")),
    *("", "x", "same", "valid", "causal", "float32", "int8", "bool", "string"),
    *("channels_first", "channels_last", "glorot_uniform", "relu", "lambda"),
    *([], {}, [2, 2], [None, 4], [0], [[]]),
)


def read(data: bytes) -> Members | None:
    """The members of an archive, None if it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {i.filename: archive.read(i) for i in archive.infolist()}
    except Exception:  # Whatever it is, it is no archive to change.
        return None


def write(members: Members) -> bytes:
    """An archive without compression."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def change(data: bytes, seed: int, mutate: Mutate, repair: Any = None) -> bytes:
    """Changes an archive somewhere.

    Args:
        data: The archive, or what once was one.
        seed: Chooses the place and the change.
        mutate: Changes what is no JSON, and sometimes the file as it is.
        repair: Called with the members, makes checksums right again.

    Returns:
        The changed archive.
    """
    chance = random.Random(seed)
    members = read(data)
    if not members or chance.random() < 0.1:
        return mutate(data)
    name = chance.choice(list(members))
    if name.endswith(".json") and chance.random() < 0.9:
        members[name] = _change_json(members[name], chance, mutate)
    else:
        old, new = members[name], mutate(members[name])
        if chance.random() < 0.7:  # Another length is seen at once.
            new = (new + old[len(new) :])[: len(old)]
        members[name] = new
    if repair is not None and chance.random() < 0.95:
        repair(members)
    return write(members)


def _change_json(
    content: bytes, chance: random.Random, mutate: Mutate
) -> bytes:
    try:
        tree = json.loads(content)
    except ValueError:
        return mutate(content)
    places = list(_places(tree))
    if not places:
        return mutate(content)
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        container, key = chance.choice(places)
        other, other_key = chance.choice(places)
        try:
            match chance.randrange(5):
                case 0:
                    del container[key]
                case 1:
                    container[key] = json.loads(json.dumps(other[other_key]))
                case 2 if isinstance(container, list):
                    container.append(container[key])
                case _:
                    container[key] = chance.choice(_VALUES)
        except LookupError:
            continue  # An earlier change took the place away.
    return json.dumps(tree).encode()


def _places(tree: Any) -> Any:
    """Every (container, key) of a tree."""
    keys = (
        list(tree)
        if isinstance(tree, dict)
        else range(len(tree))
        if isinstance(tree, list)
        else ()
    )
    for key in keys:
        yield tree, key
        yield from _places(tree[key])
