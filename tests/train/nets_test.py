# SPDX-License-Identifier: Apache-2.0
"""The networks: shapes, order of layers, and where settings go."""

import keras
import numpy as np
import pytest

import gxnor_tf
from train import config, latent, models, nets
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


@pytest.mark.parametrize("initial_weights", ["uniform", "rounded"])
def test_initial_weights_do_not_matter_for_float(initial_weights):
    model = build(preset="float", initial_weights=initial_weights)
    initializer = model.get_layer("conv1").kernel_initializer
    assert isinstance(initializer, keras.initializers.GlorotUniform)


def test_vgg_net_is_the_paper_s():
    made = config.Config(net="cifar10")
    model = nets.vgg_net(made, (32, 32, 3), 10)
    discrete = [
        layer
        for layer in model.layers
        if isinstance(layer, gxnor_tf.DiscreteConv2D | gxnor_tf.DiscreteDense)
    ]
    shapes = [tuple(layer.kernel.shape) for layer in discrete]
    assert shapes == [
        *((3, 3, 3, 128), (3, 3, 128, 128)),
        *((3, 3, 128, 256), (3, 3, 256, 256)),
        *((3, 3, 256, 512), (3, 3, 512, 512)),
        *((8192, 1024), (1024, 10)),
    ]
    assert sum(int(np.prod(shape)) for shape in shapes) == 12_973_440
    block = ["BatchNormalization", "DiscreteActivation"]
    pair = ["DiscreteConv2D", *block, "DiscreteConv2D", "MaxPooling2D", *block]
    assert [type(layer).__name__ for layer in model.layers] == [
        *(pair * 3),
        *("Flatten", "DiscreteDense", *block),
        *("DiscreteDense", "BatchNormalization"),
    ]
    assert model.get_layer("pool3").output.shape == (None, 4, 4, 512)


def test_svhn_has_the_net_of_cifar10():
    assert nets.NETS["svhn"] is nets.NETS["cifar10"]
    made = config.Config(net="svhn", width=0.25)
    model = models.build(made, (32, 32, 3), 7)
    channels = [
        model.get_layer(name).kernel.shape[-1]
        for name in ("conv1", "conv3", "conv6", "dense1", "dense2")
    ]
    assert channels == [32, 64, 128, 256, 7]


def test_names_in_a_net_are_unique_and_the_last_layer_is_scores():
    for net in nets.NETS:
        made = config.Config(net=net, width=0.02, dropout=0.5)
        names = [x.name for x in models.build(made, (32, 32, 3), 4).layers]
        assert len(names) == len(set(names))
        assert names[-1] == "scores"


def test_dropout_stands_before_each_dense_layer():
    model = build(dropout=0.25, seed=3)
    names = [layer.name for layer in model.layers]
    for name, dense in (("dropout1", "dense1"), ("dropout2", "dense2")):
        assert names.index(name) + 1 == names.index(dense)
        assert model.get_layer(name).rate == 0.25
    assert model.get_layer("dropout1").seed != model.get_layer("dropout2").seed
    again = build(dropout=0.25, seed=3)
    assert again.get_layer("dropout1").seed == model.get_layer("dropout1").seed
    assert not [x for x in build().layers if "dropout" in x.name]


def test_norm_momentum_reaches_every_normalization():
    norms = [
        layer.momentum
        for layer in build(norm_momentum=0.97).layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert norms == [0.97] * 4


@pytest.mark.parametrize("initial_weights", ["uniform", "rounded"])
def test_latent_net_has_the_shapes_and_names_of_the_discrete_one(
    initial_weights,
):
    discrete = build(initial_weights=initial_weights)
    model = build(training="latent", initial_weights=initial_weights)
    assert [x.name for x in model.layers] == [x.name for x in discrete.layers]
    assert [w.shape for w in model.weights] == [
        w.shape for w in discrete.weights
    ]
    assert {w.dtype for w in model.weights} == {"float32"}
    states = latent.states_of(model.get_layer("dense1"))[0]
    zeros = {"uniform": 1 / 3, "rounded": 1 / 2}[initial_weights]
    assert np.mean(states == 0) == pytest.approx(zeros, abs=0.01)


def test_small_images_of_the_vgg_net_are_refused():
    made = config.Config(net="cifar10", width=0.02)
    with pytest.raises(UserError, match="8x8 for three poolings.*7x9"):
        models.build(made, (7, 9, 3), 10)
    assert models.build(made, (8, 8, 3), 10).output_shape == (None, 10)
