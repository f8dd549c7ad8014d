# SPDX-License-Identifier: Apache-2.0
"""Nets with random weights whose activations have a density asked for."""

import statistics

import keras
import numpy as np
import numpy.typing as npt


def images(shape: tuple[int, ...], count: int) -> npt.NDArray[np.float32]:
    """Images of noise, `(count, *shape)`, in steps of 1/128."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (count, *shape))
    return ((pixels - 128) / 128).astype(np.float32)


def zero_window(density: float) -> float:
    """The window of zeros that leaves this share of activations non-zero.

    Normalized sums are about N(0, 1), also behind a max-pool.
    """
    zeros = 1 - density
    return statistics.NormalDist().inv_cdf(0.5 + zeros / 2)


def settle(model: keras.Model, x: npt.NDArray[np.float32]) -> None:
    """Gives the normalizations the statistics of these inputs."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(x, training=True)
