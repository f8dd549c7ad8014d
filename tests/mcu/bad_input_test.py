# SPDX-License-Identifier: Apache-2.0
"""Bad input on every core: an error code, and no write where none belongs."""

import dataclasses
import pathlib

import keras
import numpy as np
import pytest

import gxnor_tf
from benchmarks.mcu import cores, layers
from export import convert_to_c
from export.op_schema import Conv2DOptions

pytestmark = pytest.mark.mcu

SOURCE = pathlib.Path(__file__).with_name("bad_input.c")
OPTIONS = Conv2DOptions(
    input_channels=40,
    output_channels=40,
    kernel_height=3,
    kernel_width=3,
    pad_top=1,
    pad_left=1,
)


def test_model_refuses_its_arena(bench: cores.Bench) -> None:
    """The C program checks each status, and that nothing was written."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            gxnor_tf.DiscreteConv2D(33, 3),
            keras.layers.BatchNormalization(),
            gxnor_tf.DiscreteActivation(),
            keras.layers.Flatten(),
            gxnor_tf.DiscreteDense(10),
        ]
    )
    folder = bench.folder / "bad_input"
    convert_to_c(model).write(folder)
    objects = cores.compile_c(
        bench.core,
        [SOURCE, folder / "model.c"],
        folder / "objects",
        [*cores.WARNINGS, f"-I{folder}"],
    )
    image = folder / "bad_input.elf"
    cores.link(bench.core, [*objects, *bench.objects], image)
    assert cores.run(bench.core, image) == "all refused\n"


@pytest.mark.parametrize("input_bits", [2, 8])
def test_words_that_no_exporter_writes(
    bench: cores.Bench, input_bits: int
) -> None:
    """Every bit random: P and Z both set, plus and minus, any thresholds."""
    rng = np.random.default_rng(0)
    good = layers.convolution(
        OPTIONS, (7, 6), density=0.5, input_bits=input_bits
    )
    bad = dataclasses.replace(
        good,
        input=rng.integers(-128, 128, good.input.nbytes).astype(np.int8),
        weights=random_words(rng, good.weights),
        thresholds=random_words(rng, good.thresholds),
    )
    image = bench.folder / f"random-{input_bits}.elf"
    ways = list(layers.Way)
    layers.build_image(bench.core, [bad], bench.objects, image, ways)
    runs = layers.run_image(bench.core, [bad], image)
    assert len(runs) == len(ways)
    for run in runs:
        assert run.fault.startswith("wrong words"), run.fault
        assert "outside" not in run.fault


def random_words(rng: np.random.Generator, words: np.ndarray) -> np.ndarray:
    return rng.integers(-(2**31), 2**31, words.shape).astype(np.int32)
