# SPDX-License-Identifier: Apache-2.0
"""DiscreteDepthwiseConv2D."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf import DiscreteDepthwiseConv2D, DiscreteSpace
from gxnor_tf.layers.depthwise import depthwise_convolution
from tests.gxnor_tf.layers.layer_conformance import (
    ExampleConformance,
    LayerConformance,
)


class TestDepthwiseConv2D(LayerConformance):
    layer_class = DiscreteDepthwiseConv2D
    keras_class = keras.layers.DepthwiseConv2D
    input_shape = (9, 8, 3)
    examples = [
        {"kernel_size": 3},
        {
            "kernel_size": (2, 5),
            "padding": "same",
            "depth_multiplier": 2,
            "use_bias": True,
            "bias_initializer": "ones",
        },
        {"kernel_size": 3, "dilation_rate": 2, "strides": 2},
        {
            "kernel_size": 3,
            "strides": 2,
            "padding": "same",
            "weight_space": DiscreteSpace(2, 0.7),
        },
    ]


class TestDepthwiseConv2DChannelsFirst(ExampleConformance):
    layer_class = DiscreteDepthwiseConv2D
    keras_class = keras.layers.DepthwiseConv2D
    input_shape = (3, 9, 8)
    examples = [
        {
            "kernel_size": 3,
            "depth_multiplier": 2,
            "padding": "same",
            "data_format": "channels_first",
        }
    ]


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [(1, 2), (2, 1), (3, 2)])
@pytest.mark.parametrize("dilation_rate", [(1, 1), (1, 2)])
@pytest.mark.parametrize("kernel_size", [(3, 3), (2, 4)])
def test_unequal_strides(padding, strides, dilation_rate, kernel_size):
    """Against an ordinary convolution of one channel at a time."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.integers(-3, 4, (2, 9, 10, 3)), tf.float32)
    kernel = tf.constant(rng.integers(-1, 2, (*kernel_size, 3, 2)), tf.float32)
    y = depthwise_convolution(x, kernel, strides, padding, dilation_rate)
    # One stride at a time, as a convolution cannot have both with dilation.
    expected = []
    for channel in range(3):
        image, window = x[..., channel, None], kernel[:, :, channel, None]
        if padding == "same":
            margins = [(0, 0)]
            for axis in (0, 1):
                size, stride = x.shape[axis + 1], strides[axis]
                extent = dilation_rate[axis] * (kernel_size[axis] - 1) + 1
                count = -(-size // stride)
                margin = max((count - 1) * stride + extent - size, 0)
                margins.append((margin // 2, margin - margin // 2))
            image = tf.pad(image, [*margins, (0, 0)])
        everywhere = keras.ops.conv(image, window, dilation_rate=dilation_rate)
        expected.append(everywhere[:, :: strides[0], :: strides[1]])
    assert (y.numpy() == np.concatenate(expected, -1)).all()


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_unequal_strides_in_the_layer(padding):
    layer = DiscreteDepthwiseConv2D(3, (2, 1), padding)
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 9, 8, 3)))
    y = layer(x)
    assert tuple(y.shape) == layer.compute_output_shape((2, 9, 8, 3))
    signature = [tf.TensorSpec((None, None, None, 3), x.dtype)]
    graph = tf.function(layer, input_signature=signature)
    np.testing.assert_allclose(graph(x), y, rtol=1e-5, atol=1e-5)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x))
    gradient = tape.gradient(loss, layer.kernel.value)
    assert np.abs(gradient).max() > 0


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"depth_multiplier": 0}, "`depth_multiplier` must be an integer >= 1"),
        ({"kernel_size": (3, 0)}, "`kernel_size` must be"),
        ({"padding": "causal"}, "padding='causal'"),
        ({"data_format": 1}, "data_format=1"),
    ],
)
def test_bad_arguments(kwargs, text):
    with pytest.raises(ValueError, match=text):
        DiscreteDepthwiseConv2D(**{"kernel_size": 3} | kwargs)


def test_kernel_larger_than_the_input():
    with pytest.raises(ValueError, match="output.*would be empty"):
        DiscreteDepthwiseConv2D(5)(keras.Input((9, 4, 2)))
