# SPDX-License-Identifier: Apache-2.0
"""DiscreteSeparableConv2D."""

import keras
import numpy as np
import pytest

from gxnor_tf import DiscreteSeparableConv2D, DiscreteSpace
from tests.gxnor_tf.layers.layer_conformance import (
    ExampleConformance,
    LayerConformance,
)


class TestSeparableConv2D(LayerConformance):
    layer_class = DiscreteSeparableConv2D
    keras_class = keras.layers.SeparableConv2D
    input_shape = (9, 8, 3)
    examples = [
        {"filters": 4, "kernel_size": 3},
        {
            "filters": 2,
            "kernel_size": (2, 5),
            "padding": "same",
            "depth_multiplier": 2,
            "use_bias": True,
            "bias_initializer": "ones",
        },
        {"filters": 3, "kernel_size": 3, "dilation_rate": 2},
        {
            "filters": 5,
            "kernel_size": 3,
            "strides": 2,
            "padding": "same",
            "weight_space": DiscreteSpace(2, 0.7),
        },
    ]


class TestSeparableConv2DChannelsFirst(ExampleConformance):
    layer_class = DiscreteSeparableConv2D
    keras_class = keras.layers.SeparableConv2D
    input_shape = (3, 9, 8)
    examples = [
        {
            "filters": 4,
            "kernel_size": 3,
            "padding": "same",
            "data_format": "channels_first",
        }
    ]


def test_kernels_start_differently():
    layer = DiscreteSeparableConv2D(3, 1)
    layer(np.ones((1, 2, 2, 3), np.float32))
    depthwise, pointwise = layer.get_weights()
    assert depthwise.shape == (1, 1, 3, 1)
    assert pointwise.shape == (1, 1, 3, 3)
    given = DiscreteSeparableConv2D(
        3, 1, depthwise_initializer="ones", pointwise_initializer="zeros"
    )
    given(np.ones((1, 2, 2, 3), np.float32))
    assert [np.unique(w).tolist() for w in given.get_weights()] == [[1], [0]]


def test_the_unit_of_both_kernels_multiplies():
    layer = DiscreteSeparableConv2D(
        3, 2, weight_space=DiscreteSpace(1, 0.5), depthwise_initializer="ones"
    )
    assert layer.unit == 0.25
    with pytest.raises(ValueError, match="half_range.*nearer to 1"):
        DiscreteSeparableConv2D(3, 2, weight_space=DiscreteSpace(1, 1e16))


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"filters": 0}, "`filters` must be an integer >= 1"),
        ({"depth_multiplier": 0}, "`depth_multiplier` must be an integer >= 1"),
        ({"kernel_size": (3, 0)}, "`kernel_size` must be"),
        ({"padding": "causal"}, "padding='causal'"),
    ],
)
def test_bad_arguments(kwargs, text):
    with pytest.raises(ValueError, match=text):
        DiscreteSeparableConv2D(**{"filters": 3, "kernel_size": 3} | kwargs)


def test_kernel_larger_than_the_input():
    with pytest.raises(ValueError, match="output.*would be empty"):
        DiscreteSeparableConv2D(3, 5)(keras.Input((9, 4, 2)))
