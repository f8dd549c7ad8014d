# SPDX-License-Identifier: Apache-2.0
"""DiscreteStateTransition in plain Keras training."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import gxnor_tf
from gxnor_tf import DiscreteStateTransition

RULES = {
    "momentum": {"learning_rate": 0.05, "beta_1": 0.9},
    "adam": {"learning_rate": 0.05},
    "sgd": {"learning_rate": 0.05},
    "sign": {"learning_rate": 0.02, "beta_1": 0.9},
    "bop": {"learning_rate": 0.3, "beta_1": 0.9},
    "error_feedback": {"learning_rate": 0.05},
}


def problem():
    """A task that a ternary net can solve exactly: copy signs."""
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], (512, 12)).astype(np.float32)
    y = x[:, :4] * np.array([1, -1, 1, -1], np.float32)
    return x, y


def make_model(seed=1):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((12,)),
            gxnor_tf.DiscreteDense(32),
            keras.layers.BatchNormalization(momentum=0.9),
            gxnor_tf.DiscreteActivation(),
            gxnor_tf.DiscreteDense(4),
            keras.layers.BatchNormalization(momentum=0.9),
        ]
    )


def fit(model, epochs=1, **kwargs):
    x, y = problem()
    return model.fit(
        x, y, batch_size=32, epochs=epochs, verbose=0, shuffle=False, **kwargs
    )


def compiled(rule="error_feedback", jit_compile=False, **kwargs):
    model = make_model()
    model.compile(
        optimizer=DiscreteStateTransition(
            **RULES[rule], step_rule=rule, **kwargs
        ),
        loss="squared_hinge",
        jit_compile=jit_compile,
    )
    return model


def assert_equal_variables(first, second):
    for a, b in zip(first.variables, second.variables, strict=True):
        assert (a.numpy() == b.numpy()).all(), a.path


@pytest.mark.parametrize("rule", RULES)
def test_learns_a_discrete_problem(rule):
    model = compiled(rule)
    losses = fit(model, epochs=12).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    for layer in model.layers:
        if isinstance(layer, gxnor_tf.DiscreteDense):
            assert layer.kernel.dtype == "int8"
            assert layer.weight_space.contains(layer.kernel.numpy())


@pytest.mark.parametrize("rule", RULES)
def test_xla_trains_the_same_weights(rule):
    """Same random numbers, and gradients that differ by rounding only."""
    plain, xla = compiled(rule), compiled(rule, jit_compile=True)
    fit(plain)
    fit(xla)
    for a, b in zip(plain.layers, xla.layers, strict=True):
        if isinstance(a, gxnor_tf.DiscreteDense):
            different = a.kernel.numpy() != b.kernel.numpy()
            # A rounding decides a hop only where the random number is next
            # to the probability: rare, but not never.
            assert different.mean() < 0.02


@pytest.mark.parametrize("rule", ["error_feedback", "momentum"])
def test_eager_and_graph_train_the_same_weights(rule):
    graph, eager = compiled(rule), make_model()
    eager.compile(
        optimizer=DiscreteStateTransition(step_rule=rule, **RULES[rule]),
        loss="squared_hinge",
        run_eagerly=True,
    )
    fit(graph)
    fit(eager)
    for a, b in zip(graph.variables, eager.variables, strict=True):
        if a.dtype == "int8":
            assert (a.numpy() == b.numpy()).all()


def test_repeats_with_the_same_seed_only():
    first, again, other = compiled(), compiled(), compiled(seed=1)
    for model in (first, again, other):
        fit(model)
    assert_equal_variables(first, again)
    assert (first.get_weights()[0] != other.get_weights()[0]).any()


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_resumes_bit_for_bit(rule, jit_compile, tmp_path):
    straight = compiled(rule, jit_compile)
    fit(straight, epochs=2)
    straight.save(tmp_path / "model.keras")
    resumed = keras.models.load_model(tmp_path / "model.keras")
    assert resumed.jit_compile == jit_compile
    assert_equal_variables(straight.optimizer, resumed.optimizer)
    for model in (straight, resumed):
        fit(model, epochs=1)
    assert_equal_variables(straight, resumed)
    assert_equal_variables(straight.optimizer, resumed.optimizer)


def test_weights_alone_survive_saving(tmp_path):
    model = compiled()
    fit(model)
    model.save_weights(tmp_path / "model.weights.h5")
    other = make_model(seed=9)
    other.load_weights(tmp_path / "model.weights.h5")
    assert_equal_variables(model, other)


def test_continuous_variables_are_trained_by_adam():
    """BatchNormalization moves exactly as under Adam alone."""
    model = compiled()
    x, y = problem()
    gamma = model.layers[1].gamma
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(y - model(x, training=True)))
    gradients = tape.gradient(loss, model.trainable_variables)
    index = [v is gamma for v in model.trainable_variables].index(True)
    copy = keras.Variable(gamma.numpy())
    adam = keras.optimizers.Adam(RULES["momentum"]["learning_rate"])
    for _ in range(3):
        model.optimizer.apply(gradients, model.trainable_variables)
        adam.apply([gradients[index]], [copy])
    assert (copy.numpy() == gamma.numpy()).all()
    assert (gamma.numpy() != 1).any()


def test_own_continuous_optimizer_keeps_its_learning_rate(tmp_path):
    model = compiled(continuous_optimizer=keras.optimizers.SGD(0.0))
    fit(model)
    assert (model.layers[1].gamma.numpy() == 1).all()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    inner = again.optimizer.continuous_optimizer
    assert isinstance(inner, keras.optimizers.SGD)
    assert float(inner.learning_rate) == 0


def test_learning_rate_schedule_and_zero_rate():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [16], [0.05, 0.0]
    )
    model = make_model()
    model.compile(
        optimizer=DiscreteStateTransition(schedule), loss="squared_hinge"
    )
    fit(model)  # 16 steps, then the rate is 0
    before = model.get_weights()[0]
    fit(model)
    before = model.get_weights()[0]
    fit(model)
    assert (before == model.get_weights()[0]).all()


def test_own_training_loop():
    model = make_model()
    optimizer = DiscreteStateTransition(0.05)
    x, y = problem()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.nn.relu(1 - y * model(x))))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(
            zip(gradients, model.trainable_variables, strict=True)
        )
        return loss

    losses = [float(step(x, y)) for _ in range(60)]
    assert losses[-1] < losses[0]


def test_transition_rates_count_what_moved():
    model = compiled()
    x, y = problem()
    model.train_on_batch(x, y)
    optimizer = model.optimizer
    optimizer.reset_transition_rates()
    kernels = [v for v in model.trainable_variables if v.dtype == "int8"]
    moved = {v.path: 0.0 for v in kernels}
    for _ in range(4):
        before = {v.path: v.numpy() for v in kernels}
        model.train_on_batch(x, y)
        for v in kernels:
            moved[v.path] += np.mean(before[v.path] != v.numpy()) / 4
    rates = optimizer.transition_rates()
    assert rates == pytest.approx(moved)
    assert max(rates.values()) > 0
    optimizer.reset_transition_rates()
    assert set(optimizer.transition_rates().values()) == {0.0}


@pytest.mark.parametrize(
    ("rule", "moment_dtype", "expected"),
    [
        ("sgd", None, 1),
        ("momentum", None, 2),
        ("momentum", "bfloat16", 3),
        ("momentum", "float32", 5),
        ("adam", None, 5),
        ("adam", "float32", 9),
        ("error_feedback", None, 2),
    ],
)
def test_state_bytes_are_those_of_the_variables(rule, moment_dtype, expected):
    """Counted, not claimed: all variables of a weight's size."""
    model = compiled(rule, moment_dtype=moment_dtype)
    fit(model)
    kernel = model.layers[0].kernel
    sized = [
        v
        for v in (kernel, *model.optimizer.variables)
        if v.shape == kernel.shape
    ]
    measured = sum(v.value.dtype.size for v in sized)
    assert measured == expected == model.optimizer.state_bytes_per_weight


