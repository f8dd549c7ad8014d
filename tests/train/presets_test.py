# SPDX-License-Identifier: Apache-2.0
"""Whole runs of the framework's cases, by name and by number."""

import keras
import numpy as np
import pytest

import gxnor_tf
from train import config, loop


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A file of 16x16 images: noise, brighter by label."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.integers(0, 50, (60, 16, 16), np.uint8)
    images += (labels * 90).astype(np.uint8)[:, None, None]
    path = tmp_path_factory.mktemp("data") / "levels.npz"
    np.savez(
        path,
        x_train=images[:48],
        y_train=labels[:48],
        x_test=images[48:],
        y_test=labels[48:],
    )
    return str(path)


@pytest.mark.parametrize(
    ("chosen", "bytes_per_weight"),
    [
        ({"preset": "float"}, 12),
        ({"preset": "bnn"}, 2),
        ({"weight_n": 2, "activation_n": "float"}, 2),
    ],
    ids=str,
)
def test_run_and_resume(chosen, bytes_per_weight, data, tmp_path):
    made = config.Config(
        dataset=data, epochs=1, batch_size=8, width=0.1, **chosen
    )
    content = loop.train(made, tmp_path)
    assert content["state_bytes_per_weight"] == bytes_per_weight
    model = keras.saving.load_model(tmp_path / "model.keras")
    conv = model.get_layer("conv1")
    assert isinstance(conv, gxnor_tf.DiscreteConv2D)
    assert conv.weight_space == made.weight_space
    assert model.get_layer("activation1").space == made.activation_space
    # The settings in the folder are those of the same flags given again.
    again = loop.train(made, tmp_path, resume=True)
    assert again["test_accuracy"] == content["test_accuracy"]
    written = (tmp_path / "config.json").read_text("utf-8")
    assert config.Config.from_json(written) == made
