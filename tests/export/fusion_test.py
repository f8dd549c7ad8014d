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
    (op, _) = fusion.fuse(model, input_scale=1 / 16).discrete_ops
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
    assert (np.diff(op.thresholds.steps, axis=0) >= 0).all()


def test_negative_scale_behind_a_pool_flips_the_next_weights():
    model = model_of(
        conv(), L.MaxPooling2D(), norm(), act(), conv(3, 2), norm()
    )
    model.layers[2].gamma.assign([1.0, -1.0, 1.0, -1.0])
    first, second = fusion.fuse(model).discrete_ops
    assert first.output.flipped.tolist() == [False, True, False, True]
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


def two_inputs():
    inputs = [keras.Input((4,)), keras.Input((4,))]
    return keras.Model(inputs, L.Add()([dense(3)(x) for x in inputs]))


def functional(function, shape=(8, 8, 2)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs))


class Doubled(keras.Sequential):
    """A user's own model, which computes something else."""

    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training=training)


class WithConstructor(keras.Model):
    """A functional model made by a class."""

    def __init__(self, units):
        inputs = keras.Input((4,))
        super().__init__(inputs, dense(units)(inputs))


class Unconfigured(keras.layers.Layer):
    """A layer that cannot be saved."""

    def call(self, x):
        return x

    def get_config(self):
        raise NotImplementedError("no configuration")


class Add(keras.Operation):
    """An operation that has the name of another one."""

    def call(self, a, b):
        return a - b

    def compute_output_spec(self, a, b):
        return keras.KerasTensor(a.shape, a.dtype)


def quantized_by_keras():
    model = model_of(L.Dense(3), shape=(8,))
    model.layers[0].quantize("int8")
    return model


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
        (lambda: model_of(Twice(3), shape=(5,)), r"\(Twice\) cannot be"),
        (
            lambda: model_of(dense(), act(), AlwaysOn(0.5), shape=(5,)),
            r"\(AlwaysOn\) cannot be exported. Supported are Activation",
        ),
        (lambda: "model", "A Keras model is needed.*str"),
        (subclassed, "no known input.*functional API"),
        (lambda: keras.Sequential([dense()]), "needs a `keras.Input`"),
        (
            lambda: Doubled([keras.Input((8,)), dense()]),
            r"\(Doubled\) has a `call` of its own",
        ),
        (
            lambda: functional(
                lambda x: Doubled([keras.Input((4,)), dense()])(x), (4,)
            ),
            r"\(Doubled\) has a `call` of its own",
        ),
        (lambda: WithConstructor(3), "constructor of its own. Rebuild"),
        (
            lambda: functional(lambda x: Unconfigured()(x)),
            "cannot be read, because one of its layers has no configuration",
        ),
        (
            lambda: functional(
                lambda x: L.LSTM(3, return_state=True)(x)[0], (5, 2)
            ),
            r"`lstm.* \(LSTM\) gives more than one value",
        ),
        (
            lambda: functional(
                lambda x: L.MultiHeadAttention(1, 2)(x, x), (5, 2)
            ),
            r"\(MultiHeadAttention\) cannot be exported",
        ),
        (
            lambda: functional(lambda x: Add()(x, x)),
            r"Operation `add.*\(Add\) cannot be exported",
        ),
        (
            lambda: keras.Sequential(
                [keras.Input((4,), dtype="uint8"), dense()]
            ),
            "must be floating.*dtype=uint8",
        ),
        (quantized_by_keras, r"was quantised by Keras \(int8\)"),
        (two_inputs, "one input and one output. Received: 2 inputs"),
        # real numbers before a discrete layer
        (
            lambda: model_of(conv(), L.ReLU(), conv()),
            "reads real numbers from `re_lu.*BatchNormalization and Discrete",
        ),
        (lambda: model_of(conv(), conv()), "reads real numbers"),
        (lambda: model_of(conv(), L.Flatten(), dense()), "reads real numbers"),
        (lambda: model_of(conv(), norm(), conv()), "reads real numbers"),
        (lambda: model_of(conv(), act(None), conv()), "reads real numbers"),
        (
            lambda: model_of(
                conv(), L.ReLU(), gxnor_tf.DiscreteSeparableConv2D(2, 2)
            ),
            "reads real numbers",
        ),
        # real weights
        (lambda: model_of(L.Dense(3), shape=(5,)), r"\(Dense\) has real wei"),
        (
            lambda: model_of(dense(3, weight_space=None), shape=(5,)),
            r"\(DiscreteDense\) has real weights.*float_layers=\"float32\"",
        ),
        (
            lambda: model_of(conv(), L.AveragePooling2D(2)),
            "average_pooling2d.*averages real numbers",
        ),
        (
            lambda: model_of(
                conv(), act(), L.AveragePooling2D(4, padding="same")
            ),
            "windows of different sizes",
        ),
        (
            lambda: model_of(conv(), L.ReLU(max_value=6.0)),
            "only a plain ReLU",
        ),
        (
            lambda: model_of(conv(), L.Activation("tanh")),
            "activation of `activation.*cannot be exported. Use relu",
        ),
        (
            lambda: model_of(conv(), L.Softmax(axis=1)),
            "must be over the last axis",
        ),
        (
            lambda: functional(
                lambda x: L.Concatenate(axis=1)([act()(x), act()(x)])
            ),
            "must join the last axis",
        ),
        (
            lambda: functional(lambda x: conv()(x) * 2.0),
            "is called with 2.0; only outputs of layers",
        ),
        (
            lambda: functional(lambda x: conv(2, 1)(x) - x),
            r"\(Subtract\) cannot be exported. Use a layer",
        ),
        (
            lambda: functional(lambda x: norm()(conv()(x), training=True)),
            "is called with training=True",
        ),
        (
            lambda: functional(lambda x: L.Add()([conv(2, 1)(x), dense(1)(x)])),
            "adds values of different shapes",
        ),
        (
            lambda: model_of(L.Reshape((2, 4, 8, 2)), L.Flatten(), dense(3)),
            r"must have the shape \(channels,\), \(steps, channels\)",
        ),
        (
            lambda: model_of(
                conv(), act(gxnor_tf.DiscreteSpace(1, 0.3)), conv()
            ),
            "multiple of 0.3, which must be a power of two",
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
        (
            lambda: model_of(L.Flatten(data_format="channels_first"), dense(2)),
            "only channels_last",
        ),
        (
            lambda: model_of(
                gxnor_tf.DiscreteConv2DTranspose(
                    2, 1, strides=3, output_padding=0
                )
            ),
            "its output ends within the last stride",
        ),
        (
            lambda: model_of(L.Conv2DTranspose(2, 3), dense()),
            r"\(Conv2DTranspose\) cannot be exported",
        ),
    ],
)
def test_what_cannot_be_exported(make, text):
    with pytest.raises(ExportError, match=text):
        fusion.fuse(make())


