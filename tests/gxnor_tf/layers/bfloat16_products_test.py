# SPDX-License-Identifier: Apache-2.0
"""Products in bfloat16: the same sums, and gradients of 8 bits."""

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

    def counted(multiply, inputs, kernel):
        shapes.append(tuple(kernel.shape))
        return original(multiply, inputs, kernel)

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


def in_bfloat16(multiply, space=TERNARY):
    def product(x, kernel):
        bfloat16_products.mark(x, space)
        assert bfloat16_products.apply(x, tuple(kernel.shape), TERNARY)
        return bfloat16_products.exact_sums(multiply, x, kernel)

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
    product = in_bfloat16(multiply, DiscreteSpace(1, half_range))
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


def test_layers_behind_discrete_activations_use_it(enabled, calls):
    made = model()
    x = tf.constant(images(), tf.float32)
    found = [made(x), made.predict_on_batch(x)]
    # Neither the one with real inputs, nor the one behind another layer.
    assert set(calls) == {(3, 3, 32, 128), (128, 32)}
    gxnor_tf.enable_bfloat16_products(False)
    calls.clear()
    plain = model()
    for y in found:
        np.testing.assert_array_equal(y, plain(x))
    assert not calls


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
    ],
    ids=["5 levels", "float", "groups", "mixed", "few filters", "few products"],
)
def test_other_layers_multiply_in_float32(enabled, calls, layer):
    # Made anew: it was made before the switch was turned.
    layer = type(layer).from_config(layer.get_config())
    layer(gxnor_tf.DiscreteActivation()(tf.ones((1, 4, 4, 32))))
    assert not calls


@pytest.mark.parametrize(
    "text, fast",
    [
        ("flags : fpu avx512_bf16 sse", True),
        ("flags : amx_bf16", True),
        ("flags : avx512f", False),
        (None, False),
    ],
)
def test_it_is_for_processors_that_multiply_bfloat16(monkeypatch, text, fast):
    def read_text(path, encoding):
        assert str(path) == "/proc/cpuinfo"
        if text is None:
            raise FileNotFoundError(path)
        return text

    monkeypatch.setattr(bfloat16_products.pathlib.Path, "read_text", read_text)
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    try:
        assert gxnor_tf.enable_bfloat16_products() == fast
        assert bfloat16_products.are_enabled() == fast
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
        assert not gxnor_tf.enable_bfloat16_products()
    finally:
        assert not gxnor_tf.enable_bfloat16_products(False)
