# SPDX-License-Identifier: Apache-2.0
"""Latent weights: rounded forward, straight through backward, clipped."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf import DiscreteSpace
from train import latent

SPACES = [DiscreteSpace(0), DiscreteSpace(1), DiscreteSpace(3, 2.0)]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_rounded_forward_and_straight_through_backward(space):
    x = tf.linspace(-1.5 * space.half_range, 1.5 * space.half_range, 101)
    upstream = tf.random.stateless_normal((101,), (0, 0))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = latent.rounded(x, space)
    np.testing.assert_array_equal(
        y, space.nearest_states(x).numpy() * space.unit
    )
    np.testing.assert_array_equal(tape.gradient(y, x, upstream), upstream)


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda **k: latent.LatentDense(4, **k), (5, 6)),
        (lambda **k: latent.LatentConv2D(4, 3, **k), (5, 6, 6, 2)),
    ],
    ids=["dense", "conv"],
)
def test_layers_compute_with_the_values(make, shape, space):
    keras.utils.set_random_seed(0)
    layer = make(
        latent_space=space,
        kernel_initializer=latent.initializer(space, "uniform"),
    )
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    found = layer(x)
    assert layer.kernel.dtype == "float32"
    (states,) = latent.states_of(layer)
    assert states.dtype == np.int8 and space.contains(states)
    assert len(np.unique(states)) > space.num_states / 2
    kernel = states * np.float32(space.unit)
    wanted = (
        x @ kernel if len(shape) == 2 else tf.nn.conv2d(x, kernel, 1, "VALID")
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_weights_are_clipped_after_each_step():
    space = DiscreteSpace(1, 0.5)
    layer = latent.LatentDense(3, latent_space=space)
    model = keras.Sequential([keras.Input((4,)), layer])
    model.compile(keras.optimizers.Adam(10.0), "mse")
    before = layer.kernel.numpy()
    model.fit(np.ones((8, 4)), np.full((8, 3), 9.0), verbose=0)
    after = layer.kernel.numpy()
    assert (after != before).all()
    assert np.abs(after).max() == 0.5


def test_training_moves_the_states():
    space = DiscreteSpace(1)
    layer = latent.LatentDense(
        1,
        latent_space=space,
        kernel_initializer=latent.initializer(space, "rounded"),
    )
    model = keras.Sequential([keras.Input((6,)), layer])
    model.compile(keras.optimizers.Adam(0.05), "mse")
    wanted = np.array([1, 0, -1, 0, 1, 1.0])
    x = np.random.default_rng(0).normal(size=(64, 6))
    model.fit(x, x @ wanted, epochs=60, batch_size=16, verbose=0)
    (states,) = latent.states_of(layer)
    np.testing.assert_array_equal(states[:, 0], wanted)


@pytest.mark.parametrize("initial_weights", ["uniform", "rounded"])
def test_initial_states_are_those_of_dst(initial_weights):
    space = DiscreteSpace(1)
    values = latent.initializer(space, initial_weights)((30_000,))
    states = space.nearest_states(values).numpy()
    outer = {"uniform": 1 / 3, "rounded": 1 / 4}[initial_weights]
    for state in (-1, 1):
        assert np.mean(states == state) == pytest.approx(outer, abs=0.01)


def test_layers_can_be_saved(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            latent.LatentConv2D(4, 3, latent_space=DiscreteSpace(2, 2.0)),
            keras.layers.Flatten(),
            latent.LatentDense(3, latent_space=DiscreteSpace(0)),
        ]
    )
    x = np.random.default_rng(0).normal(size=(5, 6, 6, 2)).astype("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert loaded.layers[0].latent_space == DiscreteSpace(2, 2.0)
    assert loaded.layers[0].kernel_constraint.half_range == 2.0


def test_other_layers_keep_their_weights():
    layer = keras.layers.Dense(3)
    layer.build((2, 4))
    for found, wanted in zip(
        latent.states_of(layer), layer.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)
