# SPDX-License-Identifier: Apache-2.0
"""What is trained: optimizers, losses, and the net that is kept."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import gxnor_tf
from gxnor_tf.layers import bfloat16_products
from train import config, models, pipeline
from train.errors import UserError


def build(image_shape=(28, 28, 1), num_classes=10, **settings):
    made = config.Config(**settings)
    return models.build(made, image_shape, num_classes)


@pytest.mark.parametrize(
    ("settings", "bytes_per_weight"),
    [
        ({"step_rule": "momentum", "transition_gain": 2.0}, 2),
        ({"moment_dtype": "bfloat16"}, 3),
        ({"step_rule": "adam", "transition_gain": 2.0}, 5),
        ({"step_rule": "adam", "moment_dtype": "float32"}, 9),
        ({"step_rule": "sgd"}, 1),
        ({"step_rule": "sign", "full_rate_memory": 9.0}, 2),
        ({"step_rule": "bop"}, 2),
    ],
)
def test_settings_reach_the_optimizer(settings, bytes_per_weight):
    made = config.Config(seed=9, **settings)
    optimizer = models.optimizer(made, steps_per_epoch=1)
    assert isinstance(optimizer, gxnor_tf.DiscreteStateTransition)
    assert optimizer.state_bytes_per_weight == bytes_per_weight
    described = optimizer.get_config()
    assert described["transition_gain"] == made.transition_gain
    if "transition_gain" in settings:
        assert described["transition_gain"] == 2.0
    assert described["seed"] == 9
    assert described["beta_1"] == made.momentum
    assert described["memory_growth"] == made.memory_growth
    assert described["full_rate_memory"] == made.full_rate_memory
    assert described["moment_dtype"] == made.moment_dtype


def test_moments_in_kernels():
    made = config.Config(width=0.05, moment_dtype="in_kernel")
    model = models.build(made, (16, 16, 1), 3)
    optimizer = models.optimizer(made, steps_per_epoch=1)
    optimizer.build(model.trainable_variables)
    assert optimizer.state_bytes_per_weight == 1


def test_error_feedback_forgets_nothing_unless_told():
    made = config.Config(step_rule="error_feedback")
    assert made.momentum == 1
    rule = models.optimizer(made, steps_per_epoch=1).step_rule
    assert rule.beta_1 == 1
    told = config.Config(step_rule="error_feedback", momentum=0.99)
    assert models.optimizer(told, 1).step_rule.beta_1 == 0.99


@pytest.mark.parametrize("before", [False, True])
def test_bfloat16_products_reach_the_layers_and_nothing_else(
    monkeypatch, before
):
    monkeypatch.setattr(bfloat16_products, "_is_fast", lambda: True)
    gxnor_tf.enable_bfloat16_products(before)
    try:
        counts = []
        for wanted in (False, True, False):
            net = build(bfloat16_products=wanted, width=0.5)
            assert bfloat16_products.are_enabled() == before
            graph = (
                tf.function(lambda x, net=net: net(x, training=True))
                .get_concrete_function(tf.TensorSpec((1, 28, 28, 1)))
                .graph
            )
            counts.append(
                sum(
                    op.type == "Conv2D" and op.inputs[0].dtype == tf.bfloat16
                    for op in graph.get_operations()
                )
            )
        assert counts == [0, 1, 0]
    finally:
        gxnor_tf.enable_bfloat16_products(False)


def test_bfloat16_products_are_refused_where_nothing_would_come_of_them(
    monkeypatch,
):
    monkeypatch.setattr(bfloat16_products, "_is_fast", lambda: False)
    with pytest.raises(UserError, match="`bfloat16_products` must be False"):
        build(bfloat16_products=True)
    assert build(bfloat16_products=False, width=0.1).built


def test_float32_net_is_trained_by_adam():
    optimizer = models.optimizer(config.Config(discrete=False), 1)
    assert isinstance(optimizer, keras.optimizers.Adam)


def test_full_precision_in_the_library_s_layers():
    model = build(preset="float")
    plain = build(discrete=False)
    assert [w.shape for w in model.weights] == [w.shape for w in plain.weights]
    assert {w.dtype for w in model.weights} == {"float32"}
    x = np.random.default_rng(0).normal(size=(2, 28, 28, 1)).astype("float32")
    plain.set_weights(model.get_weights())
    np.testing.assert_allclose(model(x), plain(x), rtol=1e-5, atol=1e-5)
    optimizer = models.optimizer(config.Config(preset="float"), 1)
    assert isinstance(optimizer, keras.optimizers.Adam)


@pytest.mark.parametrize(
    ("weight_n", "activation_n"),
    [(0, "float"), (1, "float"), (0, 0), (1, 1), (2, 3), ("float", 1)],
)
def test_every_case_trains(weight_n, activation_n):
    made = config.Config(
        weight_n=weight_n,
        activation_n=activation_n,
        width=0.1,
        learning_rate=0.3,
    )
    keras.utils.set_random_seed(0)
    model = models.build(made, (16, 16, 1), 4)
    model.compile(models.optimizer(made, 9), "squared_hinge", jit_compile=False)
    names = ("conv1", "conv2", "dense1", "dense2")
    kernels = [model.get_layer(name).kernel for name in names]
    dtype = "float32" if weight_n == "float" else "int8"
    assert {kernel.dtype for kernel in kernels} == {dtype}
    before = [kernel.numpy() for kernel in kernels]
    x = np.random.default_rng(0).normal(size=(8, 16, 16, 1)).astype("float32")
    model.fit(x, np.ones((8, 4)), epochs=9, verbose=0)
    for old, kernel in zip(before, kernels, strict=True):
        assert (kernel.numpy() != old).any()
    y = model.get_layer("activation1")(x)
    space = made.activation_space
    if space is None:
        assert (y.numpy() == np.maximum(x, 0)).all()
    else:
        assert set(np.unique(y)) <= set(space.values)


@pytest.mark.parametrize("settings", [{}, {"discrete": False}], ids=str)
def test_the_schedule_reaches_the_optimizer(settings):
    made = config.Config(
        epochs=4, learning_rate=0.1, final_learning_rate=0.001, **settings
    )
    optimizer = models.optimizer(made, steps_per_epoch=25)
    optimizer.build([keras.Variable(np.zeros(1, "float32"))])
    for steps, rate in ((0, 0.1), (50, 0.0505), (100, 0.001)):
        optimizer.iterations.assign(steps)
        assert float(optimizer.learning_rate) == pytest.approx(rate)


@pytest.mark.parametrize("name", ["squared_hinge", "cross_entropy"])
def test_losses(name):
    made = config.Config(loss=name)
    scores = np.array([[2.0, -0.5, 0.25], [0.5, 0.0, -3.0]], "float32")
    labels = np.array([0, 2])
    targets = pipeline.targets(
        tf.constant(labels), 3, models.off_value(made)
    ).numpy()
    signs = np.where(np.arange(3) == labels[:, None], 1, -1)
    wanted = {
        "squared_hinge": np.mean(np.maximum(1 - signs * scores, 0) ** 2),
        "cross_entropy": np.mean(
            np.log(np.exp(scores).sum(axis=1)) - scores[[0, 1], labels]
        ),
    }[name]
    found = float(models.loss(made)(targets, scores))
    assert found == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("weight_n", [0, 1, 3])
def test_deployed_latent_net_gives_the_same_scores(weight_n):
    made = config.Config(training="latent", weight_n=weight_n, width=0.1)
    model = models.build(made, (16, 16, 1), 4)
    model.compile(models.optimizer(made, 9), "squared_hinge")
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (8, 16, 16, 1)).astype("float32") / 128
    model.fit(x, np.ones((8, 4)), epochs=2, verbose=0)
    deployed = models.deployed(made, model, (16, 16, 1), 4)
    assert deployed.get_layer("conv2").kernel.dtype == "int8"
    assert deployed.get_layer("dense1").weight_space == made.weight_space
    np.testing.assert_array_equal(
        model.predict(x, verbose=0), deployed.predict(x, verbose=0)
    )


def test_any_other_net_is_deployed_as_it_is():
    for settings in ({}, {"discrete": False}):
        made = config.Config(width=0.1, **settings)
        model = models.build(made, (16, 16, 1), 4)
        assert models.deployed(made, model, (16, 16, 1), 4) is model


def test_latent_weights_are_trained_by_adam():
    optimizer = models.optimizer(config.Config(training="latent"), 1)
    assert isinstance(optimizer, keras.optimizers.Adam)
