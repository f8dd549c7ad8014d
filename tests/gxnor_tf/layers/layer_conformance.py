# SPDX-License-Identifier: Apache-2.0
"""What every layer with a discrete kernel must do."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src import testing

import gxnor_tf

# One of each kind, and a unit that is no power of two.
SPACES = [
    None,
    0,
    1,
    3,
    gxnor_tf.DiscreteSpace(0, 0.3),
    gxnor_tf.DiscreteSpace(2, 0.7),
]


def is_trained(layer, variable):
    """Whether it is among the trainable ones: `in` would compare values."""
    return any(variable is other for other in layer.trainable_variables)


def kernels(layer):
    """The weights of a layer that its space is about."""
    names = ("kernel", "depthwise_kernel", "pointwise_kernel")
    return [getattr(layer, name) for name in names if hasattr(layer, name)]


class ExampleConformance:
    """Base of the layers' tests; a subclass gives the class and examples.

    `keras_class` is the Keras layer of the same name; `examples` are the
    arguments that both share. Every test runs on every example.
    """

    layer_class: type
    keras_class: type
    input_shape: tuple[int, ...]
    examples: list[dict]

    @pytest.fixture(autouse=True)
    def _seed(self):
        keras.utils.set_random_seed(1)

    def make(self, **kwargs):
        return self.layer_class(**kwargs)

    def inputs(self, count=3):
        rng = np.random.default_rng(0)
        return rng.normal(size=(count, *self.input_shape)).astype(np.float32)

    def exact_inputs(self):
        """Inputs that float32 sums up without rounding."""
        return tf.constant(np.round(self.inputs() * 8) / 8)

    def keras_layer(self, example, layer, values):
        """The Keras layer with the same arguments and given weights."""
        twin = self.keras_class(
            **{"use_bias": False} | self.without_ours(example)
        )
        twin.build(self.inputs().shape)
        bias = [] if layer.bias is None else [layer.bias]
        twin.set_weights([np.asarray(x) for x in (*values, *bias)])
        return twin

    def without_ours(self, example):
        ours = ("weight_space", "scale")
        return {k: v for k, v in example.items() if k not in ours}

    def test_examples(self, example):
        layer = self.make(**example)
        x = self.inputs()
        y = layer(x)
        assert tuple(y.shape) == layer.compute_output_shape(x.shape)
        symbolic = self.make(**example)(keras.Input(self.input_shape))
        assert symbolic.shape[1:] == y.shape[1:]
        assert symbolic.dtype == y.dtype.name
        for kernel in kernels(layer):
            assert is_trained(layer, kernel)
            assert kernel.dtype == "int8"
            assert kernel.space == layer.weight_space
            assert layer.weight_space.contains(kernel.numpy())

    def test_contract_of_attributes(self, example):
        """What exporters and summaries read."""
        layer = self.make(**example)
        layer(self.inputs())
        assert 1 <= len(kernels(layer)) <= 2
        assert (layer.bias is not None) == layer.use_bias
        unit = layer.weight_space.unit
        assert layer.unit == (unit if len(kernels(layer)) == 1 else unit**2)
        assert layer.output_scale is None
        if isinstance(layer, gxnor_tf.DiscreteDense):
            return
        length = len(self.input_shape) - 1
        for name in ("kernel_size", "strides", "dilation_rate"):
            value = getattr(layer, name)
            assert isinstance(value, tuple) and len(value) == length
        assert layer.padding in ("valid", "same", "causal")
        assert layer.data_format in ("channels_last", "channels_first")
        assert layer.groups >= 1

    def test_equals_the_keras_layer(self, example):
        self.check_equality(example)
        self.check_equality(example | {"weight_space": None})

    def check_equality(self, example):
        """A float kernel gives Keras' layer, a discrete one its values."""
        layer = self.make(**example)
        x = self.inputs()
        y = layer(x)
        values = [np.asarray(kernel, np.float32) for kernel in kernels(layer)]
        if layer.weight_space is not None:
            values = [v * np.float32(layer.weight_space.unit) for v in values]
        else:
            for kernel in kernels(layer):
                assert kernel.dtype == "float32"
                assert not isinstance(kernel, gxnor_tf.DiscreteVariable)
                assert is_trained(layer, kernel)
        twin = self.keras_layer(example, layer, values)
        # Sums of up to a few hundred products in another order.
        np.testing.assert_allclose(y, twin(x), rtol=1e-5, atol=2e-5)
        assert layer.compute_output_shape(x.shape) == tuple(
            twin.compute_output_shape(x.shape)
        )

    def test_sums_are_exact_and_finished_in_order(self, example):
        """`finish(integer sums)` is the layer, bit for bit."""
        scaled = {"weight_space": gxnor_tf.DiscreteSpace(2, 0.7)}
        for scale in ("none", "fan_in", "layer", "channel"):
            layer = self.make(**example | scaled | {"scale": scale})
            x = tf.constant(np.round(self.inputs() * 4))
            y = layer(x)
            twin = self.keras_layer(
                example | {"use_bias": False},
                self.make(**self.examples[0]),
                [np.asarray(k, np.float32) for k in kernels(layer)],
            )
            sums = twin(x).numpy()
            assert (sums == np.round(sums)).all()
            if getattr(layer, "data_format", "") == "channels_first":
                sums, y = np.moveaxis(sums, 1, -1), np.moveaxis(y, 1, -1)
            expected = sums * np.float32(layer.unit)
            if layer.output_scale is not None:
                expected = expected * np.asarray(layer.output_scale, np.float32)
            if layer.bias is not None:
                expected = expected + layer.bias.numpy()
            assert (layer.finish(tf.constant(sums)) == expected).numpy().all()
            assert (np.asarray(y) == expected).all()

    def test_eager_graph_and_xla_agree(self, example):
        layer = self.make(**example)
        x = self.exact_inputs()
        eager = layer(x).numpy()
        graph = tf.function(layer)(x).numpy()
        xla = tf.function(layer, jit_compile=True)(x).numpy()
        # The sums are exact; one product with the unit and one addition of a
        # bias follow, which XLA may fuse into one rounding.
        assert (eager == graph).all()
        np.testing.assert_allclose(eager, xla, rtol=1e-6)

    def test_sizes_that_are_known_late(self, example):
        """A graph for any batch and any spatial size."""
        layer = self.make(**example)
        x = self.exact_inputs()
        expected = layer(x).numpy()
        known = [None] * len(x.shape)
        first = getattr(layer, "data_format", "") == "channels_first"
        channels = 1 if first else -1
        known[channels] = x.shape[channels]
        graph = tf.function(layer, input_signature=[tf.TensorSpec(known)])
        assert (graph(x).numpy() == expected).all()
        symbolic = self.make(**example)(keras.Input(known[1:]))
        assert len(symbolic.shape) == len(expected.shape)
        assert symbolic.shape[channels] == expected.shape[channels]

    def test_config_round_trip(self, example):
        layer = self.make(**example)
        again = keras.layers.deserialize(keras.layers.serialize(layer))
        assert again.get_config() == layer.get_config()
        again(self.inputs())
        layer(self.inputs())
        again.set_weights(layer.get_weights())
        assert (again(self.inputs()) == layer(self.inputs())).numpy().all()

    def test_save_and_load_examples(self, example, tmp_path):
        self.check_saving(example, tmp_path)

    def check_saving(self, kwargs, tmp_path):
        model = keras.Sequential(
            [keras.Input(self.input_shape), self.make(**kwargs)]
        )
        layer = model.layers[0]
        if layer.output_scale is not None and layer.scale != "fan_in":
            layer.output_scale.assign(layer.output_scale * 1.5)
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        assert (again(self.inputs()) == model(self.inputs())).numpy().all()
        assert again.layers[0].get_config() == layer.get_config()
        found = [kernel.dtype for kernel in kernels(again.layers[0])]
        assert found == [kernel.dtype for kernel in kernels(layer)]
        model.save_weights(tmp_path / "model.weights.h5")
        for kernel in kernels(again.layers[0]):
            kernel.assign(-kernel.numpy())
        again.load_weights(tmp_path / "model.weights.h5")
        assert (again(self.inputs()) == model(self.inputs())).numpy().all()

    def test_gradient_agrees_with_a_float_kernel(self, example):
        """The Keras layer with the same values has the same gradients."""
        layer = self.make(**example)
        x = tf.constant(self.inputs())
        layer(x)
        values = [
            kernel.numpy() * np.float32(layer.weight_space.unit)
            for kernel in kernels(layer)
        ]
        twin = self.keras_layer(example, layer, values)

        def gradients(layer):
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(tf.square(layer(x)))
            variables = [v.value for v in layer.trainable_variables]
            return tape.gradient(loss, [x, *variables])

        found, expected = gradients(layer), gradients(twin)
        assert [g.dtype for g in found] == [tf.float32] * len(found)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-2)

    def test_trains(self, example):
        self.check_training(example, jit_compile=False)

    def check_training(self, example, jit_compile):
        model = keras.Sequential(
            [keras.Input(self.input_shape), self.make(**example)]
        )
        model.compile(
            optimizer=gxnor_tf.DiscreteStateTransition(0.2),
            loss="mse",
            jit_compile=jit_compile,
        )
        layer = model.layers[0]
        before = [kernel.numpy() for kernel in kernels(layer)]
        target = np.ones((3, *model.output_shape[1:]), np.float32)
        model.fit(self.inputs(), target, epochs=2, verbose=0)
        for old, kernel in zip(before, kernels(layer), strict=True):
            assert (old != kernel.numpy()).any()
            assert layer.weight_space.contains(kernel.numpy())

    def test_keras_conformance_of_examples(self, example):
        layer = self.make(**example)
        self.run_keras_checks(
            example,
            expected_output_shape=layer.compute_output_shape(
                self.inputs().shape
            ),
            run_training_check=False,  # as above
        )

    def run_keras_checks(self, kwargs, **expected):
        scales = kwargs.get("scale") in ("layer", "channel")
        biases = bool(kwargs.get("use_bias"))
        count = 2 if "Separable" in self.layer_class.__name__ else 1
        case = testing.TestCase()
        case.setUp()
        try:
            case.run_layer_test(
                self.layer_class,
                init_kwargs=kwargs,
                input_shape=self.inputs().shape,
                expected_num_trainable_weights=count + scales + biases,
                expected_num_non_trainable_weights=0,
                # The default initializer of a kernel holds none, as it has an
                # integer seed of its own.
                expected_num_seed_generators=0,
                expected_num_losses=0,
                **expected,
            )
        finally:
            case.tearDown()


