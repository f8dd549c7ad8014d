# SPDX-License-Identifier: Apache-2.0
"""Training with one byte by weight, its moment included."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import gxnor_tf
from export import convert
from gxnor_tf import (
    DiscreteActivation,
    DiscreteDense,
    DiscreteSpace,
    DiscreteStateTransition,
    discrete_update,
    step_rules,
)
from gxnor_tf.moment_formats import UniformInteger
from gxnor_tf.shared_byte import SharedByte
from gxnor_tf.shared_variable import SharedVariable

RULE = step_rules.get("error_feedback")
SHAPE = (40, 20)


@pytest.mark.parametrize(
    ("n", "shape"),
    [*((n, SHAPE) for n in (0, 1, 2, 4)), (1, (3, 3, 32, 33))],
)
def test_is_the_update_with_a_moment_apart(n, shape):
    """Of the same bits, bit for bit."""
    space = DiscreteSpace(n, 0.5)
    shared = SharedByte(space)
    apart = discrete_update.make(
        space,
        RULE,
        UniformInteger(shared.bits, largest=RULE.largest_moment(space)),
        shape,
    )
    together = discrete_update.make_shared(shared, RULE, shape)
    rng = np.random.default_rng(0)
    states = tf.constant(rng.choice(space.states, shape))
    codes = tf.zeros(shape, tf.int8)
    both = shared.join(tf.cast(states, "float32"), tf.zeros(shape))
    hops = 0.0
    for iteration in range(20):
        others = (
            *(tf.constant(x, tf.int64) for x in (5, 2, iteration)),
            *(tf.constant(x) for x in (0.1, 0.0)),
        )
        gradient = tf.constant(rng.normal(size=shape), tf.float32)
        both, (), moved = together(gradient, both, (), *others)
        states, ((codes,),), also = apart(
            gradient, states, ((codes,),), *others
        )
        assert (shared.states(both).numpy() == states.numpy()).all()
        assert (shared.codes(both).numpy() == codes.numpy()).all()
        assert float(moved) == float(also)
        hops += float(moved)
    assert hops > 100


def net(*sharing, weight_space=1):
    keras.utils.set_random_seed(3)
    first, second = (
        {"weight_space": weight_space, "moment_in_kernel": shares}
        for shares in sharing or (True, True)
    )
    return keras.Sequential(
        [
            keras.Input((12,), name="x"),
            DiscreteDense(30, name="one", **first),
            keras.layers.BatchNormalization(name="norm"),
            DiscreteActivation(name="activation"),
            DiscreteDense(2, name="two", **second),
        ],
        name="net",
    )


def fit(model, epochs=2, rate=0.05, jit_compile=False, **settings):
    if not model.compiled:
        optimizer = DiscreteStateTransition(rate, **settings)
        model.compile(optimizer, "mse", jit_compile=jit_compile)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(96, 12)).astype(np.float32)
    y = np.sign(x[:, :2])
    model.fit(x, y, batch_size=16, epochs=epochs, verbose=0, shuffle=False)
    return model


def variables(model):
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


def assert_same(one, other):
    for a, b in zip(variables(one), variables(other), strict=True):
        assert (a == b).all()


def test_binary_weights_train_as_with_two_bytes():
    """They leave the moment all 8 bits: of one sign, it takes half of them."""
    one = fit(net(weight_space=0), rate=0.5)
    two = fit(net(False, False, weight_space=0), rate=0.5)
    assert one.optimizer.state_bytes_per_weight == 1
    assert two.optimizer.state_bytes_per_weight == 2
    assert_same(one, two)
    before = net(weight_space=0).get_weights()[0]
    assert (one.get_weights()[0] != before).any()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_weights_learn(jit_compile):
    model = net()
    before = model.get_weights()
    fit(model, epochs=8, jit_compile=jit_compile)
    kernel = model.layers[0].kernel
    assert isinstance(kernel, SharedVariable)
    assert kernel.space.contains(kernel.numpy())
    assert (kernel.numpy() != before[0]).mean() > 0.02
    history = model.history.history["loss"]
    assert history[-1] < 0.7 * history[0]
    # What waits is there, and not zero.
    (moment,) = (
        v
        for v in model.optimizer.variables
        if tuple(v.shape) == tuple(kernel.shape)
    )
    assert len(np.unique(moment.numpy())) > 20


@pytest.mark.parametrize("form", ["keras", "packed"])
def test_continues_bit_for_bit(form, tmp_path):
    model = fit(net())
    path = tmp_path / f"model.{form}"
    if form == "keras":
        model.save(path)
        loaded = keras.saving.load_model(path)
    else:
        gxnor_tf.save_packed(model, path)
        loaded = gxnor_tf.load_packed(path)
    assert_same(model, loaded)
    assert_same(fit(model, 1), fit(loaded, 1))


def test_weights_go_to_nets_of_two_bytes_and_back(tmp_path):
    one, two = fit(net()), net(False, False)
    two.set_weights(one.get_weights())
    assert convert(one) == convert(two)
    x = np.random.default_rng(2).normal(size=(5, 12))
    assert (one(x).numpy() == two(x).numpy()).all()
    for model, other in ((one, net(False, False)), (two, net())):
        model.save_weights(tmp_path / "net.weights.h5")
        other.load_weights(tmp_path / "net.weights.h5", skip_mismatch=False)
        for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
            assert (a == b).all()


def test_another_optimizer_begins_without_moments():
    model = fit(net())
    before = [v.value.numpy() for v in model.trainable_variables]
    model.compile(DiscreteStateTransition(0.05), "mse")
    model.optimizer.build(model.trainable_variables)
    for old, variable in zip(before, model.trainable_variables, strict=True):
        if isinstance(variable, SharedVariable):
            expected = 127 * np.round(old / 127)
            assert (variable.value.numpy() == expected).all()
            assert (old != expected).any()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_loop_of_one_s_own(jit_compile):
    """Whose first step makes all variables, where it is traced."""
    layer = DiscreteDense(2, moment_in_kernel=True)
    optimizer = DiscreteStateTransition(0.05)
    rng = np.random.default_rng(1)
    x = tf.constant(rng.normal(size=(16, 12)), tf.float32)

    @tf.function(jit_compile=jit_compile)
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(layer(x) - x[:, :2]))
        variables = layer.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)

    if jit_compile:  # TensorFlow makes no variables there.
        layer.build(x.shape)
        optimizer.build(layer.trainable_variables)
    for _ in range(3):
        step()
    assert not np.isin(layer.kernel.value.numpy(), [-127, 0, 127]).all()


def test_layers_can_be_mixed():
    model = fit(net(True, False))
    # 360 weights with theirs in the kernel, 60 without.
    expected = 1 + 60 / 420
    assert model.optimizer.state_bytes_per_weight == pytest.approx(expected)


@pytest.mark.parametrize(
    "saved", [(False, False), (False, True), (True, False)]
)
def test_state_of_the_other_kind_is_refused(saved):
    store = {}
    fit(net(*saved), epochs=1).optimizer.save_own_variables(store)
    model = fit(net(), epochs=1)
    before = variables(model)
    with pytest.raises(
        ValueError, match=rf"whose `moment_in_kernel` is \[{saved[0]}, "
    ):
        model.optimizer.load_own_variables(store)
    for a, b in zip(before, variables(model), strict=True):
        assert (a == b).all()


def test_damaged_moments_are_refused():
    model = fit(net(), epochs=1)
    store = {}
    model.optimizer.save_own_variables(store)
    (damaged,) = (k for k, v in store.items() if v.shape == (12, 30))
    store[damaged] = np.full((12, 30), 64, np.int8)
    fit(model, epochs=1)
    before = variables(model)
    with pytest.raises(ValueError, match="-63 to 63. Received 360 of 360"):
        model.optimizer.load_own_variables(store)
    for a, b in zip(before, variables(model), strict=True):
        assert (a == b).all()


def test_state_of_other_layers_starts_anew():
    """As for any moment: a layer was frozen since."""
    store = {}
    fit(net(), epochs=1).optimizer.save_own_variables(store)
    model = net()
    model.layers[0].trainable = False
    fit(model, epochs=1)
    with pytest.warns(UserWarning, match="other variables are trained now"):
        model.optimizer.load_own_variables(store)


@pytest.mark.parametrize(
    "settings",
    [
        {"step_rule": "momentum"},
        {"step_rule": "sgd"},
        {"moment_dtype": "bfloat16"},
        {"moment_dtype": "int6"},
    ],
)
def test_other_moments_are_refused(settings):
    with pytest.raises(
        ValueError,
        match="The weights 'net/one/kernel' hold the moment of .*"
        "'error_feedback'.*Received: step_rule=",
    ):
        fit(net(), **settings)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"weight_space": None}, "must be False in full precision"),
        ({"weight_space": 5}, "`n` <= 4.*Received: weight_space=.*n=5"),
    ],
)
def test_layers_without_room(settings, text):
    with pytest.raises(ValueError, match=text):
        DiscreteDense(2, moment_in_kernel=True, **settings)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (gxnor_tf.DiscreteConv1D(3, 2, moment_in_kernel=True), (6, 4)),
        (gxnor_tf.DiscreteConv2D(3, 2, moment_in_kernel=True), (6, 6, 4)),
        (gxnor_tf.DiscreteDepthwiseConv2D(2, moment_in_kernel=True), (6, 6, 4)),
        (
            gxnor_tf.DiscreteSeparableConv2D(3, 2, moment_in_kernel=True),
            (6, 6, 4),
        ),
        (
            gxnor_tf.DiscreteConv2DTranspose(3, 2, moment_in_kernel=True),
            (6, 6, 4),
        ),
    ],
)
def test_every_layer_takes_it(layer, shape):
    model = keras.Sequential([keras.Input(shape), layer])
    twin = keras.Sequential(
        [
            keras.Input(shape),
            type(layer).from_config(
                layer.get_config() | {"moment_in_kernel": False}
            ),
        ]
    )
    assert all(isinstance(v, SharedVariable) for v in layer.trainable_variables)
    twin.set_weights(model.get_weights())
    x = np.random.default_rng(0).normal(size=(2, *shape))
    assert (model(x).numpy() == twin(x).numpy()).all()
    again = type(layer).from_config(layer.get_config())
    assert again.moment_in_kernel
    model.compile(DiscreteStateTransition(0.5), "mse")
    model.train_on_batch(x, np.ones_like(model(x)))
    assert model.optimizer.state_bytes_per_weight == 1
    moved = model.optimizer.transition_rates()
    assert all(rate > 0 for rate in moved.values()) and moved
