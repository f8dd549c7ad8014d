# SPDX-License-Identifier: Apache-2.0
"""DiscreteConv1D and DiscreteConv2D."""

import keras
import numpy as np
import pytest

from gxnor_tf import DiscreteConv1D, DiscreteConv2D, DiscreteSpace
from tests.gxnor_tf.layers.layer_conformance import (
    ExampleConformance,
    LayerConformance,
)


class TestConv1D(LayerConformance):
    layer_class = DiscreteConv1D
    keras_class = keras.layers.Conv1D
    input_shape = (11, 4)
    examples = [
        {"filters": 6, "kernel_size": 3},
        {
            "filters": 3,
            "kernel_size": 4,
            "padding": "causal",
            "dilation_rate": 2,
            "use_bias": True,
            "bias_initializer": "ones",
        },
        {
            "filters": 4,
            "kernel_size": 3,
            "padding": "same",
            "strides": 2,
            "groups": 2,
            "weight_space": DiscreteSpace(0, 0.3),
        },
    ]


class TestConv1DChannelsFirst(ExampleConformance):
    layer_class = DiscreteConv1D
    keras_class = keras.layers.Conv1D
    input_shape = (4, 11)
    examples = [
        {
            "filters": 6,
            "kernel_size": 3,
            "padding": "causal",
            "data_format": "channels_first",
        }
    ]


class TestConv2D(LayerConformance):
    layer_class = DiscreteConv2D
    keras_class = keras.layers.Conv2D
    input_shape = (9, 8, 3)
    examples = [
        {"filters": 4, "kernel_size": 3},
        {"filters": 2, "kernel_size": (2, 5), "padding": "same"},
        {
            "filters": 3,
            "kernel_size": 3,
            "strides": (2, 1),
            "padding": "same",
            "use_bias": True,
            "bias_initializer": "ones",
        },
        {"filters": 5, "kernel_size": 3, "dilation_rate": 2},
        {
            "filters": 5,
            "kernel_size": 1,
            "strides": 3,
            "weight_space": DiscreteSpace(2, 0.7),
        },
        {"filters": 6, "kernel_size": 3, "groups": 3, "dilation_rate": (1, 2)},
    ]


class TestConv2DChannelsFirst(ExampleConformance):
    layer_class = DiscreteConv2D
    keras_class = keras.layers.Conv2D
    input_shape = (4, 9, 8)
    examples = [
        {
            "filters": 4,
            "kernel_size": 3,
            "data_format": "channels_first",
            **kwargs,
        }
        for kwargs in (
            {"use_bias": True, "bias_initializer": "ones"},
            {"padding": "same", "strides": 2, "groups": 2},
        )
    ]


@pytest.mark.parametrize("layer_class", [DiscreteConv1D, DiscreteConv2D])
@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"filters": 0}, "`filters` must be an integer >= 1"),
        ({"kernel_size": 0}, "`kernel_size` must be.*kernel_size=0"),
        ({"kernel_size": (3, 3, 3)}, "kernel_size=\\(3, 3, 3\\)"),
        ({"strides": -1}, "`strides` must be"),
        ({"dilation_rate": 0}, "`dilation_rate` must be"),
        ({"groups": 0}, "`groups` must be"),
        ({"groups": 3}, "multiple of `groups`.*filters=4, groups=3"),
        ({"padding": "full"}, "padding='full'"),
        ({"padding": None}, "padding=None"),
        ({"data_format": "NHWC"}, "data_format='NHWC'"),
        ({"strides": 2, "dilation_rate": 2}, "do not go together"),
    ],
)
def test_bad_arguments(layer_class, kwargs, text):
    with pytest.raises(ValueError, match=text):
        layer_class(**{"filters": 4, "kernel_size": 3} | kwargs)


def test_causal_is_for_one_axis():
    with pytest.raises(ValueError, match="padding='causal'"):
        DiscreteConv2D(4, 3, padding="causal")


def test_causal_looks_back_only():
    layer = DiscreteConv1D(3, 4, padding="causal", dilation_rate=2)
    x = np.random.default_rng(0).normal(size=(1, 12, 2)).astype("float32")
    later = x.copy()
    later[:, 7:] += 1
    before, after = layer(x).numpy(), layer(later).numpy()
    assert (before[:, :7] == after[:, :7]).all()
    assert (before[:, 7:] != after[:, 7:]).any()


def test_channels_that_groups_do_not_divide():
    with pytest.raises(ValueError, match="4 channels, groups=3"):
        DiscreteConv2D(6, 3, groups=3)(keras.Input((9, 9, 4)))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_kernel_larger_than_the_input(data_format):
    shape = (4, 9, 1) if data_format == "channels_last" else (1, 4, 9)
    layer = DiscreteConv2D(4, 5, data_format=data_format)
    with pytest.raises(ValueError, match='Use padding="same"'):
        layer(keras.Input(shape))


def test_size_that_is_known_late_is_checked_late():
    layer = DiscreteConv2D(4, 5)
    layer(keras.Input((None, None, 1)))
    with pytest.raises(ValueError, match="output.*would be empty"):
        layer(np.ones((1, 4, 9, 1), np.float32))
    with pytest.raises(ValueError, match="output.*would be empty"):
        layer.compute_output_shape((None, 0, 9, 1))


def test_empty_input_with_padding():
    with pytest.raises(ValueError, match="input is empty"):
        DiscreteConv2D(4, 5, padding="same")(np.ones((1, 0, 9, 1), np.float32))


def test_shape_in_the_error_is_that_of_the_layout():
    layer = DiscreteConv1D(4, 5, data_format="channels_first")
    with pytest.raises(ValueError, match=r"\(batch, channels, steps\)"):
        layer.build((None, 3))
    with pytest.raises(ValueError, match="batch, height, width, channels"):
        DiscreteConv2D(4, 5).build((None, 3, 4))


def test_data_format_follows_keras():
    keras.config.set_image_data_format("channels_first")
    try:
        layer = DiscreteConv2D(4, 3)
    finally:
        keras.config.set_image_data_format("channels_last")
    assert layer.data_format == "channels_first"
    again = DiscreteConv2D.from_config(layer.get_config())
    assert again.data_format == "channels_first"


def test_padding_in_capitals():
    assert DiscreteConv2D(4, 3, padding="SAME").padding == "same"


def test_arguments_stand_in_the_order_of_keras():
    arguments = (4, 3, 1, "same", "channels_last", 2, 2)
    ours, theirs = DiscreteConv2D(*arguments), keras.layers.Conv2D(*arguments)
    for name in (
        *("filters", "kernel_size", "strides", "padding", "data_format"),
        *("dilation_rate", "groups"),
    ):
        assert getattr(ours, name) == getattr(theirs, name)
