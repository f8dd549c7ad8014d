# SPDX-License-Identifier: Apache-2.0
"""The forms for XLA, beside TensorFlow's convolution without XLA."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf import DiscreteConv2D, _compat
from gxnor_tf.layers import xla_convolution

# Of images and kernels: by shifts, by rows, by both, by neither.
SIZES = {
    "shifts": ((20, 17, 3), (3, 3, 3, 5)),
    "rows": ((8, 7, 6), (5, 3, 6, 4)),
    "both": ((6, 9, 1), (4, 5, 1, 3)),
    "neither": ((20, 20, 6), (3, 3, 6, 4)),
    "one output": ((5, 4, 2), (5, 4, 2, 3)),
    "a column": ((9, 9, 8), (5, 1, 8, 4)),
    "a row": ((9, 9, 8), (1, 5, 8, 4)),
}


def drawn(image, kernel):
    rng = np.random.default_rng(0)
    output = np.subtract(image, kernel[:3])[:2] + 1
    shapes = (2, *image), kernel, (2, *output, kernel[3])
    # Sums of whole numbers are exact in any order.
    return [tf.constant(rng.integers(-4, 5, s), tf.float32) for s in shapes]


def plain(x, kernel):
    return tf.nn.conv2d(x, kernel, 1, "VALID")


def with_gradients(convolve, x, kernel, upstream):
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = convolve(x, kernel)
    return (y, *tape.gradient(y, [x, kernel], upstream))


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch", [None, 2])
def test_values_and_gradients_are_those_of_the_convolution(size, batch):
    x, kernel, upstream = drawn(*SIZES[size])

    @tf.function(
        jit_compile=True,
        input_signature=[
            tf.TensorSpec((batch, *x.shape[1:])),
            tf.TensorSpec(kernel.shape),
            tf.TensorSpec((batch, *upstream.shape[1:])),
        ],
    )
    def found(x, kernel, upstream):
        return with_gradients(
            xla_convolution.convolve_valid, x, kernel, upstream
        )

    assert_equal(
        found(x, kernel, upstream), with_gradients(plain, x, kernel, upstream)
    )


@pytest.mark.parametrize("size", ["shifts", "rows"])
def test_gradients_have_gradients(size):
    def second(convolve, x, kernel, upstream):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            _, *gradients = with_gradients(convolve, x, kernel, upstream)
            squares = tf.add_n([tf.reduce_sum(g**2) for g in gradients])
        return tape.gradient(squares, [x, kernel])

    tensors = drawn(*SIZES[size])
    compiled = tf.function(second, jit_compile=True)
    assert_equal(
        compiled(xla_convolution.convolve_valid, *tensors),
        second(plain, *tensors),
    )


@pytest.mark.parametrize("size", ["shifts", "rows"])
@pytest.mark.parametrize("place", range(3), ids=["x", "kernel", "upstream"])
@pytest.mark.parametrize("index", [0, -1], ids=["first", "last"])
def test_nan_is_passed_on(size, place, index):
    tensors = drawn(*SIZES[size])
    numbers = tensors[place].numpy()
    numbers.flat[index] = np.nan
    tensors[place] = tf.constant(numbers)
    found = tf.function(with_gradients, jit_compile=True)(
        xla_convolution.convolve_valid, *tensors
    )
    # Zeros of a padding times NaN are NaN in one form, and skipped in another.
    reached = with_gradients(plain, *tensors)
    for one, other in zip(found, reached, strict=True):
        assert np.isnan(one).any() == np.isnan(other).any()
        finite = np.isfinite(one) & np.isfinite(other)
        np.testing.assert_array_equal(one[finite], other[finite])


@pytest.mark.parametrize(
    ("image", "kernel", "expected"),
    [
        ((28, 28, 1), (5, 5, 1, 32), True),  # Few products.
        ((28, 28, 1), (5, 5, 1, 65), False),
        ((28, 28, 2), (5, 5, 2, 32), False),
        ((28, 28, 3), (3, 3, 3, 32), True),
        ((28, 28, 16), (1, 1, 16, 32), False),
        ((12, 12, 32), (5, 5, 32, 64), True),  # Much padding.
        ((25, 12, 32), (5, 5, 32, 64), False),
        ((None, 12, 32), (5, 5, 32, 64), False),
        ((12, None, 32), (5, 5, 32, 64), False),
    ],
)
def test_which_convolutions_it_is_for(image, kernel, expected):
    chosen = []

    @tf.function(input_signature=[tf.TensorSpec((None, *image))])
    def trace(x):
        chosen.append(xla_convolution.applies(x, kernel))

    trace.get_concrete_function()
    assert chosen == [expected]


def test_half_precision_is_left_to_xla():
    x = tf.zeros((1, 12, 12, 1), tf.bfloat16)
    assert not xla_convolution.applies(x, (5, 5, 1, 4))


@pytest.fixture
def used(monkeypatch):
    """Shapes of the kernels of convolutions that took a form for XLA."""
    shapes = []
    original = xla_convolution.convolve_valid

    def noted(inputs, kernel):
        shapes.append(tuple(kernel.shape))
        return original(inputs, kernel)

    monkeypatch.setattr(xla_convolution, "convolve_valid", noted)
    return shapes


def gradients(jit_compile, channels=2, **settings):
    """The output and all gradients of a layer."""
    keras.utils.set_random_seed(0)
    shape = (4, channels, 12, 12)
    if settings.get("data_format") != "channels_first":
        shape = (4, 12, 12, channels)
    rng = np.random.default_rng(0)
    x = tf.constant(rng.integers(-1, 2, shape), tf.float32)
    layer = DiscreteConv2D(4, 5, **settings)
    layer.build(shape)

    @tf.function(jit_compile=jit_compile)
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        kernel = layer.kernel.value
        return (y, *tape.gradient(y, [x, kernel]))

    return step(x)


@pytest.mark.parametrize("channels", [1, 2], ids=["shifts", "rows"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_compiled_layer_takes_them_and_is_the_same(
    used, channels, data_format
):
    settings = {"channels": channels, "data_format": data_format}
    expected = gradients(False, **settings)
    assert not used
    assert_equal(gradients(True, **settings), expected)
    assert set(used) == {(5, 5, channels, 4)}


@pytest.mark.parametrize(
    "settings",
    [{"padding": "same"}, {"strides": 2}, {"dilation_rate": 2}, {"groups": 2}],
    ids=str,
)
def test_other_convolutions_do_not(used, settings):
    gradients(True, **settings)
    assert not used


def test_other_devices_do_not(used, monkeypatch):
    monkeypatch.setattr(_compat, "inside_xla_on_cpu", lambda: False)
    gradients(True)
    assert not used


def test_a_cpu_is_not_alone_beside_other_devices(monkeypatch):
    answers = []

    @tf.function(jit_compile=True)
    def compiled(x):
        answers.append(_compat.inside_xla_on_cpu())
        return x

    compiled(tf.constant(0))
    devices = [
        *tf.config.list_logical_devices(),
        tf.config.LogicalDevice("/device:GPU:0", "GPU"),
    ]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda: devices)
    compiled(tf.constant(0.0))
    assert answers == [True, False]
    assert not _compat.inside_xla_on_cpu()
