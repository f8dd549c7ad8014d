# SPDX-License-Identifier: Apache-2.0
"""Ordinary Keras optimizers are refused discrete variables, in every way."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

import gxnor_tf

# Every public optimizer, also those that a later Keras may bring.
WRAPPERS = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer"}
ORDINARY = sorted(
    name
    for name, thing in vars(keras.optimizers).items()
    if inspect.isclass(thing)
    and issubclass(thing, keras.optimizers.Optimizer)
    and name not in WRAPPERS
)
X = np.ones((4, 3), np.float32)
Y = np.zeros((4, 2), np.float32)


def net():
    model = keras.Sequential(
        [
            keras.Input((3,)),
            gxnor_tf.DiscreteDense(2, use_bias=True, name="dense"),
        ]
    )
    model(X)
    return model


def refused(name):
    return pytest.raises(
        ValueError,
        match=rf"{name} cannot train `.*kernel`.*"
        rf"gxnor_tf\.DiscreteStateTransition.*Received: optimizer={name}",
    )


def gradients(model):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(X) - Y))
    return tape.gradient(loss, model.trainable_variables)


def make(name, **kwargs):
    return getattr(keras.optimizers, name)(0.1, **kwargs)


def test_the_list_is_not_empty():
    assert {"SGD", "Adam", "Ftrl", "Lion", "Muon"} <= set(ORDINARY)


@pytest.mark.parametrize("name", ORDINARY)
def test_every_ordinary_optimizer(name):
    model = net()
    before = model.get_weights()
    found = gradients(model)
    with refused(name):
        make(name).apply(found, model.trainable_variables)
    for a, b in zip(before, model.get_weights(), strict=True):
        assert (a == b).all()


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize(
    "way",
    [
        {},
        {"run_eagerly": True},
        {"jit_compile": True},
        {"steps_per_execution": 2},
    ],
)
def test_fit(name, way):
    model = net()
    model.compile(make(name), "mse", **way)
    with refused(name):
        model.fit(X, Y, batch_size=2, verbose=0)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_own_graph(jit_compile):
    model, optimizer = net(), make("SGD")

    @tf.function(jit_compile=jit_compile)
    def step():
        optimizer.apply_gradients(
            zip(gradients(model), model.trainable_variables, strict=True)
        )

    with refused("SGD"):
        step()


def test_loss_scaling_around_an_ordinary_one():
    model = net()
    optimizer = keras.optimizers.LossScaleOptimizer(make("SGD"))
    with refused("LossScaleOptimizer"):
        optimizer.apply(gradients(model), model.trainable_variables)


def test_several_optimizers():
    model = net()
    adam = keras.optimizers.Adam()
    discrete = gxnor_tf.DiscreteStateTransition(1.0)
    wrong = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(make("SGD"), {".*bias": adam})
    )
    with refused("SGD"):
        wrong.apply(gradients(model), model.trainable_variables)
    right = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            keras.optimizers.Adam(), {".*kernel": discrete}
        )
    )
    before = model.get_weights()
    right.apply(gradients(model), model.trainable_variables)
    for a, b in zip(before, model.get_weights(), strict=True):
        assert (a != b).any()


def test_gradient_accumulation():
    model = net()
    model.compile(make("SGD", gradient_accumulation_steps=2), "mse")
    with refused("SGD"):
        model.fit(X, Y, batch_size=2, verbose=0)


def test_an_ordinary_one_after_the_right_one():
    model = net()
    model.compile(gxnor_tf.DiscreteStateTransition(0.3), "mse")
    model.fit(X, Y, verbose=0)
    model.compile("rmsprop", "mse")
    with refused("RMSprop"):
        model.fit(X, Y, verbose=0)
    model.compile(gxnor_tf.DiscreteStateTransition(0.3), "mse")
    model.fit(X, Y, verbose=0)


def test_frozen_discrete_layers_take_any_optimizer():
    dense = gxnor_tf.DiscreteDense(2)
    model = keras.Sequential([keras.Input((3,)), dense, keras.layers.Dense(2)])
    dense.trainable = False
    model.compile("adam", "mse")
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    after = model.get_weights()
    assert (before[0] == after[0]).all()
    assert (before[1] != after[1]).any()


def test_a_gradient_is_never_a_state():
    kernel = net().layers[0].kernel
    assert kernel.overwrite_with_gradient is False
    kernel.overwrite_with_gradient = False
    with pytest.raises(ValueError, match="overwrite_with_gradient=True"):
        kernel.overwrite_with_gradient = True
