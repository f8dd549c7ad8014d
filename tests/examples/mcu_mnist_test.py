# SPDX-License-Identifier: Apache-2.0
"""The firmware example, from a Keras model to every emulated core."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.mcu import cores, workloads
from export import files, fusion, reference

pytestmark = [pytest.mark.mcu, pytest.mark.usefixtures("mcu_tools")]

EXAMPLE = cores.BOARD.parent
ROOT = EXAMPLE.parents[1]
BRIGHTNESS = {" ": 0, ".": 85, "+": 170, "#": 255}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The paper's net as C, with the model beside it."""
    folder = tmp_path_factory.mktemp("model")
    workloads.mnist_model(0.5).save(folder / "model.keras")
    subprocess.run(
        [sys.executable, "-m", "export", str(folder / "model.keras")]
        + [f"--c_source={folder / 'c'}"],
        cwd=ROOT,
        check=True,
    )
    return folder


@pytest.fixture(scope="module")
def digit() -> np.ndarray:
    """The pixels of `digit.h`, less 128."""
    rows = re.findall(r'^ +"(.{28})"', (EXAMPLE / "digit.h").read_text(), re.M)
    pixels = [[BRIGHTNESS[letter] - 128 for letter in row] for row in rows]
    return np.array(pixels, np.int8).reshape(1, 28, 28, 1)


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--silent", "-C", str(EXAMPLE), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("core", cores.CORES)
def test_firmware_prints_what_the_reference_finds(
    model: pathlib.Path, digit: np.ndarray, core: str
) -> None:
    done = make(f"CORE={core}", f"MODEL={model / 'c'}", "run")
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    program = fusion.fuse(files.load_model(model / "model.keras"))
    [scores] = reference.run(program, digit).output
    found = re.findall(r"score (\d): +(-?[\d.]+) \(logit (-?\d+)\)", printed)
    assert [int(label) for label, _, _ in found] == list(range(10))
    for (_, score, _), expected in zip(found, scores, strict=True):
        # It prints three digits.
        assert abs(float(score) - expected) <= 0.0006
    assert f"label: {scores.argmax()}\n" in printed
    assert re.search(r"arena: \d+ bytes, stack: \d+ bytes", printed)


def test_unknown_core_is_an_error(model: pathlib.Path) -> None:
    done = make("CORE=m9", f"MODEL={model / 'c'}")
    assert done.returncode != 0
    assert "Received: m9" in done.stderr


def test_folder_without_model_is_an_error(tmp_path: pathlib.Path) -> None:
    done = make(f"MODEL={tmp_path}")
    assert done.returncode != 0
    assert "--c_source=FOLDER" in done.stderr
