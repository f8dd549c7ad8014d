# SPDX-License-Identifier: Apache-2.0
"""Products in bfloat16: the same sums, and gradients of 8 bits."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import gxnor_tf
from gxnor_tf import DiscreteSpace
from gxnor_tf.layers import bfloat16_products

TERNARY = DiscreteSpace(1)


def convolve(x, kernel):
    return keras.ops.conv(
        x, kernel, padding="same", data_format="channels_last"
    )


PRODUCTS = {
    "dense": (keras.ops.matmul, (6, 300), (300, 40)),
    "dense, in parts": (keras.ops.matmul, (6, 1301), (1301, 40)),
    "convolution": (convolve, (2, 5, 5, 32), (3, 3, 32, 36)),
    "convolution, in parts": (convolve, (2, 5, 5, 96), (3, 3, 96, 36)),
    "one channel": (convolve, (2, 30, 30, 1), (29, 29, 1, 36)),
    "no sample": (keras.ops.matmul, (0, 300), (300, 40)),
}


@pytest.fixture
def enabled(monkeypatch):
    """On any processor: what they differ in is the time alone."""
    monkeypatch.setattr(bfloat16_products, "_is_fast", lambda: True)
    assert gxnor_tf.enable_bfloat16_products()
    yield
    gxnor_tf.enable_bfloat16_products(False)


@pytest.fixture
def calls(monkeypatch):
    """The kernel shapes of the products that were made in bfloat16."""
    shapes = []
    original = bfloat16_products.exact_sums

    def counted(multiply, inputs, kernel, unit):
        shapes.append(tuple(kernel.shape))
        return original(multiply, inputs, kernel, unit)

    monkeypatch.setattr(bfloat16_products, "exact_sums", counted)
    return shapes


def drawn(shape, seed, largest=1):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.integers(-largest, largest + 1, shape), tf.float32)


def with_gradients(product, x, kernel, upstream):
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = product(x, kernel)
    return (y, *tape.gradient(y, [x, kernel], upstream))


def in_bfloat16(multiply, unit=1.0):
    def product(x, kernel):
        return bfloat16_products.exact_sums(multiply, x, kernel, unit)

    return product


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("half_range", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("case", PRODUCTS)
def test_sums_and_gradients_of_whole_numbers_are_exact(case, half_range):
    multiply, x_shape, kernel_shape = PRODUCTS[case]
    x, kernel = drawn(x_shape, 0) * half_range, drawn(kernel_shape, 1)
    # So few that sums of them need no more than 8 bits, in any order.
    upstream = drawn((*x_shape[:-1], kernel_shape[-1]), 2)
    upstream *= tf.cast(drawn(upstream.shape, 3, 10) == 0, tf.float32)
    expected = with_gradients(multiply, x, kernel, upstream)
    product = in_bfloat16(multiply, half_range)
    assert_equal(with_gradients(product, x, kernel, upstream), expected)
    graph = tf.function(with_gradients)
    assert_equal(graph(product, x, kernel, upstream), expected)


@pytest.mark.parametrize("odd", [257, 599, 640, 1199])
def test_larger_sums_are_made_again_in_float32(odd):
    # Beyond 256 bfloat16 has even numbers alone, and 257 becomes 256.
    x = np.zeros((3, 1200), np.float32)
    x[1, :odd], x[2, -odd:] = 1, -1
    product = tf.function(in_bfloat16(keras.ops.matmul))
    found = product(tf.constant(x), tf.ones((1200, 40)))
    assert np.unique(found).tolist() == [-odd, 0, odd]


def test_gradients_are_rounded_to_bfloat16():
    x, kernel = tf.ones((2, 200)), tf.ones((200, 32))
    upstream = tf.fill((2, 32), 1 + 2.0**-10)
    _, of_x, of_kernel = with_gradients(
        in_bfloat16(keras.ops.matmul), x, kernel, upstream
    )
    assert np.unique(of_x).tolist() == [32.0]
    assert np.unique(of_kernel).tolist() == [2.0]


def test_processors_for_which_it_is_add_in_float32():
    """What a sum passes through may need more bits than the sum.

    This is of the processor and oneDNN: elsewhere there is nothing to ask.
    """
    if not gxnor_tf.enable_bfloat16_products():
        assert not bfloat16_products.are_enabled()
        return
    gxnor_tf.enable_bfloat16_products(False)
    for ups in (257, 300, 351, 511, 600):
        signs = np.repeat([1.0, -1.0], [ups, 640 - ups]).astype(np.float32)
        signs[-1] = 0
        # The sums of the first ones are beyond 256 or odd there, or both.
        expected = signs.sum()
        kernel = tf.ones((640, 40))
        dense = in_bfloat16(keras.ops.matmul)(tf.tile([signs], (3, 1)), kernel)
        assert np.unique(dense).tolist() == [expected]
        for channels in (1, 8, 640):
            x = tf.reshape(signs, (1, 1, 640 // channels, channels))
            kernel = tf.ones((1, 640 // channels, channels, 40))
            product = in_bfloat16(
                lambda x, k: keras.ops.conv(x, k, data_format="channels_last")
            )
            for run in (product, tf.function(product)):
                assert np.unique(run(x, kernel)).tolist() == [expected]


def model(activation=None, between=()):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            gxnor_tf.DiscreteConv2D(32, 3),
            keras.layers.BatchNormalization(),
            activation or gxnor_tf.DiscreteActivation(),
            *between,
            gxnor_tf.DiscreteConv2D(128, 3, strides=2),
            keras.layers.BatchNormalization(),
            gxnor_tf.DiscreteActivation(),
            keras.layers.GlobalMaxPooling2D(),
            gxnor_tf.DiscreteDense(128),
            keras.layers.BatchNormalization(),
            gxnor_tf.DiscreteActivation(),
            gxnor_tf.DiscreteDense(32),
        ]
    )


def images():
    return np.random.default_rng(0).normal(size=(20, 12, 12, 3))


def test_layers_behind_discrete_activations_use_it_in_training(enabled, calls):
    made = model()
    x = tf.constant(images(), tf.float32)
    outputs = made(x, training=True)
    # Neither the one with real inputs, nor the one behind another layer.
    assert calls == [(3, 3, 32, 128), (128, 32)]
    calls.clear()
    made(x)
    made.predict_on_batch(x)
    gxnor_tf.enable_bfloat16_products(False)
    plain = model()
    np.testing.assert_array_equal(outputs, plain(x, training=True))
    assert not calls


def test_what_is_loaded_is_made_anew(enabled, calls, tmp_path):
    path = tmp_path / "model.keras"
    gxnor_tf.enable_bfloat16_products(False)
    model().save(path)
    keras.models.load_model(path)(images(), training=True)
    assert not calls
    bfloat16_products.enable_bfloat16_products()
    keras.models.load_model(path)(images(), training=True)
    assert calls


def test_exported_graphs_have_no_bfloat16(enabled, calls, tmp_path):
    made = model()
    made.export(tmp_path / "saved", verbose=False)
    converter = tf.lite.TFLiteConverter.from_keras_model(made)
    assert converter.convert()
    assert not calls


LAYERS = {
    "dense": (gxnor_tf.DiscreteDense(64), (2, 5, 200)),
    "1D": (gxnor_tf.DiscreteConv1D(64, 3, dilation_rate=2), (2, 9, 64)),
    "strides": (gxnor_tf.DiscreteConv2D(64, 3, strides=2), (2, 7, 7, 32)),
    "dilation": (
        gxnor_tf.DiscreteConv2D(64, 3, padding="same", dilation_rate=2),
        (2, 7, 7, 32),
    ),
    "scale and bias": (
        gxnor_tf.DiscreteConv2D(
            64, 3, scale="channel", use_bias=True, bias_initializer="ones"
        ),
        (2, 7, 7, 32),
    ),
    "range": (
        gxnor_tf.DiscreteConv2D(64, 3, weight_space=DiscreteSpace(1, 0.7)),
        (2, 7, 7, 32),
    ),
    "binary": (gxnor_tf.DiscreteConv2D(64, 3, weight_space=0), (2, 7, 7, 32)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("space", [0, 1, DiscreteSpace(1, 0.5)], ids=str)
def test_layers(enabled, calls, name, space):
    given, shape = LAYERS[name]
    x = np.random.default_rng(0).normal(size=shape)
    outputs = []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        layer = type(given).from_config(given.get_config())
        activation = gxnor_tf.DiscreteActivation(space)
        outputs.append(layer(activation(x, training=True)))
        # The one after it is made as without the switch.
        assert len(calls) == 1
        gxnor_tf.enable_bfloat16_products(False)
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize(
    "options", [{}, {"run_eagerly": True}, {"jit_compile": True}], ids=str
)
def test_fit(enabled, calls, options):
    made = model()
    made.compile(gxnor_tf.DiscreteStateTransition(0.3), "mse", **options)
    before = [layer.get_weights() for layer in made.layers]
    made.fit(images(), np.ones((20, 32)), batch_size=10, epochs=4, verbose=0)
    assert bool(calls) == ("jit_compile" not in options)
    for layer, old in zip(made.layers, before, strict=True):
        for weights, earlier in zip(layer.get_weights(), old, strict=True):
            assert not np.array_equal(weights, earlier)


@pytest.mark.parametrize(
    "activation, between",
    [
        (gxnor_tf.DiscreteActivation(2), ()),
        (gxnor_tf.DiscreteActivation(None), ()),
        (gxnor_tf.DiscreteActivation(DiscreteSpace(1, 0.7)), ()),
        (None, [keras.layers.Dropout(0.5)]),
        (None, [keras.layers.Rescaling(1 / 3)]),
    ],
    ids=["5 levels", "ReLU", "odd range", "dropout", "scaled"],
)
def test_other_inputs_are_multiplied_in_float32(
    enabled, calls, activation, between
):
    model(activation, between)(tf.constant(images()), training=True)
    assert set(calls) == {(128, 32)}


@pytest.mark.parametrize(
    "layer",
    [
        gxnor_tf.DiscreteConv2D(64, 3, weight_space=2),
        gxnor_tf.DiscreteConv2D(64, 3, weight_space=None),
        gxnor_tf.DiscreteConv2D(64, 3, groups=2),
        gxnor_tf.DiscreteConv2D(64, 3, dtype="mixed_bfloat16"),
        gxnor_tf.DiscreteConv2D(8, 3),
        gxnor_tf.DiscreteConv2D(64, 1),
        gxnor_tf.DiscreteConv2D(64, 3, data_format="channels_first"),
        gxnor_tf.DiscreteConv2DTranspose(64, 3),
    ],
    ids=[
        *("5 levels", "float", "groups", "mixed", "few filters"),
        *("few products", "channels first", "transposed"),
    ],
)
def test_other_layers_multiply_in_float32(enabled, calls, layer):
    # Made anew: it was made before the switch was turned.
    layer = type(layer).from_config(layer.get_config())
    layer(gxnor_tf.DiscreteActivation()(tf.ones((1, 4, 4, 32)), training=True))
    assert not calls


@pytest.mark.parametrize(
    ("flags", "fast"),
    [("sse avx512_bf16", True), ("amx_bf16 fpu", True), ("avx512f", False)],
)
def test_it_is_for_processors_that_multiply_bfloat16(monkeypatch, flags, fast):
    monkeypatch.setattr(bfloat16_products, "_processor_flags", flags.split)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])
    for name in ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    try:
        assert gxnor_tf.enable_bfloat16_products() == fast
        assert bfloat16_products.are_enabled() == fast
        for name, value in (
            ("TF_ENABLE_ONEDNN_OPTS", "False"),
            ("TF_ENABLE_ONEDNN_OPTS", "0"),
            ("ONEDNN_MAX_CPU_ISA", "AVX2"),
        ):
            with monkeypatch.context() as context:
                context.setenv(name, value)
                assert not gxnor_tf.enable_bfloat16_products()
        monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [0])
        assert not gxnor_tf.enable_bfloat16_products()
    finally:
        assert not gxnor_tf.enable_bfloat16_products(False)


def test_flags_are_read():
    flags = bfloat16_products._processor_flags()
    assert flags if sys.platform == "linux" else flags == []


def test_the_switch_is_a_bool():
    with pytest.raises(
        TypeError, match="`enabled` must be True or False.*'no'"
    ):
        gxnor_tf.enable_bfloat16_products("no")
