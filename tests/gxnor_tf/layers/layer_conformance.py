# SPDX-License-Identifier: Apache-2.0
"""What every layer with a discrete kernel must do."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import gxnor_tf


class LayerConformance:
    """Base of the layers' tests; a subclass gives the class and examples."""

    layer_class: type
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

    def test_examples(self, example):
        layer = self.make(**example)
        x = self.inputs()
        y = layer(x)
        assert tuple(y.shape) == layer.compute_output_shape(x.shape)
        symbolic = self.make(**example)(keras.Input(self.input_shape))
        assert symbolic.shape[1:] == y.shape[1:]
        assert layer.kernel.dtype == "int8"
        assert layer.weight_space.contains(layer.kernel.numpy())
        assert layer.kernel in layer.trainable_variables

    def test_eager_graph_and_xla_agree(self, example):
        layer = self.make(**example)
        x = tf.constant(np.round(self.inputs() * 8) / 8)
        eager = layer(x).numpy()
        graph = tf.function(layer)(x).numpy()
        xla = tf.function(layer, jit_compile=True)(x).numpy()
        # The sums are exact; one product with the unit and one addition of a
        # bias follow, which XLA may fuse into one rounding.
        assert (eager == graph).all()
        np.testing.assert_allclose(eager, xla, rtol=1e-6)

    def test_config_round_trip(self, example):
        layer = self.make(**example)
        again = keras.layers.deserialize(keras.layers.serialize(layer))
        assert again.get_config() == layer.get_config()
        again(self.inputs())
        layer(self.inputs())
        again.set_weights(layer.get_weights())
        assert (again(self.inputs()) == layer(self.inputs())).numpy().all()

    def test_save_and_load(self, example, tmp_path):
        model = keras.Sequential(
            [keras.Input(self.input_shape), self.make(**example)]
        )
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        assert (again(self.inputs()) == model(self.inputs())).numpy().all()
        assert again.layers[0].kernel.dtype == "int8"
        model.save_weights(tmp_path / "model.weights.h5")
        again.layers[0].kernel.assign(-again.layers[0].kernel.numpy())
        again.load_weights(tmp_path / "model.weights.h5")
        assert (again(self.inputs()) == model(self.inputs())).numpy().all()

    def test_gradient_agrees_with_a_float_kernel(self, example):
        """The same operation with a float kernel has the same gradient."""
        layer = self.make(**example)
        x = tf.constant(self.inputs())
        layer(x)
        values = tf.constant(
            layer.kernel.numpy() * np.float32(layer.weight_space.unit)
        )
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(layer(x)))
        discrete = tape.gradient(loss, layer.kernel.value)
        with tf.GradientTape() as tape:
            tape.watch(values)
            y = self.float_operation(layer, x, values)
            if layer.bias is not None:
                y = y + layer.bias
            loss = tf.reduce_sum(tf.square(y))
        np.testing.assert_allclose(
            discrete, tape.gradient(loss, values), rtol=1e-4, atol=1e-3
        )

    def float_operation(self, layer, x, values):
        raise AssertionError("a subclass gives the operation")

    def test_trains(self, example):
        model = keras.Sequential(
            [keras.Input(self.input_shape), self.make(**example)]
        )
        model.compile(
            optimizer=gxnor_tf.DiscreteStateTransition(0.2),
            loss="mse",
            jit_compile=False,
        )
        before = model.layers[0].kernel.numpy()
        target = np.ones((3, *model.output_shape[1:]), np.float32)
        model.fit(self.inputs(), target, verbose=0)
        after = model.layers[0].kernel.numpy()
        assert (before != after).any()
        assert model.layers[0].weight_space.contains(after)

    def test_mixed_precision(self):
        layer = self.make(**self.examples[0], dtype="mixed_bfloat16")
        assert layer(self.inputs()).dtype == tf.bfloat16
        assert layer.kernel.dtype == "int8"

    @pytest.mark.parametrize("name", ["regularizer", "constraint"])
    def test_refuses_what_has_no_meaning(self, name):
        with pytest.raises(ValueError, match=f"kernel_{name}.*no meaning"):
            self.make(**self.examples[0], **{f"kernel_{name}": "l2"})

    def test_set_weights_outside_the_space(self):
        layer = self.make(**self.examples[0])
        layer(self.inputs())
        with pytest.raises(ValueError, match="kernel` holds int8 states"):
            layer.set_weights([w + 9 for w in layer.get_weights()])

    def test_weights_file_outside_the_space(self, tmp_path):
        """A file of another space is refused; what was there stays."""

        def make(n):
            return keras.Sequential(
                [
                    keras.Input(self.input_shape),
                    self.make(
                        **self.examples[0],
                        weight_space=gxnor_tf.DiscreteSpace(n),
                    ),
                ]
            )

        wide = make(3)
        wide.save_weights(tmp_path / "wide.weights.h5")
        narrow = make(1)
        before = narrow.get_weights()
        with pytest.raises(ValueError, match="outside of it"):
            narrow.load_weights(tmp_path / "wide.weights.h5")
        assert all(
            (a == b).all()
            for a, b in zip(before, narrow.get_weights(), strict=True)
        )