def test_flipped_output_without_a_next_layer():
    """An op of its own turns the flipped channel back."""
    model = model_of(conv(), L.MaxPooling2D(), norm(), act())
    model.layers[2].gamma.assign([1.0, -1.0, 1.0, 1.0])
    program = fusion.fuse(model)
    assert program.discrete_ops[0].output.flipped.tolist()[1]
    assert program.output.flipped is None
    x = nets.images(model, 4, 0)
    for ops in ("custom", "builtin"):
        assert verification.compare(model, x, ops).differing_samples == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: model_of(conv(), norm(), act(), L.Flatten()),
        lambda: model_of(conv(), L.MaxPooling2D()),
        lambda: model_of(L.Flatten()),
        lambda: model_of(norm(), L.Dropout(0.5)),
        lambda: model_of(L.ZeroPadding2D(2)),
        lambda: model_of(act(), L.ReLU()),
        lambda: model_of(dense(), shape=(1, 8)),
        lambda: functional(lambda x: L.Concatenate()([x, act()(x)])),
        lambda: functional(lambda x: L.Add()([x, x, act()(x)])),
        lambda: functional(
            lambda x: L.Concatenate()([act(0)(x), L.Identity()(conv(2, 1)(x))])
        ),
        lambda: functional(
            lambda x: (lambda y: L.Add()([L.MaxPooling2D(1)(y), y]))(
                L.Dropout(0.5)(act()(conv()(x)))
            )
        ),
    ],
)
def test_unusual_models(make):
    """Ends, starts and readers that no ordinary net has."""
    model = nets.randomise(make(), 3)
    x = nets.images(model, 5, 0)
    for ops in ("custom", "builtin"):
        result = verification.compare(model, x, ops)
        assert result.exact
        assert result.differing_samples == 0
        assert not any(result.differing_activations.values())


def test_the_global_policy_is_not_the_models():
    model = functional(
        lambda x: dense(3)(act()(L.Activation("relu")(norm()(x + x)))), (8,)
    )
    x = nets.images(model, 50, 0)
    expected = reference.run(fusion.fuse(model), x).output
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        found = reference.run(fusion.fuse(model), x).output
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert (found == expected).all()


def test_thresholds_of_the_largest_sums():
    """Beyond 2^23, where twice a sum is no whole float32."""
    model = model_of(dense(2, weight_space=7), norm(), act(), shape=(1500,))
    kernel = np.full((1500, 2), 64, np.int8)
    kernel[0] = 1
    model.layers[0].kernel.assign(kernel)
    # The activation jumps at half the deviation; sums are 2^-13 each.
    middle = 1499 * 64 * 127
    deviation = 2 * middle / 2**13
    model.layers[1].moving_variance.assign(np.full(2, deviation**2))
    x = np.full((41, 1500), 127, np.int8)
    x[:, 0] = np.arange(-20, 21)
    states = reference.run(fusion.fuse(model), x).output
    assert set(states[:, 0].tolist()) == {0, 1}
    for ops in ("custom", "builtin"):
        result = verification.compare(model, x, ops)
        assert not any(result.differing_activations.values())


@pytest.mark.parametrize("scale", ["1/128", None, True])
def test_input_scale_must_be_a_number(scale):
    with pytest.raises(ExportError, match="`input_scale` must be"):
        fusion.fuse(nets.dense_only(0), scale)


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
