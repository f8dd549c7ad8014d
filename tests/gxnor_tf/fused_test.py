# SPDX-License-Identifier: Apache-2.0
"""One kernel in graphs, the plain function elsewhere."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf import DiscreteActivation, activations
from gxnor_tf.discrete_space import DiscreteSpace
from gxnor_tf.fused import fused


def compiled_functions(graph):
    """The functions that XLA compiles for themselves in a graph."""
    return [
        op.name
        for op in graph.get_operations()
        if "_XlaMustCompile" in op.node_def.attr
        and op.node_def.attr["_XlaMustCompile"].b
    ]


def test_compiles_in_graphs_only():
    double = fused(lambda x: x + x)
    x = tf.constant([1.0, 2.0])
    assert double(x).numpy().tolist() == [2, 4]
    plain = tf.function(double)
    assert plain(x).numpy().tolist() == [2, 4]
    assert compiled_functions(plain.get_concrete_function(x).graph)
    # Inside of XLA there is nothing to compile apart.
    outer = tf.function(double, jit_compile=True)
    assert outer(x).numpy().tolist() == [2, 4]
    assert not compiled_functions(outer.get_concrete_function(x).graph)


@pytest.mark.parametrize("n", range(5))
@pytest.mark.parametrize("derivative", ["rectangular", "triangular"])
@pytest.mark.parametrize("width", [0.25, 0.5, 0.7])
def test_fused_activation_has_the_same_values(n, derivative, width):
    x = np.linspace(-2, 2, 4097, dtype=np.float32)
    x = tf.constant(np.append(x, [np.nan, np.inf, -np.inf, -0.0]), tf.float32)
    upstream = tf.random.stateless_normal(x.shape, (1, 2))

    def both(fuse):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = activations.discretize(
                x,
                DiscreteSpace(n),
                derivative=derivative,
                derivative_width=width,
                fuse=fuse,
            )
        return y, tape.gradient(y, x, output_gradients=upstream)

    expected = tf.function(both)(False)
    for a, b in zip(tf.function(both)(True), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_layer_fuses_in_training_only():
    layer = DiscreteActivation()
    x = tf.constant([0.1, 0.7])
    for training, count in ((True, 1), (False, 0), (None, 0)):
        function = tf.function(
            lambda x, training=training: layer(x, training=training)
        )
        graph = function.get_concrete_function(x).graph
        assert len(compiled_functions(graph)) == count


def test_replicas():
    strategy = tf.distribute.MirroredStrategy(
        [device.name for device in tf.config.list_logical_devices("CPU")]
    )
    with strategy.scope():
        model = keras.Sequential(
            [keras.Input((3,)), DiscreteActivation(), keras.layers.Dense(1)]
        )
        model.compile("sgd", "mse", jit_compile=False)
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    history = model.fit(x, x[:, :1], epochs=2, verbose=0).history["loss"]
    assert history[1] < history[0]
