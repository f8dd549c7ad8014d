# SPDX-License-Identifier: Apache-2.0
"""Thresholds against a scan of all sums, and what cannot be exported."""

import keras
import numpy as np
import pytest

import gxnor_tf
from export import fusion, reference, verification
from export.graph import ExportError
from tests.export import nets

L = keras.layers


def dense(units=4, **kwargs):
    return gxnor_tf.DiscreteDense(units, **kwargs)


def conv(filters=4, size=3, **kwargs):
    return gxnor_tf.DiscreteConv2D(filters, size, **kwargs)


def act(*args, **kwargs):
    return gxnor_tf.DiscreteActivation(*args, **kwargs)


def norm(**kwargs):
    return L.BatchNormalization(**kwargs)


def model_of(*layers, shape=(8, 8, 2)):
    return keras.Sequential([keras.Input(shape), *layers])


@pytest.mark.parametrize("zero_window", [0.0, 0.5])
def test_thresholds_equal_a_scan_of_all_sums(zero_window):
    """Every sum of every channel, evaluated by Keras."""
    model = nets.randomise(
        model_of(
            dense(60),
            norm(),
            act(zero_window=zero_window),
            dense(),
            shape=(3,),
        ),
        seed=5,
    )
    model.layers[0].kernel.assign(np.ones((3, 60), np.int8))
    (op, _) = fusion.fuse(model, input_scale=1 / 16).ops
    sums = np.arange(-3 * 128, 3 * 128 + 1, dtype=np.int32)[:, None]
    expected = np.asarray(
        model.layers[2](
            model.layers[1](
                np.repeat(sums, 60, 1).astype(np.float32) / 16, training=False
            )
        )
    )
    sign = op.kernel[:, 0, 0, 0]  # where the function falls, -1
    assert set(sign) == {-1, 1}
    found = reference.activate(sums * sign, op.thresholds)
    assert (found == expected).all()
    assert (op.thresholds.low <= op.thresholds.high).all()


def test_negative_scale_behind_a_pool_flips_the_next_weights():
    model = model_of(
        conv(), L.MaxPooling2D(), norm(), act(), conv(3, 2), norm()
    )
    model.layers[2].gamma.assign([1.0, -1.0, 1.0, -1.0])
    first, second = fusion.fuse(model).ops
    assert first.flipped.tolist() == [False, True, False, True]
    original = model.layers[4].kernel.numpy().transpose(3, 0, 1, 2)
    assert (second.kernel == original * [1, -1, 1, -1]).all()


def subclassed():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = dense()

        def call(self, x):
            return self.dense(x)

    net = Net()
    net(np.zeros((1, 3), np.float32))
    return net


def branched():
    x = inputs = keras.Input((8,))
    x = act()(norm()(dense(8)(x)))
    return keras.Model(inputs, L.Add()([dense(8)(x), dense(8)(x)]))


def shared():
    inputs = keras.Input((4,))
    layer = dense(4)
    return keras.Model(inputs, layer(act()(norm()(layer(inputs)))))


class Twice(gxnor_tf.DiscreteDense):
    """A user's own layer, which computes something else."""

    def call(self, x):
        return 2 * super().call(x) + 1


class AlwaysOn(L.Dropout):
    """A dropout that is active at inference, too."""

    def call(self, x, training=False):
        return super().call(x, training=True)


def broken(value, name="moving_variance"):
    model = model_of(dense(), norm(), act(), dense(), shape=(5,))
    variable = getattr(model.layers[1], name)
    variable.assign(np.full(variable.shape, value))
    return model


