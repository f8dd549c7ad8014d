# SPDX-License-Identifier: Apache-2.0
"""The networks and their optimizers."""

import keras
import numpy as np
import pytest

import gxnor_tf
from train import config, models
from train.errors import UserError


def build(image_shape=(28, 28, 1), num_classes=10, **settings):
    made = config.Config(**settings)
    return models.build(made, image_shape, num_classes)


def test_mnist_net_is_the_paper_s():
    model = build()
    discrete = [
        layer
        for layer in model.layers
        if isinstance(layer, gxnor_tf.DiscreteConv2D | gxnor_tf.DiscreteDense)
    ]
    shapes = [tuple(layer.kernel.shape) for layer in discrete]
    assert shapes == [
        *((5, 5, 1, 32), (5, 5, 32, 64)),
        *((1024, 512), (512, 10)),
    ]
    weights = sum(int(np.prod(shape)) for shape in shapes)
    assert weights == 581_408
    assert all(layer.kernel.dtype == "int8" for layer in discrete)
    # BatchNormalization: four float32 per channel and nothing else.
    assert model.count_params() == weights + 4 * (32 + 64 + 512 + 10)
    kinds = [type(layer).__name__ for layer in model.layers]
    block = ["MaxPooling2D", "BatchNormalization", "DiscreteActivation"]
    assert kinds == [
        *("DiscreteConv2D", *block),
        *("DiscreteConv2D", *block),
        *("Flatten", "DiscreteDense", *block[1:]),
        *("DiscreteDense", "BatchNormalization"),
    ]
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert (layer.momentum, layer.epsilon) == (0.9, 1e-4)


def test_float32_net_is_the_same_net():
    discrete, continuous = build(), build(discrete=False)
    assert [w.shape for w in continuous.weights] == [
        w.shape for w in discrete.weights
    ]
    assert [x.name for x in continuous.layers] == [
        x.name for x in discrete.layers
    ]
    assert {w.dtype for w in continuous.weights} == {"float32"}


def test_settings_reach_the_layers():
    model = build(
        weight_n=2,
        activation_n=3,
        zero_window=0.25,
        derivative="triangular",
        derivative_width=0.75,
    )
    assert model.get_layer("conv2").weight_space.n == 2
    assert model.get_layer("dense1").weight_space.n == 2
    activation = model.get_layer("activation3")
    assert activation.space.n == 3
    assert activation.zero_window == 0.25
    assert activation.derivative == "triangular"
    assert activation.derivative_width == 0.75


def test_width_scales_all_but_the_outputs():
    model = build(width=0.25, num_classes=7, image_shape=(32, 32, 3))
    channels = [
        model.get_layer(name).kernel.shape[-1]
        for name in ("conv1", "conv2", "dense1", "dense2")
    ]
    assert channels == [8, 16, 128, 7]
    assert build(width=1e-6).get_layer("conv1").kernel.shape[-1] == 1


def test_binary_network():
    model = build(weight_n=0, activation_n=0, width=0.1)
    x = np.random.default_rng(0).normal(size=(2, 28, 28, 1))
    assert model(x.astype("float32")).shape == (2, 10)
    assert set(np.unique(model.get_layer("conv1").kernel)) == {-1, 1}


def test_small_images_are_refused():
    with pytest.raises(UserError, match="16x16.*Received: 15x40"):
        build(image_shape=(15, 40, 1))
    assert build(image_shape=(16, 16, 1)).output_shape == (None, 10)


def rate_after(optimizer, steps):
    optimizer.build([keras.Variable(np.zeros(1, "float32"))])
    optimizer.iterations.assign(steps)
    return float(optimizer.learning_rate)


@pytest.mark.parametrize("discrete", [True, False])
def test_learning_rate_decays_exponentially_over_the_run(discrete):
    made = config.Config(
        epochs=4,
        learning_rate=0.1,
        final_learning_rate=0.001,
        discrete=discrete,
    )
    optimizer = models.optimizer(made, steps_per_epoch=25)
    assert rate_after(optimizer, 0) == pytest.approx(0.1)
    assert rate_after(optimizer, 50) == pytest.approx(0.01)
    assert rate_after(optimizer, 100) == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("settings", "bytes_per_weight"),
    [({"step_rule": "momentum"}, 5), ({"step_rule": "adam"}, 9)]
    + [({"step_rule": "sgd"}, 1)],
)
def test_settings_reach_the_optimizer(settings, bytes_per_weight):
    made = config.Config(transition_gain=2.0, seed=9, **settings)
    optimizer = models.optimizer(made, steps_per_epoch=1)
    assert isinstance(optimizer, gxnor_tf.DiscreteStateTransition)
    assert optimizer.state_bytes_per_weight == bytes_per_weight
    described = optimizer.get_config()
    assert described["transition_gain"] == 2.0
    assert described["seed"] == 9
    assert described["beta_1"] == made.momentum


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
    model.fit(x, np.ones((8, 4)), epochs=2, verbose=0)
    for old, kernel in zip(before, kernels, strict=True):
        assert (kernel.numpy() != old).any()
    y = model.get_layer("activation1")(x)
    space = made.activation_space
    if space is None:
        assert (y.numpy() == np.maximum(x, 0)).all()
    else:
        assert set(np.unique(y)) <= set(space.values)


@pytest.mark.parametrize("initial_weights", ["uniform", "rounded"])
def test_initial_weights_do_not_matter_for_float(initial_weights):
    model = build(preset="float", initial_weights=initial_weights)
    initializer = model.get_layer("conv1").kernel_initializer
    assert isinstance(initializer, keras.initializers.GlorotUniform)
