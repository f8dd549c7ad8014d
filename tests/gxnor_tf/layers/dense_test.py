# SPDX-License-Identifier: Apache-2.0
"""DiscreteDense."""

import keras
import numpy as np
import pytest

from gxnor_tf import DiscreteActivation, DiscreteDense, DiscreteSpace
from tests.gxnor_tf.layers.layer_conformance import (
    ExampleConformance,
    LayerConformance,
)


class TestDense(LayerConformance):
    layer_class = DiscreteDense
    keras_class = keras.layers.Dense
    input_shape = (12,)
    examples = [
        {"units": 4},
        {"units": 3, "use_bias": True, "bias_initializer": "ones"},
        {"units": 5, "weight_space": DiscreteSpace(0, 0.3)},
    ]


class TestDenseOnPositions(ExampleConformance):
    layer_class = DiscreteDense
    keras_class = keras.layers.Dense
    input_shape = (4, 5, 7)
    examples = [{"units": 4}, {"units": 5, "weight_space": DiscreteSpace(3)}]


@pytest.mark.parametrize("units", [0, -1, 2.5, "3"])
def test_units(units):
    with pytest.raises(ValueError, match="`units` must be an integer >= 1"):
        DiscreteDense(units)


@pytest.mark.parametrize("shape", [(None, None), (None, 0), (4,)])
def test_shapes_without_a_depth(shape):
    with pytest.raises(ValueError, match="depth that is known and not 0"):
        DiscreteDense(3).build(shape)


def test_masks_pass_through():
    x = np.ones((2, 3, 4), np.float32)
    x[:, 1:] = 0
    masked = keras.layers.Masking()(x)
    y = DiscreteActivation()(DiscreteDense(5)(masked))
    mask = keras.ops.convert_to_numpy(y._keras_mask)
    assert mask.tolist() == [[True, False, False]] * 2


def test_sums_of_many_levels_fit_float16():
    layer = DiscreteDense(
        1, weight_space=7, dtype="mixed_float16", kernel_initializer="ones"
    )
    assert layer(np.ones((1, 2048))).numpy().item() == 2048


@pytest.mark.parametrize("space", [0, 1])
def test_initializer_that_gives_nan(space):
    layer = DiscreteDense(
        2,
        weight_space=space,
        kernel_initializer=keras.initializers.Constant(np.nan),
    )
    with pytest.raises(ValueError, match="must be finite.*Received 6 NaN"):
        layer.build((None, 3))
