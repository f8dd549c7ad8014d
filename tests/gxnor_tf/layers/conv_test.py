# SPDX-License-Identifier: Apache-2.0
"""DiscreteConv2D."""

import keras
import pytest

from gxnor_tf import DiscreteConv2D, DiscreteSpace
from tests.gxnor_tf.layers.layer_conformance import LayerConformance


class TestConv2D(LayerConformance):
    layer_class = DiscreteConv2D
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
    ]

    def float_operation(self, layer, x, values):
        return keras.ops.conv(
            x,
            values,
            strides=layer.strides,
            padding=layer.padding,
            dilation_rate=layer.dilation_rate,
        )


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"filters": 0}, "`filters` must be a positive"),
        ({"kernel_size": (3, 0)}, "`kernel_size` must be"),
        ({"kernel_size": (3, 3, 3)}, "kernel_size=\\(3, 3, 3\\)"),
        ({"strides": -1}, "`strides` must be"),
        ({"padding": "causal"}, "padding='causal'"),
        ({"strides": 2, "dilation_rate": 2}, "do not go together"),
    ],
)
def test_bad_arguments(kwargs, text):
    with pytest.raises(ValueError, match=text):
        DiscreteConv2D(**{"filters": 4, "kernel_size": 3} | kwargs)


def test_kernel_larger_than_the_input():
    with pytest.raises(ValueError, match='Use padding="same"'):
        DiscreteConv2D(4, 5)(keras.Input((4, 9, 1)))
