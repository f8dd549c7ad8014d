# SPDX-License-Identifier: Apache-2.0
"""The examples of the README run, one after the other, as they stand there."""

import contextlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import keras
import numpy as np
import pytest

from benchmarks.mcu import published

ROOT = pathlib.Path(__file__).absolute().parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def section(title: str) -> str:
    found = README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert found, title
    return found


def block(title: str, language: str) -> str:
    [found] = re.findall(
        f"(?<!<!-- not run -->\n)```{language}\n(.*?)```",
        section(title),
        flags=re.DOTALL,
    )
    return str(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the examples of Keras and LiteRT have run."""
    folder = tmp_path_factory.mktemp("readme")
    rng = np.random.default_rng(0)
    # In place of MNIST, which would have to be downloaded.
    parts = [
        (rng.integers(0, 256, (n, 28, 28), np.uint8), np.arange(n) % 10)
        for n in (300, 50)
    ]
    namespace = {}
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setattr(keras.datasets.mnist, "load_data", lambda: parts)
        for title in ("In Keras", "In LiteRT"):
            exec(block(title, "python"), namespace)
    return folder, namespace


def test_the_other_source_of_images_has_their_form():
    [text] = re.findall(
        "<!-- not run -->\n```python\n(.*?)```", section("In Keras"), re.DOTALL
    )
    names = {}
    exec(text.replace('"mnist"', '"digits"'), names)
    for images, labels in (names["train"], names["test"]):
        assert images.dtype == np.uint8 and images.ndim == 4
        assert images.shape[0] == len(labels) > 0


def test_keras_and_litert_give_the_same_scores(folder):
    _, names = folder
    interpreter = names["interpreter"]
    output = interpreter.get_output_details()[0]["index"]
    scores = names["model"](names["image"].astype("float32") / 128)
    np.testing.assert_array_equal(interpreter.get_tensor(output), scores)


def test_c_gives_the_same_scores(folder):
    path, names = folder
    export, make, run = (
        line.partition("#")[0].strip()
        for line in block("On a board", "sh").splitlines()
    )
    done = subprocess.run(
        [sys.executable, *shlex.split(export)[1:]],
        cwd=path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    subprocess.run(make, cwd=path, shell=True, check=True, capture_output=True)
    printed = subprocess.run(
        run, cwd=path, shell=True, check=True, capture_output=True, text=True
    ).stdout
    scores = [np.float32(line.split()[1]) for line in printed.splitlines()]
    expected = names["model"](np.zeros((1, 784), np.float32))
    np.testing.assert_array_equal(scores, expected[0])


def test_c_that_the_reader_writes_compiles(folder):
    path, _ = folder
    top, _, body = block("On a board", "c").partition("\n\nif ")
    program = path / "firmware" / "readme.c"
    program.write_text(
        f"{top}\nstatic void halt(void) {{}}\n"
        f"void step(void);\nvoid step(void) {{\n  if {body}}}\n"
    )
    subprocess.run(
        [
            *("cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-c"),
            *("-I.", "-Iinclude", "readme.c", "-o", "readme.o"),
        ],
        cwd=program.parent,
        check=True,
    )


def test_table_beside_others_has_the_recorded_figures():
    text = section("Beside others")
    rows = json.loads((ROOT / "docs" / "kernels" / "avx512.json").read_text())
    [row] = [
        row
        for row in rows
        if (row["workload"], row["threads"], row["density"])
        == ("cifar10", 1, 0.5)
    ]
    for key in ("gxnor_us", "xnnpack_int8_us"):
        assert f"[{row[key] / 1000:.1f} ms](docs/kernels.md)" in text
    # Those of this library, too, are in a table that another test holds.
    names = ("fc_1024_512", "conv3_64_64")
    own = section("On a microcontroller")
    counted = [
        re.search(rf"\| `{name}`[^|]*\|[^|]*\| ([\d.]+) \|", own)[1]
        for name in names
    ]
    cited = [f"{published.INT8_PER_MAC[name]['m4']}" for name in names]
    for pair in (counted, cited):
        assert f"[{', '.join(pair)}](docs/microcontrollers.md)" in text
