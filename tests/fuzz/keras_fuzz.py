# SPDX-License-Identifier: Apache-2.0
"""`python -m export MODEL.keras --output=FILE`, with other configurations.

The weights stay as they are, for libhdf5 reads them, which is not ours.
"""

import pathlib

from tests.fuzz import archives, keras_memory, python_fuzzer

with python_fuzzer.load():
    from export import __main__ as command_line
    from export import inspection


def one_input(data: bytes, folder: str) -> None:
    """Exports a model, or says what is wrong with it."""
    keras_memory.forget_models()
    path, output = (pathlib.Path(folder) / f"x.{end}" for end in ("keras", "t"))
    output.unlink(missing_ok=True)
    path.write_bytes(data)
    status = command_line.main([str(path), f"--output={output}"])
    assert output.exists() == (status == 0)
    if status == 0:
        assert inspection.inspect(output.read_bytes())


def mutate(data: bytes, seed: int, change: archives.Mutate) -> bytes:
    """Changes the configuration."""

    def keep(members: archives.Members) -> None:
        members.update(weights)

    before = archives.read(data) or {}
    weights = {k: v for k, v in before.items() if k.endswith(".h5")}
    return archives.change(data, seed, change, keep)


if __name__ == "__main__":
    python_fuzzer.run(one_input, mutate)
