# SPDX-License-Identifier: Apache-2.0
import pathlib
import subprocess

import numpy as np
import pytest

from export import ExportError
from export.c_source import tflite_array
from tests.export.compilers import host_compiler, need

PRINT_ARRAY = """
#include <stdio.h>
#include <stdint.h>

#include "data.h"

int main(void) {
  fwrite(data, 1, data_bytes, stdout);
  return (int)((uintptr_t)data % 16);
}
"""


@pytest.mark.parametrize("size", [1, 12, 13, 5000])
@pytest.mark.parametrize("language", ["c", "c++"])
def test_array_is_the_file(
    language: str, size: int, tmp_path: pathlib.Path
) -> None:
    content = np.random.default_rng(size).bytes(size)
    for name, text in tflite_array.array_files(content, "data").items():
        (tmp_path / name).write_text(text)
    (tmp_path / "print.c").write_text(PRINT_ARRAY)
    command, standard = host_compiler(), "c99"
    if language == "c++":
        need("g++")
        command, standard = ["g++", "-x", "c++"], "c++11"
    subprocess.run(
        [*command, f"-std={standard}", "-pedantic", "-Wall", "-Wextra"]
        + ["-Werror", "print.c", "data.c", "-o", "print"],
        cwd=tmp_path,
        check=True,
        timeout=60,
    )
    printed = subprocess.run(
        [str(tmp_path / "print")], capture_output=True, check=True
    ).stdout
    assert printed == content


def test_wrong_name() -> None:
    with pytest.raises(ExportError, match="must be an identifier"):
        tflite_array.array_files(b"", "a.b")