def test_monitor_and_metrics():
    model = compiled()
    history = fit(
        model, epochs=2, callbacks=[gxnor_tf.callbacks.TransitionMonitor()]
    ).history
    states = np.concatenate(
        [v.numpy().ravel() for v in model.variables if v.dtype == "int8"]
    )
    assert history["zero_share"][-1] == pytest.approx(np.mean(states == 0))
    assert 0 < history["transition_rate"][-1] < 1
    shares = gxnor_tf.metrics.weight_zero_shares(model)
    assert shares[model.layers[0].kernel.path] == pytest.approx(
        np.mean(model.layers[0].kernel.numpy() == 0)
    )
    x, _ = problem()
    shares = gxnor_tf.metrics.activation_zero_shares(model, x, batch_size=100)
    probe = keras.Sequential(model.layers[:3])
    expected = np.mean(probe(x).numpy() == 0)
    assert shares == {model.layers[2].name: pytest.approx(expected)}


def test_monitor_needs_the_optimizer():
    model = make_model()
    model.compile(optimizer="adam", loss="mse")
    with pytest.raises(ValueError, match="optimizer=Adam"):
        fit(model, callbacks=[gxnor_tf.callbacks.TransitionMonitor()])


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"step_rule": "nadam"}, "step_rule='nadam'"),
        ({"step_rule": ["adam"]}, r"step_rule=\['adam'\]"),
        ({"beta_1": "x"}, "`beta_1` must be a number. Received: beta_1='x'"),
        ({"beta_1": True}, "beta_1=True"),
        ({"seed": True}, "seed=True"),
        ({"learning_rate": np.float32(-1)}, "learning_rate=-1.0"),
        (
            {"step_rule": "adam", "transition_gain": 0.0},
            "transition_gain=0.0",
        ),
        (
            {"step_rule": "adam", "transition_gain": np.nan},
            "transition_gain=nan",
        ),
        ({"beta_1": 1.5}, "`beta_1` must be in"),
        ({"moment_dtype": "half"}, "`moment_dtype` must be one of"),
        (
            {"step_rule": "adam", "moment_dtype": "int8"},
            "`moment_dtype` of step rule 'adam' must be one of bfloat16",
        ),
        ({"beta_2": 0.9}, "'error_feedback' has no `beta_2`"),
        ({"step_rule": "sgd", "beta_1": 0.9}, "has no `beta_1`"),
        ({"step_rule": "adam", "epsilon": 0.0}, "`epsilon` must be > 0"),
        ({"weight_decay": 0.1}, "`weight_decay` is not supported"),
        ({"seed": 1.5}, "seed=1.5"),
        ({"seed": -1}, "seed=-1"),
        ({"learning_rate": np.nan}, "learning_rate=nan"),
        ({"use_ema": True}, "`use_ema` is not supported"),
        ({"gradient_accumulation_steps": 1}, "must be an integer >= 2"),
        (
            {"continuous_optimizer": keras.optimizers.AdamW()},
            "must not set `weight_decay`",
        ),
    ],
)
def test_bad_arguments(kwargs, text):
    with pytest.raises(ValueError, match=text):
        DiscreteStateTransition(**kwargs)


