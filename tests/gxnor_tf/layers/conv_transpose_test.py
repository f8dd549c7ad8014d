# SPDX-License-Identifier: Apache-2.0
"""DiscreteConv2DTranspose."""

import itertools
import json

import keras
import numpy as np
import pytest

from gxnor_tf import DiscreteConv2DTranspose, DiscreteSpace
from gxnor_tf.layers.conv_transpose import spread
from tests.gxnor_tf.layers.layer_conformance import (
    ExampleConformance,
    LayerConformance,
)


class TestConv2DTranspose(LayerConformance):
    layer_class = DiscreteConv2DTranspose
    keras_class = keras.layers.Conv2DTranspose
    input_shape = (6, 5, 4)
    examples = [
        {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"},
        {
            "filters": 2,
            "kernel_size": (2, 5),
            "strides": (3, 2),
            "use_bias": True,
            "bias_initializer": "ones",
        },
        {"filters": 3, "kernel_size": 3, "dilation_rate": (2, 3)},
        {
            "filters": 3,
            "kernel_size": 3,
            "strides": 2,
            "output_padding": (1, 0),
            "padding": "same",
            "weight_space": DiscreteSpace(2, 0.7),
        },
    ]


class TestConv2DTransposeChannelsFirst(ExampleConformance):
    layer_class = DiscreteConv2DTranspose
    keras_class = keras.layers.Conv2DTranspose
    input_shape = (4, 6, 5)
    examples = [
        {
            "filters": 3,
            "kernel_size": 3,
            "strides": 2,
            "data_format": "channels_first",
        }
    ]


def test_output_padding_of_numpy():
    kwargs = {"strides": 2, "output_padding": np.int64(1)}
    layer = DiscreteConv2DTranspose(2, 3, **kwargs)
    assert layer.output_padding == (1, 1)
    assert json.dumps(layer.get_config()["output_padding"]) == "[1, 1]"


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("output_padding", [None, 0, 1, 2])
def test_every_shape_that_is_accepted_runs(padding, output_padding):
    """Shapes as Keras says, for kernels smaller and larger than strides."""
    x = np.ones((1, 4, 3, 2), np.float32)
    for size, stride, rate in itertools.product((1, 2, 4), (1, 2, 3), (1, 2)):
        if stride > 1 and rate > 1:
            continue
        arguments = (2, size, stride, padding, output_padding, None, rate)
        try:
            layer = DiscreteConv2DTranspose(*arguments)
        except ValueError as error:
            assert "`output_padding` must be" in str(error)
            continue
        twin = keras.layers.Conv2DTranspose(*arguments)
        y = layer(x)
        assert tuple(y.shape) == tuple(twin.compute_output_shape(x.shape))
        assert tuple(y.shape) == layer.compute_output_shape(x.shape)


def test_spread():
    kernel = np.arange(1, 13).reshape(2, 3, 1, 2)
    wide = spread(kernel, (3, 2)).numpy()
    assert wide.shape == (4, 5, 1, 2)
    assert (wide[::3, ::2] == kernel).all()
    assert wide.sum() == kernel.sum()
    assert (spread(kernel, (1, 1)).numpy() == kernel).all()


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"filters": 0}, "`filters` must be an integer >= 1"),
        ({"kernel_size": (3, 0)}, "`kernel_size` must be"),
        ({"padding": "causal"}, "padding='causal'"),
        ({"strides": 2, "dilation_rate": 2}, "do not go together"),
        ({"strides": 2, "output_padding": 2}, r"output_padding=\(2, 2\)"),
        ({"strides": 2, "output_padding": -1}, "`output_padding` must be"),
        ({"strides": 2, "output_padding": (1,)}, r"output_padding=\(1,\)"),
        (
            {
                "kernel_size": 4,
                "strides": 2,
                "padding": "same",
                "output_padding": 0,
            },
            "even size",
        ),
    ],
)
def test_bad_arguments(kwargs, text):
    with pytest.raises(ValueError, match=text):
        DiscreteConv2DTranspose(**{"filters": 3, "kernel_size": 3} | kwargs)


def test_empty_input():
    with pytest.raises(ValueError, match="input is empty"):
        DiscreteConv2DTranspose(3, 3)(np.ones((1, 0, 4, 2), np.float32))
