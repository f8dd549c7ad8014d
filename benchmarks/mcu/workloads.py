# SPDX-License-Identifier: Apache-2.0
"""What is counted: single layers, and whole nets."""

import functools
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping

import keras
import numpy as np

import gxnor_tf
from benchmarks import random_nets
from benchmarks.mcu import layers, nets
from export import files
from export.op_schema import Conv2DOptions
from train import datasets, models, pipeline, recipes

DENSITIES = (0.33, 0.5, 0.62, 1.0)

_ROOT = pathlib.Path(__file__).absolute().parents[2]
_IMAGE_SHAPE = (28, 28, 1)
_KEYWORD_SHAPE = (49, 10, 1)
_KEYWORDS = 12
_CLASSES = 10
_CALIBRATION_INPUTS = 64
_INPUTS = 3
_EPOCHS = 3


def _square(
    size: int, inputs: int, outputs: int, kernel: int, pad: int = 0
) -> tuple[Conv2DOptions, int]:
    """A convolution of a square image with a square kernel."""
    options = Conv2DOptions(
        input_channels=inputs,
        output_channels=outputs,
        kernel_height=kernel,
        kernel_width=kernel,
        pad_top=pad,
        pad_bottom=pad,
        pad_left=pad,
        pad_right=pad,
    )
    return options, size


LAYERS: Mapping[str, tuple[Conv2DOptions, int]] = {
    "fc_1024_512": _square(1, 1024, 512, 1),
    "conv5_32_64": _square(12, 32, 64, 5),
    "conv3_64_64": _square(16, 64, 64, 3, pad=1),
    "conv3_128_128": _square(8, 128, 128, 3, pad=1),
    "first5_1_32": _square(28, 1, 32, 5),
    "first3_3_32": _square(32, 3, 32, 3, pad=1),
}
"""Layers by name: the convolution, height and width of its input."""


@functools.cache
def layer(name: str, density: float) -> layers.Layer:
    """A layer of `LAYERS` with random data.

    Args:
        name: Its name. If it begins with `first`, the inputs are int8.
        density: Share of inputs that are not 0; where they are int8, of
            weights, which decide there.
    """
    options, size = LAYERS[name]
    first = name.startswith("first")
    return layers.convolution(
        options,
        (size, size),
        density=1 if first else density,
        weight_density=density if first else 0.5,
        input_bits=8 if first else 2,
        fully_connected=size == 1,
        name=name,
    )


def mnist_model(density: float) -> keras.Model:
    """The paper's MNIST net with random weights, from their density."""
    window = random_nets.zero_window(density)
    keras.utils.set_random_seed(0)
    config = recipes.from_recipe("mnist", zero_window=window)
    return _settled(models.build(config, _IMAGE_SHAPE, _CLASSES))


def keyword_model(density: float) -> keras.Model:
    """A net of the size of MLPerf Tiny's DS-CNN, with random weights.

    Its input is 49 frames of 10 features, its first layer 10x4, then come four
    depthwise separable ones of 64 channels. The average pool before the last
    layer is a max-pool here.
    """
    window = random_nets.zero_window(density)

    def block(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
        return [
            layer,
            keras.layers.BatchNormalization(),
            gxnor_tf.DiscreteActivation(zero_window=window),
        ]

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input(_KEYWORD_SHAPE),
            *block(
                gxnor_tf.DiscreteConv2D(64, (10, 4), strides=2, padding="same")
            ),
        ]
    )
    for _ in range(4):
        for layer in (
            *block(gxnor_tf.DiscreteDepthwiseConv2D(3, padding="same")),
            *block(gxnor_tf.DiscreteConv2D(64, 1)),
        ):
            model.add(layer)
    for layer in (
        gxnor_tf.MaxPooling2D(5),
        keras.layers.Flatten(),
        gxnor_tf.DiscreteDense(_KEYWORDS),
        keras.layers.BatchNormalization(),
    ):
        model.add(layer)
    return _settled(model)


NETS: Mapping[str, Callable[[float], keras.Model]] = {
    "mnist_random": mnist_model,
    "keyword_random": keyword_model,
}
"""Models by name, from the density of their activations."""


def net(name: str, density: float) -> nets.Net:
    """A net of `NETS`, on inputs of noise."""
    model = NETS[name](density)
    inputs = random_nets.images(model.input_shape[1:], _INPUTS) * 128
    return nets.from_keras(model, inputs.astype(np.int8))


def trained_net(model: str | None, dataset: str) -> nets.Net:
    """A trained net, on the first test images of a data set.

    Args:
        model: A `.keras` file; None to train the paper's MNIST net briefly.
        dataset: Name of a data set of `train`.

    Raises:
        export.ExportError: If the model has no form in C.
        ValueError: If the file is no model.
        train.errors.UserError: If the data set cannot be had.
    """
    if model is not None:
        loaded = files.load_model(pathlib.Path(model))
    else:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                [
                    *(sys.executable, "-m", "train.mnist"),
                    f"--output_dir={folder}",
                    f"--dataset={dataset}",
                    f"--epochs={_EPOCHS}",
                ],
                cwd=_ROOT,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            loaded = files.load_model(pathlib.Path(folder) / "model.keras")
    images = datasets.load(dataset).test.images[:_INPUTS]
    return nets.from_keras(loaded, pipeline.int8_inputs(images))


def _settled(model: keras.Model) -> keras.Model:
    random_nets.settle(
        model, random_nets.images(model.input_shape[1:], _CALIBRATION_INPUTS)
    )
    return model
