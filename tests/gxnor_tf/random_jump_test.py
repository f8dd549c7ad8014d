# SPDX-License-Identifier: Apache-2.0
"""RandomJump: when, from where, and where to."""

import keras
import numpy as np
import pytest

import gxnor_tf
from gxnor_tf.random_jump import RandomJump


def net(n=1):
    keras.utils.set_random_seed(0)
    space = gxnor_tf.DiscreteSpace(n)
    model = keras.Sequential(
        [
            keras.Input((20,)),
            gxnor_tf.DiscreteDense(100, weight_space=space),
            keras.layers.BatchNormalization(),
            gxnor_tf.DiscreteDense(50, weight_space=space, use_bias=True),
        ]
    )
    model.compile(gxnor_tf.DiscreteStateTransition(0.0), "mse")
    return model


def play(callback, model, values, change=lambda epoch: None):
    """Runs a callback through epochs that end with these values."""
    callback.set_model(model)
    callback.on_train_begin()
    weights = []
    for epoch, value in enumerate(values):
        change(epoch)
        callback.on_epoch_end(epoch, {"val_loss": value})
        weights.append([w.copy() for w in model.get_weights()])
    return weights


def same(first, second):
    return all((a == b).all() for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("n", [0, 1, 3])
def test_jumps_from_the_best_weights(n):
    model = net(n)
    space = model.layers[0].weight_space
    best = []

    def change(epoch):
        """The weights of epoch 1 are the best, then all are others."""
        rng = np.random.default_rng(epoch)
        for variable in model.variables:
            value = (
                rng.choice(space.states, variable.shape)
                if variable.dtype == "int8"
                else rng.random(variable.shape)
            )
            variable.assign(value)
        if epoch == 1:
            best.extend(w.copy() for w in model.get_weights())

    jump = RandomJump(0.1, patience=2)
    weights = play(jump, model, [3.0, 1.0, 1.0, 2.0], change)
    assert jump.jumps == 1 and jump.best == 1.0
    assert not same(weights[2], best)
    for before, after in zip(best, weights[3], strict=True):
        if before.dtype != np.int8:
            np.testing.assert_array_equal(before, after)
            continue
        assert after.dtype == np.int8 and space.contains(after)
        # A random state is another one with this probability.
        expected = 0.1 * (1 - 1 / space.num_states)
        moved = np.mean(before != after)
        deviation = (expected * (1 - expected) / before.size) ** 0.5
        assert abs(moved - expected) < 4 * deviation
        found = after[before != after]
        counts = [np.mean(found == s) for s in space.states]
        assert min(counts) > 0.3 / space.num_states


def test_counts_epochs_without_improvement():
    model = net()
    start = [w.copy() for w in model.get_weights()]
    jump = RandomJump(0.5, patience=2, min_delta=0.1)
    values = [1.0, 0.95, 0.8, 0.9, 0.75, 0.9, 0.75, 0.6, 0.65, 0.7]
    weights = play(jump, model, values)
    moved = [
        not same(a, b)
        for a, b in zip([start, *weights[:-1]], weights, strict=True)
    ]
    # The best are epochs 0, 2 and 7; a jump does not change what to beat.
    assert [e for e, jumped in enumerate(moved) if jumped] == [4, 6, 9]
    assert jump.jumps == 3


def test_seeded_and_each_jump_is_another():
    def jumps(seed):
        model = net()
        values = [1.0, 2.0, 2.0]
        return play(RandomJump(0.2, patience=1, seed=seed), model, values)

    first, again, other = jumps(0), jumps(0), jumps(1)
    for a, b in zip(first, again, strict=True):
        assert same(a, b)
    assert not same(first[1], first[2])
    assert not same(first[1], other[1])


def test_frozen_layers_do_not_jump():
    model = net()
    model.layers[0].trainable = False
    weights = play(RandomJump(1.0, patience=1), model, [1.0, 1.0])
    assert (weights[0][0] == weights[1][0]).all()
    assert (weights[0][5] != weights[1][5]).any()


def test_a_metric_that_is_never_finite_gives_nothing_to_jump_from():
    model = net()
    start = [w.copy() for w in model.get_weights()]
    jump = RandomJump(1.0, patience=1)
    weights = play(jump, model, [float("nan"), float("inf")])
    assert jump.jumps == 0 and jump.best is None
    assert same(start, weights[-1])


def test_higher_is_better():
    jump = RandomJump(monitor="val_accuracy", patience=1)
    jump.set_model(net())
    for epoch, value in enumerate([0.5, 0.7, 0.6]):
        jump.on_epoch_end(epoch, {"val_accuracy": value})
    assert jump.best == 0.7 and jump.jumps == 1


@pytest.mark.parametrize("jit_compile", [False, True])
def test_in_fit_the_compiled_step_sees_the_jump(jit_compile):
    """With a rate of 0 the loss can change by a jump only."""
    model = net()
    model.compile(
        gxnor_tf.DiscreteStateTransition(0.0), "mse", jit_compile=jit_compile
    )
    x = np.random.default_rng(0).normal(size=(16, 20))
    history = model.fit(
        x,
        np.ones((16, 50)),
        epochs=6,
        verbose=0,
        callbacks=[RandomJump(0.5, monitor="loss", patience=2)],
    ).history["loss"]
    assert len({round(v, 3) for v in history}) >= 2


def fit(model, epochs, callback, **kwargs):
    x, y = np.ones((2, 20)), np.ones((2, 50))
    model.fit(x, y, epochs=epochs, verbose=0, callbacks=[callback], **kwargs)


@pytest.mark.parametrize(("epochs", "told"), [(1, 1), (5, 3)])
def test_a_metric_that_never_comes_is_told_once(epochs, told):
    with pytest.warns(
        UserWarning, match=f"none of {told} epochs.*loss.*monitor='val_loss'"
    ) as found:
        fit(net(), epochs, RandomJump(patience=3))
    assert len(found) == 1


def test_epochs_without_the_metric_do_not_count():
    """Epochs 2, 4, 6 have one, the first of which is the best."""
    jump = RandomJump(0.5, patience=2, min_delta=1e9)
    data = (np.ones((2, 20)), np.ones((2, 50)))
    fit(net(), 5, jump, validation_data=data, validation_freq=2)
    assert jump.best is not None and jump.jumps == 0
    fit(net(), 6, jump, validation_data=data, validation_freq=2)
    assert jump.jumps == 1


@pytest.mark.parametrize(
    "monitor", ["val_auc", "f1", "precision", "val_recall", "r2_score"]
)
def test_direction_is_not_guessed(monitor):
    with pytest.raises(ValueError, match=f"'min' or 'max'.*{monitor}"):
        RandomJump(monitor=monitor)
    jump = RandomJump(monitor=monitor, mode="max")
    jump.set_model(net())
    for epoch, value in enumerate([0.5, 0.7, 0.6]):
        jump.on_epoch_end(epoch, {monitor: value})
    assert jump.best == 0.7


def test_one_class_in_two_places():
    assert gxnor_tf.callbacks.RandomJump is gxnor_tf.RandomJump is RandomJump


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"probability": 0.0}, "probability=0.0"),
        ({"probability": float("nan")}, "probability=nan"),
        ({"mode": "best"}, "mode='best'"),
        ({"monitor": None}, "name of a metric.*monitor=None"),
        ({"patience": 0}, "patience=0"),
        ({"patience": 1.5}, "patience=1.5"),
        ({"seed": -1}, "seed=-1"),
        ({"min_delta": -0.1}, "min_delta=-0.1"),
    ],
)
def test_bad_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        RandomJump(**arguments)
