# SPDX-License-Identifier: Apache-2.0
"""Files of arrays: IDX, plain and gzipped, `.npz` and `.npy`.

The first byte says which: i, g, z or n.
"""

import pathlib

import numpy as np

from tests.fuzz import archives, python_fuzzer

with python_fuzzer.load():
    from export import files as export_files
    from train import files, idx_files
    from train.sources import SourceError


def one_input(data: bytes, folder: str) -> None:
    """Reads one file."""
    path = pathlib.Path(folder)
    kind, content = data[:1], data[1:]
    if kind == b"i":
        _parse(content)
    elif kind == b"g":
        (path / "x.gz").write_bytes(content)
        try:
            idx_files.from_folder(path, {"x": "0" * 64})
        except SourceError:
            return
        raise AssertionError("Content with another checksum was read.")
    elif kind == b"z":
        (path / "x.npz").write_bytes(content)
        try:
            arrays = files.read_npz(path / "x.npz")
        except files.DamagedError:
            return
        assert not any(array.dtype.hasobject for array in arrays.values())
    else:
        (path / "x.npy").write_bytes(content)
        try:
            array = export_files.read_npy(path / "x.npy")
        except ValueError:
            return
        assert array.dtype == np.float32


def _parse(content: bytes) -> None:
    try:
        array = idx_files.parse_idx(content, "x")
    except SourceError:
        return
    assert array.size == len(content) - 4 - 4 * array.ndim


def mutate(data: bytes, seed: int, change: archives.Mutate) -> bytes:
    """Changes an archive inside, all else as it is."""
    if data[:1] == b"z":
        return b"z" + archives.change(data[1:], seed, change)
    return change(data)


if __name__ == "__main__":
    python_fuzzer.run(one_input, mutate)
