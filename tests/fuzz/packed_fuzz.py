# SPDX-License-Identifier: Apache-2.0
"""`gxnor_tf.load_packed`: damaged files of the right checksums, mostly."""

import hashlib
import json
import pathlib

from tests.fuzz import archives, keras_memory, python_fuzzer

with python_fuzzer.load():
    import gxnor_tf


def one_input(data: bytes, folder: str) -> None:
    """Loads a model, which is whole or none."""
    keras_memory.forget_models()
    path = pathlib.Path(folder) / "x.packed"
    path.write_bytes(data)
    try:
        model = gxnor_tf.load_packed(path)
    except ValueError:
        return
    for variable in model.variables:
        if isinstance(variable, gxnor_tf.DiscreteVariable):
            assert variable.space.contains(variable.numpy())


def repair(members: archives.Members) -> None:
    """Makes the checksums right, where the metadata still has them."""
    try:
        metadata = json.loads(members["metadata.json"])
        metadata["config_sha256"] = _sha256(members["config.json"])
        for group in ("variables", "optimizer"):
            for number, entry in enumerate(metadata[group]):
                entry["sha256"] = _sha256(members[f"{group}/{number:05}"])
    except (KeyError, TypeError, ValueError):
        return
    members["metadata.json"] = json.dumps(metadata).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def mutate(data: bytes, seed: int, change: archives.Mutate) -> bytes:
    """Changes a member and makes the checksums right again."""
    return archives.change(data, seed, change, repair)


if __name__ == "__main__":
    python_fuzzer.run(one_input, mutate)
