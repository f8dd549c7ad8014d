# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
import tensorflow as tf

import gxnor_tf
from gxnor_tf import metrics
from gxnor_tf.analysis.gates import Gates
from gxnor_tf.analysis.layer_calls import record_calls

RNG_SEED = 3


def sparse(shape, density, seed=RNG_SEED):
    """Random values with exact zeros among them."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) * (rng.random(shape) < density)).astype(
        np.float32
    )


def plain_counts(x, w, stride, padding, dilation):
    """Open and all products of a convolution, term by term."""
    batch, height, width, channels = x.shape
    kh, kw, _, filters = w.shape
    pads = []
    sizes = []
    for size, k in ((height, kh), (width, kw)):
        extent = (k - 1) * dilation + 1
        if padding == "same":
            out = -(-size // stride)
            pads.append(max((out - 1) * stride + extent - size, 0) // 2)
        else:
            out = (size - extent) // stride + 1
            pads.append(0)
        sizes.append(out)
    open_gates = np.zeros((batch, *sizes, filters), int)
    total = 0
    for i, j, a, b in np.ndindex(*sizes, kh, kw):
        row = i * stride - pads[0] + a * dilation
        column = j * stride - pads[1] + b * dilation
        if 0 <= row < height and 0 <= column < width:
            total += batch * channels * filters
            open_gates[:, i, j] += (x[:, row, column] != 0).astype(int) @ (
                w[a, b] != 0
            ).astype(int)
    return open_gates, total


@pytest.mark.parametrize(
    ("stride", "padding", "dilation"),
    [(1, "valid", 1), (1, "same", 1), (2, "same", 1), (1, "same", 2)],
)
@pytest.mark.parametrize("n", [0, 1, 3])
def test_gates_of_a_convolution_are_counted_exactly(
    stride, padding, dilation, n
):
    layer = gxnor_tf.DiscreteConv2D(
        5,
        (3, 2),
        strides=stride,
        padding=padding,
        dilation_rate=dilation,
        weight_space=gxnor_tf.DiscreteSpace(n, 0.3),
        use_bias=True,
        bias_initializer="ones",
        name="conv",
    )
    model = keras.Sequential([keras.Input((7, 6, 4)), layer])
    x = sparse((5, 7, 6, 4), 0.4)
    before = layer.get_weights()
    counts = metrics.gate_counts(model, x, batch_size=2)["conv"]
    open_gates, total = plain_counts(
        x, layer.kernel.numpy(), stride, padding, dilation
    )
    assert counts == Gates(
        products=total,
        open=open_gates.sum(),
        sums=open_gates.size,
        open_sums=np.count_nonzero(open_gates),
    )
    rate = metrics.gate_open_rates(model, x)["conv"]
    assert rate == open_gates.sum() / total
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_counting_does_not_touch_keras_random_numbers():
    model = keras.Sequential([keras.Input((4,)), gxnor_tf.DiscreteDense(3)])
    drawn = []
    for measure in (True, False):
        keras.utils.set_random_seed(5)
        if measure:
            metrics.gate_open_rates(model, sparse((2, 4), 0.5))
        drawn.append(keras.initializers.RandomUniform()((50,)).numpy())
    np.testing.assert_array_equal(*drawn)


def nested_model():
    inner = keras.Sequential(
        [
            keras.Input((4,)),
            gxnor_tf.DiscreteDense(4, name="dense"),
            gxnor_tf.DiscreteActivation(name="act"),
        ],
        name="inner",
    )
    inputs = keras.Input((4,))
    once = inner(inputs)
    twice = inner(once)
    outputs = keras.layers.Add(name="add")([once, twice])
    return keras.Model(inputs, outputs), inner


def test_nested_and_shared_layers():
    model, inner = nested_model()
    x = sparse((6, 4), 0.6)
    calls = record_calls(model, x)
    assert [call.name for call in calls if call.layer.weights] == [
        "inner/dense",
        "inner/dense",
    ]
    once = np.asarray(inner(x))
    twice = np.asarray(inner(once))
    assert metrics.activation_zero_shares(model, x, batch_size=4) == {
        "inner/act": np.mean(np.concatenate([once, twice]) == 0)
    }
    w = inner.layers[0].kernel.numpy() != 0
    gates = sum(((v != 0).astype(int) @ w.astype(int)).sum() for v in (x, once))
    assert metrics.gate_open_rates(model, x) == {
        "inner/dense": gates / (2 * 6 * 16)
    }


class TwoOfOneName(keras.Model):
    """Keras lets a class do this."""

    def __init__(self):
        super().__init__(name="two")
        self.a = gxnor_tf.DiscreteDense(6, name="dense")
        self.b = gxnor_tf.DiscreteDense(3, name="dense")

    def call(self, x):
        return self.b(self.a(x))


def test_layers_of_one_name():
    model = TwoOfOneName()
    x = sparse((4, 5), 0.5)
    model(x)
    ones = [np.ones((5, 6), np.int8), np.zeros((6, 3), np.int8)]
    model.set_weights(ones)
    rates = metrics.gate_open_rates(model, x)
    assert rates == {"dense": np.mean(x != 0), "dense#2": 0}
    shares = metrics.weight_zero_shares(model)
    assert list(shares.values()) == [0, 1]
    first, second = shares
    assert second == f"{first}#2"
    cost = gxnor_tf.summary(model, x, print_fn=None)
    assert [layer.weights for layer in cost.layers] == [30, 18]
    assert cost.weights == 48


def test_layers_in_wrappers():
    dense = gxnor_tf.DiscreteDense(2, name="dense")
    model = keras.Sequential(
        [
            keras.Input((3, 4)),
            keras.layers.TimeDistributed(
                gxnor_tf.DiscreteActivation(name="act"), name="first"
            ),
            keras.layers.TimeDistributed(dense, name="steps"),
        ]
    )
    dense.set_weights([np.array([[1, 1], [0, 1], [-1, 1], [0, 0]])])
    x = 0.6 * np.ones((2, 3, 4), np.float32)
    assert metrics.gate_open_rates(model, x) == {"steps/dense": 5 / 8}
    shares = metrics.activation_zero_shares(model, x)
    assert shares == {"first/act": 0}


def test_states_that_are_no_kernel_are_said():
    class Gain(keras.layers.Layer):
        def build(self, shape):
            self.gain = gxnor_tf.DiscreteVariable(
                np.ones(shape[1:], np.int8),
                gxnor_tf.DiscreteSpace(1),
                name="gain",
            )

        def call(self, x):
            return x * self.gain.read_states()

    model = keras.Sequential([keras.Input((3,)), Gain()])
    with pytest.warns(UserWarning, match="gain` are not counted.*`kernel`"):
        assert metrics.gate_open_rates(model, np.ones((1, 3))) == {}


def test_layers_in_graphs_of_their_own_are_said():
    class Compiled(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense = gxnor_tf.DiscreteDense(3, name="dense")

        def build(self, shape):
            self.dense.build(shape)

        @tf.function
        def call(self, x):
            return self.dense(x)

    model = keras.Sequential([keras.Input((4,)), Compiled()])
    for samples in (1, 2, 2):  # The graph is made anew, and used again.
        with pytest.warns(UserWarning, match="dense/kernel` are not counted"):
            assert metrics.gate_open_rates(model, np.ones((samples, 4))) == {}
    cost = gxnor_tf.summary(model, print_fn=None)
    assert any("in a graph of its own: " in note for note in cost.notes)


def test_several_inputs():
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    x = keras.layers.Concatenate()([a, b])
    model = keras.Model([a, b], gxnor_tf.DiscreteDense(2, name="d")(x))
    xs = [sparse((4, 3), 0.5), sparse((4, 2), 0.5)]
    expected = metrics.gate_open_rates(model, xs)
    assert metrics.gate_open_rates(model, xs, batch_size=3) == expected
    model = keras.Model({"a": a, "b": b}, model.outputs)
    assert metrics.gate_open_rates(model, {"a": xs[0], "b": xs[1]}) == expected
    with pytest.raises(ValueError, match=r"Received: \[3, 4\] samples"):
        metrics.gate_open_rates(model, {"a": xs[0], "b": xs[1][:3]})


def test_models_without_discrete_layers():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    x = sparse((3, 4), 0.5)
    assert metrics.gate_open_rates(model, x) == {}
    assert metrics.activation_zero_shares(model, x) == {}
    assert metrics.weight_zero_shares(model) == {}
    assert np.isnan(metrics.weight_zero_share(model))


def test_bad_arguments():
    model, _ = nested_model()
    with pytest.raises(ValueError, match="at least one sample"):
        metrics.gate_open_rates(model, np.zeros((0, 4)))
    with pytest.raises(ValueError, match="batch_size=0"):
        metrics.activation_zero_shares(model, np.zeros((1, 4)), batch_size=0)
    unbuilt = keras.Sequential([gxnor_tf.DiscreteDense(2)])
    with pytest.raises(ValueError, match="is not built"):
        metrics.gate_open_rates(unbuilt, np.zeros((1, 4)))
    for x in ("abc", None, tf.data.Dataset.from_tensors(np.zeros(4))):
        with pytest.raises(TypeError, match="`x` must be an array"):
            metrics.gate_open_rates(model, x)
    with pytest.raises(ValueError, match="batch_size=2.5"):
        metrics.gate_open_rates(model, np.zeros((3, 4)), batch_size=2.5)
    for function in (
        gxnor_tf.summary,
        metrics.weight_zero_shares,
        metrics.weight_zero_share,
        lambda model: metrics.gate_open_rates(model, np.zeros((1, 4))),
        lambda model: metrics.activation_zero_shares(model, np.zeros((1, 4))),
    ):
        with pytest.raises(TypeError, match="a built Keras model.*model=3"):
            function(3)
