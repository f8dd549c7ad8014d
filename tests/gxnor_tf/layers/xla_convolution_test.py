# SPDX-License-Identifier: Apache-2.0
"""The forms for XLA, beside TensorFlow's convolution without XLA."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf import DiscreteConv2D
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


def with_gradients(convolve, x, kernel, upstream):
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = convolve(x, kernel)
    return (y, *tape.gradient(y, [x, kernel], upstream))


def expected(x, kernel, upstream):
    def plain(x, kernel):
        return tf.nn.conv2d(x, kernel, 1, "VALID")

    return with_gradients(plain, x, kernel, upstream)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch", [None, 2])
def test_values_and_gradients_are_those_of_the_convolution(size, batch):
    tensors = drawn(*SIZES[size])
    image = tf.TensorSpec((batch, *SIZES[size][0]))

    @tf.function(jit_compile=True)
    def found(x, kernel, upstream):
        x = tf.ensure_shape(x, image.shape)
        return with_gradients(
            xla_convolution.convolve_valid, x, kernel, upstream
        )

    for one, other in zip(found(*tensors), expected(*tensors), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("size", ["shifts", "rows"])
def test_nan_is_passed_on(size):
    x, kernel, upstream = drawn(*SIZES[size])
    kernel = tf.where(tf.range(kernel.shape[-1]) == 0, np.nan, kernel)
    found = tf.function(with_gradients, jit_compile=True)(
        xla_convolution.convolve_valid, x, kernel, upstream
    )
    for one, other in zip(found, expected(x, kernel, upstream), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def used(monkeypatch):
    """Kernel sizes of the convolutions that took a form for XLA."""
    sizes = []
    original = xla_convolution.convolve_valid

    def noted(inputs, kernel):
        sizes.append(tuple(kernel.shape[:2]))
        return original(inputs, kernel)

    monkeypatch.setattr(xla_convolution, "convolve_valid", noted)
    return sizes


def trained(jit_compile, **settings):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 2)),
            DiscreteConv2D(4, 5, weight_space=None, **settings),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    model.compile("sgd", "mse", jit_compile=jit_compile)
    x, y = np.ones((4, 12, 12, 2)), np.ones((4, 4))
    model.fit(x, y, epochs=3, verbose=0)
    return model.get_weights()


def test_a_compiled_training_takes_them_and_learns_the_same(used):
    plain = trained(jit_compile=False)
    assert not used
    compiled = trained(jit_compile=True)
    assert set(used) == {(5, 5)}
    # Floats are added in another order.
    np.testing.assert_allclose(compiled[0], plain[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [{"padding": "same"}, {"strides": 2}, {"dilation_rate": 2}, {"groups": 2}],
    ids=str,
)
def test_other_convolutions_do_not(used, settings):
    trained(jit_compile=True, **settings)
    assert not used


def test_other_devices_do_not(used, monkeypatch):
    devices = [
        tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU"),
        *tf.config.get_visible_devices(),
    ]
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda: devices)
    trained(jit_compile=True)
    assert not used
