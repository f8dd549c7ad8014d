# SPDX-License-Identifier: Apache-2.0
"""Ordinary optimizers inside DiscreteStateTransition, every one of Keras'."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf import DiscreteSpace, DiscreteStateTransition, DiscreteVariable

# How to make those that cannot be made without arguments, or that must be told
# to have no weight decay.
MAKERS = {
    "AdamW": lambda: keras.optimizers.AdamW(weight_decay=0.0),
    "LossScaleOptimizer": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD()
    ),
    "MultiOptimizer": lambda: keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(keras.optimizers.SGD())
    ),
    "Muon": lambda: keras.optimizers.Muon(weight_decay=0.0),
}

# They do something outside of `update_step`.
REFUSED = {
    "LossScaleOptimizer": "overrides .*apply",
    "MultiOptimizer": "overrides .*apply",
    "Muon": "overrides _apply_weight_decay",
    "Nadam": "overrides _backend_update_step",
}

ALL = sorted(
    name
    for name, made in vars(keras.optimizers).items()
    if inspect.isclass(made)
    and issubclass(made, keras.optimizers.Optimizer)
    and made is not keras.optimizers.Optimizer
)


def make(name):
    return MAKERS.get(name, getattr(keras.optimizers, name))()


def continuous():
    rng = np.random.default_rng(0)
    return [
        keras.Variable(rng.normal(size=shape).astype(np.float32))
        for shape in ((4, 3), (3,))
    ]


def discrete():
    return DiscreteVariable(
        np.zeros((4, 3), np.int8), DiscreteSpace(1), name="kernel"
    )


def gradients(seed):
    rng = np.random.default_rng(seed)
    return [
        tf.constant(rng.normal(size=shape), tf.float32)
        for shape in ((4, 3), (4, 3), (3,))
    ]


def test_all_are_found():
    assert {"Adam", "SGD", *MAKERS, *REFUSED} <= set(ALL)


@pytest.mark.parametrize("name", [n for n in ALL if n not in REFUSED])
def test_trains_as_it_does_alone(name):
    inside, alone = continuous(), continuous()
    optimizer = DiscreteStateTransition(0.1, continuous_optimizer=make(name))
    plain, kernel = make(name), discrete()
    start = [v.numpy() for v in inside]
    for seed in range(4):
        grads = gradients(seed)
        optimizer.apply(grads, [kernel, *inside])
        plain.apply(grads[1:], alone)
    for before, a, b in zip(start, inside, alone, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        assert (a.numpy() != before).any()


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_not_is_refused(name):
    with pytest.raises(
        ValueError, match=f"Received: {name}, which {REFUSED[name]}"
    ):
        DiscreteStateTransition(continuous_optimizer=make(name))


def test_itself_is_refused():
    with pytest.raises(ValueError, match="DiscreteStateTransition, which over"):
        DiscreteStateTransition(continuous_optimizer=DiscreteStateTransition())


@pytest.mark.parametrize(
    "wrong", ["unknown", keras.optimizers.SGD, 3, {}, "", False]
)
def test_what_is_no_optimizer(wrong):
    with pytest.raises(ValueError, match="must be a Keras optimizer, .*Recei"):
        DiscreteStateTransition(continuous_optimizer=wrong)


def test_by_name():
    optimizer = DiscreteStateTransition(continuous_optimizer="sgd")
    assert isinstance(optimizer.continuous_optimizer, keras.optimizers.SGD)
    again = DiscreteStateTransition.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize("in_graph", [False, True])
def test_both_schedules_count_batches(in_graph):
    """Two batches make an update; the third update is at batch 5."""
    rates = [float(2 ** -(i + 1)) for i in range(6)]
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [0, 1, 2, 3, 4], rates
    )
    optimizer = DiscreteStateTransition(
        schedule,
        gradient_accumulation_steps=2,
        continuous_optimizer=keras.optimizers.SGD(schedule),
    )
    variable = keras.Variable(np.zeros((3,), np.float32))
    optimizer.build([variable])
    step = tf.function(optimizer.apply) if in_graph else optimizer.apply
    for batch in range(6):
        before = variable.numpy()
        rate = float(optimizer.learning_rate)
        step([tf.ones(3)])
        moved = before - variable.numpy()
        np.testing.assert_array_equal(moved, rate if batch % 2 else 0.0)
