# SPDX-License-Identifier: Apache-2.0
"""Layers with real weights or inputs: kept in float32, or rounded to int8."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import OpResolverType

import gxnor_tf
from export import (
    fusion,
    lowering,
    reference,
    terminal_tables,
    verification,
)
from export.graph import ExportError
from export.interpreter import Runner
from export.program import DiscreteOp, FloatOp
from tests.export import nets

L = keras.layers


def norm():
    return L.BatchNormalization(epsilon=1e-4)


def float_ends(seed):
    """Float first and last layer around a ternary one."""
    return nets.randomise(
        keras.Sequential(
            [
                keras.Input((8, 8, 2)),
                L.Conv2D(6, 3),
                L.MaxPooling2D(2, strides=1),
                norm(),
                gxnor_tf.DiscreteActivation(),
                gxnor_tf.DiscreteConv2D(6, 3),
                norm(),
                gxnor_tf.DiscreteActivation(),
                L.Flatten(),
                L.Dense(4, activation="softmax"),
            ]
        ),
        seed,
    )


def float_activations(seed):
    """Ternary weights, float activations, a float depthwise layer."""
    return nets.randomise(
        keras.Sequential(
            [
                keras.Input((8, 8, 2)),
                gxnor_tf.DiscreteConv2D(6, 3, scale="channel"),
                L.MaxPooling2D(2, strides=1),
                norm(),
                gxnor_tf.DiscreteActivation(None),
                gxnor_tf.DiscreteConv2D(6, 3, padding="same", use_bias=True),
                norm(),
                L.ReLU(),
                L.DepthwiseConv2D(3, depth_multiplier=2, activation="relu"),
                L.AveragePooling2D(2, padding="same"),
                gxnor_tf.DiscreteConv2D(4, 1, weight_space=None),
                L.GlobalAveragePooling2D(),
                gxnor_tf.DiscreteDense(4),
                norm(),
            ]
        ),
        seed,
    )


NETS = (float_ends, float_activations)


def reals(x):
    return x.astype(np.float32) * nets.INPUT_SCALE


@pytest.mark.parametrize("ops", ["custom", "builtin"])
@pytest.mark.parametrize("make", NETS)
def test_float32_keeps_the_layers(make, ops):
    model = make(1)
    x = nets.images(model, 60, 1)
    program = fusion.fuse(model, float_layers="float32")
    assert any(isinstance(op, FloatOp) for op in program.ops)
    assert not program.output.exact
    result = verification.compare(model, x, ops, float_layers="float32")
    assert not result.exact
    assert result.differing_labels == 0
    # Sums of some dozen numbers of about 1, rounded in another order.
    np.testing.assert_allclose(
        result.outputs, result.keras_outputs, rtol=1e-4, atol=1e-5
    )
    table = terminal_tables.format_comparison(result)
    assert "labels differing: 0 of 60" in table


@pytest.mark.parametrize(
    "resolver",
    [
        OpResolverType.AUTO,
        OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        OpResolverType.BUILTIN_REF,
    ],
)
@pytest.mark.parametrize("ops", ["custom", "builtin"])
@pytest.mark.parametrize("make", NETS)
def test_int8_is_the_same_everywhere(make, ops, resolver):
    """Rounded once, the integers are those of the oracle in every runtime."""
    model = make(2)
    x = nets.images(model, 40, 2)
    program = fusion.fuse(model, float_layers="int8", calibration=reals(x))
    assert all(
        isinstance(op, DiscreteOp)
        for op in program.ops
        if hasattr(op, "kernel")
    )
    result = reference.run(program, x)
    data = lowering.lower(program, ops, include_activations=True)
    found = Runner(data, xnnpack=resolver == OpResolverType.AUTO)(x)
    for layer, tensor in program.named_outputs.items():
        expected = verification.decode(result.values[tensor.name], tensor)
        value = verification.decode(found[layer], tensor)
        if tensor.is_states:
            assert (value == expected).all(), layer
        else:
            # Means over pixels and softmax are float32 in any order.
            np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", NETS)
def test_int8_is_near_keras(make):
    """Rounding to int8 moves outputs by a few percent of their range."""
    model = make(3)
    x = nets.images(model, 200, 3)
    result = verification.compare(
        model, x, float_layers="int8", calibration=reals(x)
    )
    spread = np.ptp(result.keras_outputs)
    difference = np.abs(result.outputs - result.keras_outputs)
    assert 0 < np.median(difference) < 0.05 * spread
    assert result.differing_labels < 0.1 * len(x)


def test_weights_need_one_byte():
    model = keras.Sequential([keras.Input((256,)), L.Dense(512)])
    sizes = {
        kind: len(
            lowering.lower(fusion.fuse(model, float_layers=kind), "builtin")
        )
        for kind in ("float32", "int8")
    }
    assert sizes["float32"] > 4 * 256 * 512
    assert 256 * 512 < sizes["int8"] < 256 * 512 + 10_000


def test_int8_needs_a_calibration_set():
    with pytest.raises(ExportError, match="Pass `calibration`"):
        fusion.fuse(float_activations(0), float_layers="int8")


@pytest.mark.parametrize(
    "calibration",
    [
        np.zeros((0, 8, 8, 2)),
        np.zeros((3, 8, 8)),
        np.full((3, 8, 8, 2), np.nan),
    ],
)
def test_calibration_of_another_kind(calibration):
    with pytest.raises(ExportError, match="`calibration` must hold finite"):
        fusion.fuse(
            float_activations(0), float_layers="int8", calibration=calibration
        )


def test_calibration_with_raw_pixels():
    with pytest.raises(ExportError, match=r"values in 0..255.*\(pixel - 128\)"):
        fusion.fuse(
            float_activations(0),
            float_layers="int8",
            calibration=np.linspace(0, 255, 128).reshape(1, 8, 8, 2),
        )


def test_unknown_way():
    with pytest.raises(ExportError, match="float_layers='float16'"):
        fusion.fuse(float_ends(0), float_layers="float16")


def test_weights_that_have_diverged():
    model = float_ends(0)
    model.layers[0].kernel.assign(np.full((3, 3, 2, 6), np.inf))
    with pytest.raises(ExportError, match="kernel` holds NaN or infinite"):
        fusion.fuse(model, float_layers="float32")
