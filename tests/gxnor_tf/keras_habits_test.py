# SPDX-License-Identifier: Apache-2.0
"""Discrete layers in the ways in which people use Keras models."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import gxnor_tf


def net(**kwargs):
    return keras.Sequential(
        [
            keras.Input((6,)),
            gxnor_tf.DiscreteDense(8, name="first", **kwargs),
            keras.layers.BatchNormalization(),
            gxnor_tf.DiscreteActivation(),
            gxnor_tf.DiscreteDense(2, name="last", dtype="float32"),
        ]
    )


def fit(model):
    model.compile(gxnor_tf.DiscreteStateTransition(0.3), "mse")
    x = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
    model.fit(x, np.ones((64, 2)), verbose=0)
    return model


def test_frozen_layer_stays():
    model = net()
    model.get_layer("first").trainable = False
    before = [layer.get_weights()[0] for layer in model.layers[::3]]
    fit(model)
    after = [layer.get_weights()[0] for layer in model.layers[::3]]
    assert (before[0] == after[0]).all()
    assert (before[1] != after[1]).any()


def test_layer_made_frozen_thaws(tmp_path):
    model = net(trainable=False, use_bias=True)
    layer = model.get_layer("first")
    before = layer.get_weights()
    fit(model)
    for a, b in zip(before, layer.get_weights(), strict=True):
        assert (a == b).all()
    layer.trainable = True
    assert len(layer.trainable_weights) == 2
    fit(model)
    assert (layer.get_weights()[0] != before[0]).any()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    x = np.ones((2, 6), np.float32)
    assert (again(x).numpy() == model(x).numpy()).all()


def test_clone_and_deferred_build():
    model = keras.models.clone_model(net())
    assert fit(model).get_layer("first").kernel.dtype == "int8"
    deferred = keras.Sequential(
        [gxnor_tf.DiscreteDense(2), gxnor_tf.DiscreteActivation()]
    )
    assert fit(deferred).layers[0].kernel.dtype == "int8"


def test_subclassed_model():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = gxnor_tf.DiscreteDense(2)

        def call(self, x):
            return self.dense(x)

    model = Net()
    model(np.zeros((1, 6), np.float32))
    before = model.get_weights()[0]
    fit(model)
    assert (model.get_weights()[0] != before).any()


def test_shared_layer_gets_both_gradients():
    shared = gxnor_tf.DiscreteDense(6)
    inputs = keras.Input((6,))
    model = keras.Model(
        inputs, shared(gxnor_tf.DiscreteActivation()(shared(inputs)))
    )
    x = tf.constant(np.eye(6, dtype=np.float32)[:2])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x))
    (gradient,) = tape.gradient(loss, model.trainable_variables)
    assert gradient.dtype == tf.float32
    assert float(tf.reduce_max(tf.abs(gradient))) > 0


def test_saved_model(tmp_path):
    model = net()
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    x = np.ones((3, 6), np.float32)
    assert (loaded.serve(x).numpy() == model(x).numpy()).all()


def test_loss_scaling():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = fit(net())
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    for layer in model.layers[::3]:
        assert layer.kernel.dtype == "int8"
        assert layer.weight_space.contains(layer.kernel.numpy())


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float64"])
@pytest.mark.parametrize(
    "layer", [gxnor_tf.DiscreteDense(3), gxnor_tf.DiscreteConv2D(3, 2)]
)
def test_inputs_of_any_dtype(layer, dtype):
    x = np.arange(36).reshape(1, 3, 3, 4).astype(dtype)
    assert layer(x).dtype == tf.float32