def tampered():
    model = model_of(dense(), norm(), shape=(5,))
    model.layers[0].kernel.value.assign(np.full((5, 4), 9, np.int8))
    return model


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: model_of(dense(), shape=(1, 8)),
            r"\(depth,\) or \(height, width, channels\). Received: \(1, 8\)",
        ),
        (
            lambda: model_of(conv(), norm(), act(), L.Flatten()),
            "ends in `flatten",
        ),
        (lambda: model_of(Twice(3), shape=(5,)), "no discrete layer"),
        (
            lambda: model_of(dense(), act(), AlwaysOn(0.5), shape=(5,)),
            r"\(AlwaysOn\) cannot be exported",
        ),
        (lambda: "model", "A Keras model is needed.*str"),
        (subclassed, "no known input.*functional API"),
        (lambda: keras.Sequential([dense()]), "needs a `keras.Input`"),
        (branched, "(goes to 2 layers|joins 2 branches)"),
        (shared, "is shared.*called once"),
        (
            lambda: model_of(model_of(dense(), shape=(5,)), shape=(5,)),
            "model inside a model",
        ),
        (
            lambda: model_of(conv(), L.ReLU(), conv()),
            r"\(ReLU\) cannot be exported. Supported are",
        ),
        (
            lambda: model_of(conv(), L.AveragePooling2D(2)),
            "AveragePooling2D",
        ),
        (lambda: model_of(L.Dense(3), shape=(5,)), "no discrete layer"),
        (
            lambda: model_of(L.Dense(3), dense(), shape=(5,)),
            "before the first",
        ),
        (lambda: model_of(norm(), conv()), "before the first discrete"),
        (lambda: model_of(L.Flatten()), "no discrete layer"),
        # without BatchNormalization and activation between discrete layers
        (
            lambda: model_of(conv(), conv()),
            "Put BatchNormalization and DiscreteActivation after it",
        ),
        (
            lambda: model_of(conv(), L.Flatten(), dense()),
            "Put BatchNormalization and DiscreteActivation between",
        ),
        (
            lambda: model_of(conv(), norm(), conv()),
            "DiscreteActivation after it",
        ),
        (lambda: model_of(conv(), act(), norm()), "before the activation"),
        (lambda: model_of(conv(), act(), act()), "Two activations"),
        (
            lambda: model_of(conv(), L.MaxPooling2D(), act(), L.MaxPooling2D()),
            "Two poolings",
        ),
        (lambda: model_of(conv(), L.MaxPooling2D()), "Pooling .* end of"),
        (
            lambda: model_of(conv(), act(gxnor_tf.DiscreteSpace(2)), conv()),
            "n=2.*only ternary",
        ),
        (
            lambda: model_of(conv(weight_space=gxnor_tf.DiscreteSpace(3))),
            "n=3.*only binary and ternary weights",
        ),
        (
            lambda: model_of(
                conv(), act(gxnor_tf.DiscreteSpace(1, 0.3)), conv()
            ),
            "power of two",
        ),
        (lambda: broken(np.nan), "moving_variance` holds NaN"),
        (lambda: broken(np.inf, "gamma"), "gamma` holds NaN or inf"),
        (lambda: broken(np.nan, "beta"), "beta` holds NaN"),
        (lambda: broken(-np.inf, "moving_mean"), "moving_mean` holds"),
        (lambda: broken(-5.0), "negative variances"),
        (tampered, r"kernel` holds values outside of DiscreteSpace\(n=1"),
        (
            lambda: model_of(conv(), norm(axis=1), act(), conv()),
            "must normalise the last axis",
        ),
        (lambda: model_of(conv(dtype="mixed_bfloat16")), "bfloat16"),
        (
            lambda: model_of(conv(), norm(), shape=(None, 8, 2)),
            "known size",
        ),
        (
            lambda: model_of(dense(2), shape=(2**17,)),
            "beyond the 16777216",
        ),
    ],
)
def test_what_cannot_be_exported(make, text):
    with pytest.raises(ExportError, match=text):
        fusion.fuse(make())


def test_flipped_output_without_a_next_layer():
    model = model_of(conv(), L.MaxPooling2D(), norm(), act())
    model.layers[2].gamma.assign([1.0, -1.0, 1.0, 1.0])
    with pytest.raises(ExportError, match="Move the pooling behind"):
        fusion.fuse(model)


@pytest.mark.parametrize("scale", [0.0, -0.5, 0.3, np.inf, np.nan, 2.0**-40])
def test_input_scale_must_be_a_power_of_two(scale):
    with pytest.raises(ExportError, match="`input_scale` must be a power"):
        fusion.fuse(nets.dense_only(0), scale)


def test_layers_that_were_built_at_another_size():
    """The shapes are those of this model, not of a layer's first call."""
    layers = [
        conv(8, strides=2, padding="same"),
        norm(),
        act(),
        conv(8, strides=2, padding="same"),
        norm(),
        act(),
    ]
    model_of(*layers, shape=(17, 17, 2))
    model = nets.randomise(model_of(*layers, shape=(16, 16, 2)), 3)
    x = nets.images(model, 4, 0)
    for ops in ("custom", "builtin"):
        result = verification.compare(model, x, ops)
        assert set(result.differing_activations.values()) == {0}
        assert result.differing_samples == 0