def test_numbers_of_numpy():
    optimizer = DiscreteStateTransition(
        np.float32(0.5),
        "adam",
        transition_gain=np.float32(2),
        seed=np.int64(3),
        beta_1=np.float64(0.5),
        epsilon=np.float32(2**-20),
        overrides={"": {"beta_2": np.float32(0.75)}},
    )
    config = optimizer.get_config()
    again = DiscreteStateTransition.from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config
    assert (config["seed"], config["beta_1"]) == (3, 0.5)
    assert config["transition_gain"] == 2 and config["learning_rate"] == 0.5


def test_continuous_optimizer_belongs_to_one_model():
    adam = keras.optimizers.Adam()
    fit(compiled(continuous_optimizer=adam))
    with pytest.raises(ValueError, match="an optimizer of its own"):
        fit(compiled(continuous_optimizer=adam))


@pytest.mark.parametrize("rule", RULES)
def test_one_bad_gradient_does_not_freeze_the_weights(rule):
    model = compiled(rule)
    model.optimizer.learning_rate = 0.6  # bop moves nothing below 0.5 here
    variables = model.trainable_variables
    clean = [np.full(v.shape, 0.1, np.float32) for v in variables]
    bad = [g.copy() for g in clean]
    bad[0][0, 0] = np.nan
    bad[0][0, 1] = np.inf
    model.optimizer.apply([tf.constant(g) for g in bad], variables)
    before = model.get_weights()[0]
    for _ in range(20):
        model.optimizer.apply([tf.constant(g) for g in clean], variables)
    assert (before != model.get_weights()[0]).mean() > 0.1


@pytest.mark.parametrize("rule", RULES)
def test_one_huge_gradient_does_not_freeze_the_weights(rule):
    """Its square is infinite, and so is a difference of two of them."""
    forgets = rule not in ("sgd", "error_feedback")
    decays = {"beta_1": 0.5} if forgets else {}
    if rule == "adam":
        decays["beta_2"] = 0.5
    optimizer = DiscreteStateTransition(0.6, rule, **decays)
    kernel = make_model().layers[0].kernel
    gradient = np.full(kernel.shape, 0.1, np.float32)
    for huge in (3e38, -3e38):
        bad = gradient.copy()
        bad[0, 0] = huge
        optimizer.apply([tf.constant(bad)], [kernel])
    for variable in optimizer.variables:
        assert np.isfinite(variable.numpy()).all(), variable.path
    # The moments forget it: half of it is left after every step.
    for _ in range(150):
        optimizer.apply([tf.constant(gradient)], [kernel])
    kernel.assign(np.ones(kernel.shape, np.int8))
    for _ in range(5):
        optimizer.apply([tf.constant(gradient)], [kernel])
    moved = kernel.numpy() != 1
    assert moved.mean() > 0.3
