# SPDX-License-Identifier: Apache-2.0
"""Discrete layers in the ways in which people use Keras models."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import gxnor_tf

IMAGE = (6, 5, 4)
# Every layer, and every way in which one may differ inside: name of the class,
# shape of a sample, arguments.
LAYERS = {
    "dense": ("DiscreteDense", (6,), {"units": 4}),
    "conv1d": (
        "DiscreteConv1D",
        (7, 4),
        {"filters": 4, "kernel_size": 3, "padding": "causal"},
    ),
    "conv2d": ("DiscreteConv2D", IMAGE, {"filters": 4, "kernel_size": 3}),
    "grouped": (
        "DiscreteConv2D",
        IMAGE,
        {"filters": 4, "kernel_size": 3, "groups": 2},
    ),
    "channels_first": (
        "DiscreteConv2D",
        IMAGE,
        {"filters": 4, "kernel_size": 3, "data_format": "channels_first"},
    ),
    "depthwise": ("DiscreteDepthwiseConv2D", IMAGE, {"kernel_size": 3}),
    "separable": (
        "DiscreteSeparableConv2D",
        IMAGE,
        {"filters": 4, "kernel_size": 3},
    ),
    "transpose": (
        "DiscreteConv2DTranspose",
        IMAGE,
        {"filters": 4, "kernel_size": 3, "dilation_rate": 2},
    ),
    "binary": ("DiscreteDense", (6,), {"units": 4, "weight_space": 0}),
    "scaled": (
        "DiscreteConv2D",
        IMAGE,
        {"filters": 4, "kernel_size": 3, "scale": "channel", "use_bias": True},
    ),
    "float": ("DiscreteDense", (6,), {"units": 4, "weight_space": "float"}),
}
EVERY_LAYER = pytest.mark.parametrize("kind", LAYERS)


def make(kind, **kwargs):
    name, _, arguments = LAYERS[kind]
    return getattr(gxnor_tf, name)(**arguments, **kwargs)


def samples(kind, count=16):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, *LAYERS[kind][1])).astype(np.float32)


def chain(kind, **kwargs):
    return keras.Sequential(
        [
            keras.Input(LAYERS[kind][1]),
            make(kind, name="first", **kwargs),
            keras.layers.BatchNormalization(),
            gxnor_tf.DiscreteActivation(),
            keras.layers.Flatten(),
            gxnor_tf.DiscreteDense(2, name="last"),
        ]
    )


def fit_chain(model, kind):
    # Large enough to move something in two steps.
    model.compile(
        gxnor_tf.DiscreteStateTransition(0.5), "mse", jit_compile=False
    )
    x = samples(kind)
    model.fit(x, np.ones((len(x), 2)), epochs=2, verbose=0)
    return model


def same(one, other):
    return all((a == b).all() for a, b in zip(one, other, strict=True))


def test_every_public_layer_with_weights_is_among_them():
    public = {
        name
        for name, thing in vars(gxnor_tf).items()
        if isinstance(thing, type) and issubclass(thing, keras.layers.Layer)
    }
    public -= {"DiscreteActivation", "MaxPooling2D"}
    assert public == {x[0] for x in LAYERS.values()}


@EVERY_LAYER
def test_frozen_layers_stay(kind):
    model = chain(kind)
    first = model.get_layer("first")
    first.trainable = False
    before = first.get_weights(), model.get_layer("last").get_weights()
    fit_chain(model, kind)
    assert same(before[0], first.get_weights())
    assert not same(before[1], model.get_layer("last").get_weights())


@EVERY_LAYER
def test_made_frozen(kind):
    model = chain(kind, trainable=False)
    first = model.get_layer("first")
    assert first.trainable_weights == []
    count = len(first.non_trainable_weights)
    first.trainable = True
    assert len(first.trainable_weights) == count == len(first.weights)


@EVERY_LAYER
def test_clone_and_transfer_of_weights(kind):
    model = fit_chain(chain(kind), kind)
    clone = keras.models.clone_model(model)
    for one, other in zip(model.weights, clone.weights, strict=True):
        assert one.dtype == other.dtype
        assert type(one) is type(other)
    clone.set_weights(model.get_weights())
    x = samples(kind)
    assert (clone(x).numpy() == model(x).numpy()).all()
    # A layer's own weights fit another model's layer, too.
    other = chain(kind)
    first = other.get_layer("first")
    first.set_weights(model.get_layer("first").get_weights())
    assert (first(x).numpy() == model.get_layer("first")(x).numpy()).all()


@EVERY_LAYER
def test_every_kind_of_model(kind, tmp_path):
    """Sequential, functional, nested and subclassed compute the same."""

    @keras.saving.register_keras_serializable(name=f"Subclassed_{kind}")
    class Subclassed(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.first = make(kind)
            self.flatten = keras.layers.Flatten()
            self.last = gxnor_tf.DiscreteDense(2)

        def build(self, shape):
            self.first.build(shape)
            shape = self.first.compute_output_shape(shape)
            self.last.build(self.flatten.compute_output_shape(shape))

        def call(self, x):
            return self.last(self.flatten(self.first(x)))

    def layers():
        return make(kind), keras.layers.Flatten(), gxnor_tf.DiscreteDense(2)

    shape = LAYERS[kind][1]
    sequential = keras.Sequential([keras.Input(shape), *layers()])
    first, flatten, last = layers()
    inputs = keras.Input(shape)
    functional = keras.Model(inputs, last(flatten(first(inputs))))
    first, flatten, last = layers()
    inner = keras.Sequential([keras.Input(shape), first])
    nested = keras.Model(inputs, last(flatten(inner(inputs))))
    subclassed = Subclassed()
    subclassed.build((None, *shape))

    x = samples(kind)
    expected = sequential(x).numpy()
    for index, model in enumerate((functional, nested, subclassed)):
        model.set_weights(sequential.get_weights())
        assert (model(x).numpy() == expected).all()
        path = tmp_path / f"{index}.keras"
        model.save(path)
        assert (keras.models.load_model(path)(x).numpy() == expected).all()
    fit_chain(subclassed, kind)
    assert not same(subclassed.get_weights(), sequential.get_weights())


@EVERY_LAYER
def test_a_shared_layer_gets_the_gradients_of_both_uses(kind):
    shared = make(kind)
    one, two = (keras.Input(LAYERS[kind][1]) for _ in range(2))
    model = keras.Model([one, two], [shared(one), shared(two)])
    assert len(model.weights) == len(shared.weights)
    x = [tf.constant(samples(kind, 3)), tf.constant(samples(kind, 3)[::-1])]
    weights = [v.value for v in model.trainable_variables]

    def gradients(uses):
        with tf.GradientTape() as tape:
            y = model(x)
            loss = sum(tf.reduce_sum(tf.square(y[use])) for use in uses)
        return tape.gradient(loss, weights)

    both, first, second = gradients([0, 1]), gradients([0]), gradients([1])
    for total, a, b in zip(both, first, second, strict=True):
        assert total.dtype == tf.float32
        assert np.abs(a).max() > 0
        np.testing.assert_allclose(total, a + b, rtol=1e-4, atol=1e-3)


@EVERY_LAYER
def test_exported_saved_model(kind, tmp_path):
    model = chain(kind)
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    for count in (1, 3):
        x = samples(kind, count)
        assert (loaded.serve(x).numpy() == model(x).numpy()).all()


@EVERY_LAYER
def test_predict_is_call(kind):
    model = chain(kind)
    x = samples(kind)
    assert (model.predict(x, verbose=0) == model(x).numpy()).all()


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
@EVERY_LAYER
def test_inputs_of_any_dtype(kind, dtype):
    x = (np.arange(240) % 7).reshape(2, -1)[:, : samples(kind, 1).size]
    layer = make(kind)
    y = layer(x.reshape(2, *LAYERS[kind][1]).astype(dtype))
    assert y.dtype == tf.float32
    floats = layer(x.reshape(2, *LAYERS[kind][1]).astype("float32"))
    assert (y.numpy() == floats.numpy()).all()