class LayerConformance(ExampleConformance):
    """The tests that choose their arguments themselves, besides the others.

    One subclass of it for every layer is enough.
    """

    @pytest.mark.parametrize("space", SPACES, ids=str)
    def test_equals_the_keras_layer_in_every_space(self, space):
        self.check_equality(self.examples[0] | {"weight_space": space})

    @pytest.mark.parametrize(
        "kwargs",
        [
            {"weight_space": None},
            {"weight_space": 0, "scale": "fan_in"},
            {"weight_space": 2, "scale": "layer"},
            {"scale": "channel", "use_bias": True},
        ],
        ids=str,
    )
    def test_save_and_load(self, kwargs, tmp_path):
        self.check_saving(self.examples[0] | kwargs, tmp_path)

    def test_trains_with_xla(self):
        self.check_training(self.examples[0], jit_compile=True)

    def test_a_float_kernel_trains_with_any_optimizer(self):
        model = keras.Sequential(
            [
                keras.Input(self.input_shape),
                self.make(**self.examples[0] | {"weight_space": "float"}),
            ]
        )
        model.compile("adam", "mse", jit_compile=False)
        before = model.get_weights()
        target = np.ones((3, *model.output_shape[1:]), np.float32)
        model.fit(self.inputs(), target, verbose=0)
        for old, new in zip(before, model.get_weights(), strict=True):
            assert (old != new).all()

    @pytest.mark.parametrize(
        ("space", "scale"),
        [(0, "none"), (1, "none"), (3, "none")]
        + [(1, "fan_in"), (0, "layer"), (1, "channel")],
    )
    def test_keras_conformance(self, space, scale):
        """Keras' own checks of a layer, mixed_float16 among them."""
        self.run_keras_checks(
            self.examples[0]
            | {"weight_space": space, "scale": scale, "use_bias": True},
            # That check trains with Keras' SGD, which cannot move an integer;
            # `test_trains` trains with the optimizer for discrete weights.
            run_training_check=False,
        )

    # Keras' training check gives a generator and leaves shuffle=True.
    @pytest.mark.filterwarnings("ignore:.shuffle=True. was passed:UserWarning")
    def test_keras_conformance_in_full_precision(self):
        self.run_keras_checks(
            self.examples[0] | {"weight_space": None, "use_bias": True}
        )

    def test_keras_conformance_of_mixed_bfloat16(self):
        for kwargs in ({}, {"weight_space": None}, {"scale": "channel"}):
            self.run_keras_checks(
                self.examples[0] | kwargs | {"dtype": "mixed_bfloat16"},
                expected_output_dtype="bfloat16",
                run_training_check=False,  # as above
            )

    @pytest.mark.parametrize(
        ("space", "scale"),
        [(None, "none"), (0, "fan_in"), (1, "none"), (3, "channel")],
    )
    def test_mixed_precision(self, space, scale):
        layer = self.make(
            **self.examples[0]
            | {"weight_space": space, "scale": scale, "use_bias": True},
            dtype="mixed_bfloat16",
        )
        x = tf.constant(self.inputs())
        with tf.GradientTape() as tape:
            y = layer(x)
            loss = tf.reduce_sum(tf.cast(y, "float32"))
        assert y.dtype == "bfloat16"
        dtypes = {w.dtype for w in kernels(layer)}
        assert dtypes == {"float32" if space is None else "int8"}
        others = layer.weights[len(kernels(layer)) :]
        assert {w.dtype for w in others} == {"float32"}
        gradients = tape.gradient(
            loss, [v.value for v in layer.trainable_variables]
        )
        assert {g.dtype for g in gradients} == {tf.float32}

    @pytest.mark.parametrize("half_range", [1.0, 0.7])
    def test_float16_gives_what_float32_gives(self, half_range):
        """To its precision; the sums of states are too large for it."""
        x = tf.constant(400 * self.inputs())
        results = []
        for dtype in ("mixed_float16", "float32"):
            layer = self.make(
                **self.examples[0],
                weight_space=gxnor_tf.DiscreteSpace(7, half_range),
                dtype=dtype,
            )
            layer.build(x.shape)
            if results:
                layer.set_weights(results[0][0])
            with tf.GradientTape() as tape:
                y = layer(x)
                loss = tf.reduce_mean(tf.cast(y, "float32"))
            variables = [v.value for v in layer.trainable_variables]
            gradients = tape.gradient(loss, variables)
            results.append((layer.get_weights(), y, *gradients))
        assert results[0][1].dtype == "float16"
        for half, single in zip(results[0][1:], results[1][1:], strict=True):
            single = single.numpy()
            tolerance = 0.01 * np.abs(single).max()
            np.testing.assert_allclose(half, single, atol=tolerance)

    @pytest.mark.parametrize("role", ["regularizer", "constraint"])
    def test_refuses_what_has_no_meaning(self, role):
        value = {"regularizer": "l2", "constraint": "non_neg"}[role]
        for prefix in self.layer_class.kernel_prefixes:
            kwargs = self.examples[0] | {f"{prefix}_{role}": value}
            with pytest.raises(ValueError, match=f"{prefix}_{role}.*no mean"):
                self.make(**kwargs)
            layer = self.make(**kwargs | {"weight_space": None})
            layer(self.inputs())
            assert len(layer.losses) == (role == "regularizer")
            again = type(layer).from_config(layer.get_config())
            assert again.get_config() == layer.get_config()

    def test_regularizer_and_constraint_of_the_bias(self):
        layer = self.make(
            **self.examples[0]
            | {
                "use_bias": True,
                "bias_initializer": "ones",
                "bias_regularizer": "l2",
                "bias_constraint": "non_neg",
            }
        )
        layer(self.inputs())
        assert len(layer.losses) == 1
        assert layer.bias.constraint is not None
        again = type(layer).from_config(layer.get_config())
        assert again.get_config() == layer.get_config()

    def test_refuses_an_activation(self):
        with pytest.raises(ValueError, match="use DiscreteActivation.*'relu'"):
            self.make(**self.examples[0], activation="relu")
        self.make(**self.examples[0], activation=None)

    def test_refuses_what_is_no_space(self):
        with pytest.raises(TypeError, match="must be a `DiscreteSpace`, an in"):
            self.make(**self.examples[0] | {"weight_space": "ternary"})
        with pytest.raises(ValueError, match="0..7.*n=9"):
            self.make(**self.examples[0] | {"weight_space": 9})

    def test_refuses_an_unknown_scale(self):
        with pytest.raises(ValueError, match="`scale` must be one.*'tensor'"):
            self.make(**self.examples[0], scale="tensor")

    @pytest.mark.parametrize("scale", ["fan_in", "layer", "channel"])
    def test_scale_in_full_precision(self, scale):
        with pytest.raises(ValueError, match=f"full precision.*'{scale}'"):
            self.make(**self.examples[0] | {"weight_space": None}, scale=scale)

    @pytest.mark.parametrize("space", SPACES[1:], ids=str)
    def test_scale_gives_outputs_of_the_size_of_the_inputs(self, space):
        kwargs = self.examples[0] | {"weight_space": space}
        layer = self.make(**kwargs, scale="fan_in")
        x = self.inputs(64)
        deviation = np.std(layer(x))
        # A power of two is within a factor of sqrt(2); the rest is chance,
        # and borders, which see fewer inputs.
        assert 0.4 < deviation < 2.0
        factor = layer.output_scale
        assert isinstance(factor, float) and np.log2(factor) % 1 == 0
        trained = self.make(**kwargs, scale="layer")
        trained(x)
        assert trained.output_scale.shape == ()
        assert trained.output_scale.numpy() == factor
        channels = self.make(**kwargs, scale="channel")
        channels(x)
        assert is_trained(channels, channels.output_scale)
        assert channels.output_scale.name == "scale"
        first = getattr(layer, "data_format", "") == "channels_first"
        outputs = channels.compute_output_shape(x.shape)[1 if first else -1]
        assert (channels.output_scale.numpy() == np.full(outputs, factor)).all()

    @pytest.mark.parametrize("scale", ["layer", "channel"])
    def test_scale_is_trained(self, scale):
        layer = self.make(**self.examples[0], scale=scale)
        model = keras.Sequential([keras.Input(self.input_shape), layer])
        model.compile(
            gxnor_tf.DiscreteStateTransition(0.05), "mse", jit_compile=False
        )
        before = layer.output_scale.numpy()
        target = np.ones((3, *model.output_shape[1:]), np.float32)
        model.fit(self.inputs(), target, verbose=0)
        # Not all: a channel may have no weight but zeros.
        assert (layer.output_scale.numpy() != before).any()

    def test_set_weights_outside_the_space(self):
        layer = self.make(**self.examples[0])
        layer(self.inputs())
        with pytest.raises(ValueError, match="kernel` holds int8 states"):
            layer.set_weights([w + 9 for w in layer.get_weights()])

    @pytest.mark.parametrize(
        ("saved", "loaded"),
        [(3, 1), (1, 3), (1, gxnor_tf.DiscreteSpace(1, 0.5)), (1, None)],
        ids=str,
    )
    def test_weights_file_of_another_space(self, saved, loaded, tmp_path):
        """It is refused even if the states fit; what was there stays."""

        def make(space):
            layer = self.make(**self.examples[0] | {"weight_space": space})
            return keras.Sequential([keras.Input(self.input_shape), layer])

        one, other = make(saved), make(loaded)
        one.save_weights(tmp_path / "one.weights.h5")
        before = other.get_weights()
        with pytest.raises(ValueError, match=f"states of .*n={saved}, half"):
            other.load_weights(tmp_path / "one.weights.h5")
        for old, new in zip(before, other.get_weights(), strict=True):
            assert (old == new).all()

    def test_weights_without_a_space(self):
        """As earlier versions wrote them: the states alone are checked."""
        one, other = (self.make(**self.examples[0]) for _ in range(2))
        one(self.inputs())
        other(self.inputs())
        store = {}
        one.save_own_variables(store)
        del store["weight_space"]
        other.load_own_variables(store)
        assert (one(self.inputs()) == other(self.inputs())).numpy().all()
        store["0"] = np.full(store["0"].shape, 9, np.int8)
        with pytest.raises(ValueError, match="outside of it"):
            other.load_own_variables(store)

    def test_wrong_rank(self):
        layer = self.make(**self.examples[0])
        with pytest.raises(ValueError, match="expected (min_)?ndim="):
            layer(np.ones((3,), np.float32))
        with pytest.raises(ValueError, match="must have the shape"):
            self.make(**self.examples[0]).build((3,))

    def test_no_channels(self):
        first = self.examples[0].get("data_format") == "channels_first"
        shape = [2, *self.input_shape]
        for nothing in (0, None):
            shape[1 if first else -1] = nothing
            with pytest.raises(ValueError, match="known and not 0"):
                self.make(**self.examples[0]).build(tuple(shape))
