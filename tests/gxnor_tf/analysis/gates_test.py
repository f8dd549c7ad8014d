# SPDX-License-Identifier: Apache-2.0
"""The operations behind the counts. The counts are in metrics_test.py."""

import keras
import numpy as np
import pytest

import gxnor_tf
from gxnor_tf.analysis.gates import products


def sparse(shape, density):
    """Random values with exact zeros among them."""
    rng = np.random.default_rng(3)
    return (rng.normal(size=shape) * (rng.random(shape) < density)).astype(
        np.float32
    )


def test_only_one_factor_gates():
    layer = gxnor_tf.DiscreteDense(6)
    x = sparse((3, 8), 0.5)
    layer.build(x.shape)
    w = layer.kernel.numpy()
    [product] = products(layer, x)
    counts = {
        (gate_inputs, gate_weights): product.open_gates(
            gate_inputs, gate_weights
        ).sum()
        for gate_inputs in (False, True)
        for gate_weights in (False, True)
    }
    assert counts == {
        (False, False): 3 * 8 * 6,
        (False, True): 3 * np.count_nonzero(w),
        (True, False): 6 * np.count_nonzero(x),
        (True, True): ((x != 0).astype(int) @ (w != 0).astype(int)).sum(),
    }


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Dense(3, activation="relu"),
        keras.layers.Conv1D(3, 2, padding="causal"),
        keras.layers.Conv1DTranspose(3, 2, strides=2),
        keras.layers.DepthwiseConv1D(2, depth_multiplier=2),
        keras.layers.SeparableConv1D(3, 2, depth_multiplier=2),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_products_of_keras_layers_are_their_outputs(layer):
    """With real values instead of indicators the operation is the layer's."""
    x = sparse((2, 6, 4), 0.7)
    expected = np.asarray(layer(x))
    if isinstance(layer, keras.layers.Dense):
        expected = np.asarray(x @ layer.kernel.numpy())
    last = products(layer, x)[-1]
    y = last.operation(last.inputs, last.kernel.numpy())
    np.testing.assert_allclose(np.asarray(y), expected, rtol=1e-5, atol=1e-6)
