# SPDX-License-Identifier: Apache-2.0
"""DiscreteStateTransition with what Keras users expect of an optimizer."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import gxnor_tf
from gxnor_tf import DiscreteStateTransition, DiscreteVariable, step_rules

RULES = ("error_feedback", "momentum", "adam", "sgd")

# A moving average of one decay from the start, as it is.
PLAIN = {
    "step_rule": "momentum",
    "memory_growth": math.inf,
    "moment_dtype": "float32",
}
decay = keras.optimizers.schedules.PiecewiseConstantDecay


@keras.saving.register_keras_serializable(package="optimizer_habits_test")
def rising(step):
    return 1.0 + 0.5 * tf.cast(step, tf.float32)


def pair():
    """A discrete and a continuous variable, always the same."""
    states = np.random.default_rng(0).integers(-1, 2, (40, 5))
    return [
        DiscreteVariable(
            states.astype(np.int8), gxnor_tf.DiscreteSpace(1), name="first"
        ),
        keras.Variable(np.ones((5,), np.float32), name="bias"),
    ]


def gradients(count, seed=1):
    """Multiples of 1/8, so that means over 2 or 4 are exact."""
    rng = np.random.default_rng(seed)
    return [
        [
            tf.constant(rng.integers(-16, 17, shape) / 8, tf.float32)
            for shape in ((40, 5), (5,))
        ]
        for _ in range(count)
    ]


def train(optimizer, steps, variables=None):
    variables = pair() if variables is None else variables
    for step in steps:
        optimizer.apply(step, variables)
    return [v.numpy() for v in variables]


def assert_equal(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("rule", RULES)
def test_accumulation_equals_steps_with_the_mean(rule):
    parts = gradients(12)
    means = [
        [tf.add_n(same) / 4 for same in zip(*parts[i : i + 4], strict=True)]
        for i in (0, 4, 8)
    ]
    exactly = {"moment_dtype": "float32"}
    accumulating = DiscreteStateTransition(
        0.2, rule, gradient_accumulation_steps=4, **exactly
    )
    plain = DiscreteStateTransition(0.2, rule, **exactly)
    variables = pair()
    start = [v.numpy() for v in variables]
    assert_equal(train(accumulating, parts[:3], variables), start)
    assert accumulating.transition_rates()["first"] == 0
    assert_equal(train(accumulating, parts[3:], variables), train(plain, means))
    assert (variables[0].numpy() != start[0]).any()
    assert accumulating.transition_rates() == plain.transition_rates()
    sized = [v for v in accumulating.variables if v.shape == (40, 5)]
    assert len(sized) == 1 + len(plain.step_rule.moment_names)
    assert {v.dtype for v in sized} == {"float32"}
    assert accumulating.state_bytes_per_weight == 1 + 4 * len(sized)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_accumulation_in_graphs(jit_compile):
    parts = gradients(4)
    eager = DiscreteStateTransition(0.2, gradient_accumulation_steps=2)
    graph = DiscreteStateTransition(0.2, gradient_accumulation_steps=2)
    variables = pair()
    graph.build(variables)
    step = tf.function(graph.apply, jit_compile=jit_compile)
    for part in parts:
        step(part)
    states = train(eager, parts)[0]
    assert np.mean(states != variables[0].numpy()) < 0.01


@pytest.mark.parametrize(
    ("clipping", "wanted"),
    [
        # The norms are 5 and 10; together they are the root of 125.
        ({"clipnorm": 2.5}, (0.5, 0.25)),
        ({"global_clipnorm": 125**0.5 / 4}, (0.25, 0.25)),
        ({"clipvalue": 100.0}, (1, 1)),
    ],
)
def test_clipping_by_hand(clipping, wanted):
    discrete = np.zeros((40, 5), np.float32)
    discrete[:2, 0] = 3, -4
    continuous = np.array([6, 0, 8, 0, 0], np.float32)
    optimizer = DiscreteStateTransition(
        0.1,
        beta_1=0.5,
        continuous_optimizer=keras.optimizers.SGD(1.0),
        **PLAIN,
        **clipping,
    )
    variables = pair()
    train(
        optimizer, [[tf.constant(discrete), tf.constant(continuous)]], variables
    )
    (moment,) = [v for v in optimizer.variables if v.shape == (40, 5)]
    np.testing.assert_allclose(
        moment.numpy(), discrete * wanted[0] * 0.5, rtol=1e-6
    )
    np.testing.assert_allclose(
        variables[1].numpy(), 1 - continuous * wanted[1], rtol=1e-6
    )


def test_clipping_by_value():
    optimizer = DiscreteStateTransition(
        0.1, beta_1=0.5, clipvalue=0.75, **PLAIN
    )
    (step,) = gradients(1)
    train(optimizer, [step])
    (moment,) = [v for v in optimizer.variables if v.shape == (40, 5)]
    assert_equal([moment.numpy()], [np.clip(step[0], -0.75, 0.75) / 2])


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(
    "gain", [decay([1], [5.0, 0.25]), lambda s: tf.where(s > 1, 0.25, 5.0)]
)
def test_gain_schedule_is_evaluated_in_the_graph(gain, jit_compile):
    """Traced once, and yet another gain from the third step on."""
    steps = gradients(4)
    variables, by_hand = pair(), pair()
    scheduled = DiscreteStateTransition(0.1, "momentum", transition_gain=gain)
    scheduled.build(variables)
    manual = DiscreteStateTransition(0.1, "momentum", transition_gain=5.0)
    manual.build(by_hand)
    traced = []

    def step(optimizer, *grads):
        traced.append(optimizer)
        optimizer.apply(grads)

    one = tf.function(lambda *g: step(scheduled, *g), jit_compile=jit_compile)
    other = tf.function(lambda *g: step(manual, *g), jit_compile=jit_compile)
    for number, grads in enumerate(steps):
        if number == 2:
            manual.transition_gain = 0.25
        one(*grads)
        other(*grads)
        assert_equal([variables[0].numpy()], [by_hand[0].numpy()])
    assert len(traced) == 2
    assert float(scheduled.transition_gain) == 0.25
    constant = train(
        DiscreteStateTransition(0.1, "momentum", transition_gain=5.0), steps
    )
    assert (constant[0] != variables[0].numpy()).any()


def test_gain_that_is_no_gain_keeps_the_space():
    optimizer = DiscreteStateTransition(
        0.9, "momentum", transition_gain=lambda step: float("nan")
    )
    states = train(optimizer, gradients(3))[0]
    assert set(np.unique(states)) <= {-1, 0, 1}


def test_gain_is_set_to_numbers_only():
    number = DiscreteStateTransition(0.1, "momentum", transition_gain=2.0)
    for wrong in (0.0, rising):
        with pytest.raises(ValueError, match="transition_gain"):
            number.transition_gain = wrong
    number.transition_gain = 4
    assert float(number.transition_gain) == 4
    assert number.get_config()["transition_gain"] == 4
    with pytest.raises(ValueError, match="given as a schedule"):
        scheduled = DiscreteStateTransition(
            0.1, "momentum", transition_gain=rising
        )
        scheduled.transition_gain = 1.0


def test_certain_hops_have_no_gain():
    optimizer = DiscreteStateTransition(0.1, "error_feedback")
    assert optimizer.transition_gain is None
    assert optimizer.get_config()["transition_gain"] is None
    for wrong in (2.0, rising):
        with pytest.raises(ValueError, match="whose hops are certain"):
            optimizer.transition_gain = wrong
        with pytest.raises(ValueError, match="must be left out with step_r"):
            DiscreteStateTransition(0.1, "bop", transition_gain=wrong)


def test_codes_of_another_meaning_are_refused(monkeypatch):
    """Of as many variables, in the same types, but another unit."""
    saved = state(built())
    monkeypatch.setattr(step_rules.ErrorFeedback, "threshold", 0.5)
    optimizer = built()
    with pytest.raises(ValueError, match="`largest_moment` is 0.549.*=0.499"):
        optimizer.load_own_variables(saved)


def test_state_of_another_version_is_refused():
    """One that did not say what its codes mean."""
    saved = state(built())
    layout = json.loads(saved["layout"].tobytes())
    del layout["largest_moment"]
    saved["layout"] = np.frombuffer(json.dumps(layout).encode(), np.uint8)
    with pytest.raises(ValueError, match="written by another version.*compile"):
        built().load_own_variables(saved)


@pytest.mark.parametrize("where", ["optimizer", "override"])
def test_lambda_is_not_saved(where, tmp_path):
    settings = {"transition_gain": lambda step: 2.0}
    if where == "override":
        settings = {"overrides": {"first": settings}}
    model = net()
    model.compile(DiscreteStateTransition(0.2, "momentum", **settings), "mse")
    fit(model, 0, 1)
    with pytest.raises(ValueError, match="lambda cannot be saved.*registered"):
        model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")


def variables_at(*paths):
    made = []
    for path in paths:
        with keras.name_scope(path):
            made.append(pair()[0])
    return made


def test_first_matching_override_wins():
    variables = variables_at("conv1", "conv2", "dense")
    optimizer = DiscreteStateTransition(
        0.3,
        beta_1=0.5,
        overrides={
            "conv1": {"learning_rate_multiplier": 0.0},
            "^conv": {"beta_1": 0.75},
        },
        **PLAIN,
    )
    before = [v.numpy() for v in variables]
    steps = gradients(2)
    for step in steps:
        optimizer.apply([step[0]] * 3, variables)
    moved = [
        (a != v.numpy()).any() for a, v in zip(before, variables, strict=True)
    ]
    assert moved == [False, True, True]
    moments = [v.numpy() for v in optimizer.variables if v.shape == (40, 5)]
    for moment, beta in zip(moments, (0.5, 0.75, 0.5), strict=True):
        first, second = (s[0].numpy() * (1 - beta) for s in steps)
        np.testing.assert_array_equal(moment, first * beta + second)


def test_override_of_the_gain():
    """The same as an optimizer with that gain; a schedule as well."""
    steps = [[s[0]] for s in gradients(3)]
    wanted = train(
        DiscreteStateTransition(
            0.1, "momentum", transition_gain=decay([0], [9.0, 1.0])
        ),
        steps,
        variables_at("layer"),
    )
    found = train(
        DiscreteStateTransition(
            0.1,
            "momentum",
            overrides={"layer/": {"transition_gain": decay([0], [9.0, 1.0])}},
        ),
        steps,
        variables_at("layer"),
    )
    assert_equal(wanted, found)


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ({"(": {}}, r"regular expressions. Received: '\('"),
        ({3: {}}, "regular expressions. Received: 3"),
        ([("a", {})], "`overrides` must be a dict of patterns"),
        ({"a": 0.1}, r"`overrides\['a'\]` must be a dict"),
        ({"a": {"beta": 0.1}}, r"may set learning_rate_m.*Received: beta=0.1"),
        ({"a": {"beta_1": "x"}}, "must be a number. Received: 'x'"),
        ({"a": {"beta_1": 1.5}}, r"`overrides\['a'\]`: `beta_1` must be in"),
        ({"a": {"beta_2": 0.5}}, "'error_feedback' has no `beta_2`"),
        ({"a": {"learning_rate_multiplier": -1}}, ">= 0. Received: -1"),
        ({"a": {"transition_gain": 0}}, "must be a finite number > 0"),
        ({"a": {"transition_gain": 2.0}}, "whose hops are certain"),
    ],
)
def test_bad_overrides(overrides, text):
    with pytest.raises(ValueError, match=text):
        DiscreteStateTransition(overrides=overrides)


def test_override_without_a_variable_lists_the_paths():
    optimizer = DiscreteStateTransition(overrides={"bias": {}})
    variables = variables_at("conv1", "dense")
    with pytest.raises(
        ValueError, match="'bias' .*matches no.*: conv1/first, dense/first"
    ):
        optimizer.build([*variables, pair()[1]])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_loss_scaling_skips_infinite_gradients(jit_compile):
    inner = DiscreteStateTransition(0.2)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0)
    variables = pair()
    optimizer.build(variables)
    step = tf.function(optimizer.apply, jit_compile=jit_compile)
    plain = DiscreteStateTransition(0.2)
    by_hand = pair()
    plain.build(by_hand)
    for number, grads in enumerate(gradients(4)):
        scale = float(optimizer.dynamic_scale)
        scaled = [g * scale for g in grads]
        if number == 1:
            before = [v.numpy() for v in (*variables, *inner.variables)]
            bad = scaled[0].numpy()
            bad[0, 0] = np.inf
            step([tf.constant(bad), scaled[1]])
            after = [v.numpy() for v in (*variables, *inner.variables)]
            assert_equal(before, after)
            assert float(optimizer.dynamic_scale) == scale / 2
            continue
        step(scaled)
        plain.apply(grads)
    assert_equal([variables[0].numpy()], [by_hand[0].numpy()])


SETTINGS = {
    "plain": {},
    "accumulating": {"gradient_accumulation_steps": 3},
    "gain schedule": {"transition_gain": decay([3], [4.0, 1.0])},
    "gain function": {"transition_gain": rising},
    "overrides": {
        "overrides": {
            "first": {"beta_1": 0.5, "transition_gain": decay([3], [4.0, 1.0])}
        },
    },
    "rate schedule": {"learning_rate": decay([3], [0.2, 0.05])},
    "other decay": {"overrides": {"first": {"beta_1": 0.9}}},
}


def net():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6,)),
            gxnor_tf.DiscreteDense(8, name="first"),
            keras.layers.BatchNormalization(),
            gxnor_tf.DiscreteActivation(),
            gxnor_tf.DiscreteDense(2, name="last"),
        ]
    )


def fit(model, first, last):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 4, 6)).astype(np.float32)
    for batch in x[first:last]:
        model.train_on_batch(batch, np.ones((4, 2)))


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        *[(rule, "accumulating") for rule in RULES],
        *[("momentum", name) for name in SETTINGS if name != "accumulating"],
        *[("error_feedback", name) for name in ("plain", "rate schedule")],
        ("error_feedback", "other decay"),
    ],
)
def test_resumes_mid_run_bit_for_bit(rule, name, tmp_path):
    settings = {"learning_rate": 0.2} | SETTINGS[name]
    if rule == "sgd":
        settings.pop("overrides", None)
    straight = net()
    straight.compile(DiscreteStateTransition(step_rule=rule, **settings), "mse")
    fit(straight, 0, 4)  # With accumulation, one gradient is in store.
    straight.save(tmp_path / "model.keras")
    resumed = keras.saving.load_model(tmp_path / "model.keras")
    config = straight.optimizer.get_config()
    assert resumed.optimizer.get_config() == config
    for model in (straight, resumed):
        fit(model, 4, 8)
    for one, other in (
        (straight, resumed),
        (straight.optimizer, resumed.optimizer),
    ):
        assert_equal(
            [v.numpy() for v in one.variables],
            [v.numpy() for v in other.variables],
        )


def state(optimizer):
    store = {}
    optimizer.save_own_variables(store)
    return store


def built(*args, **kwargs):
    optimizer = DiscreteStateTransition(*args, **kwargs)
    optimizer.build(pair())
    return optimizer


def test_state_of_another_rule_is_refused():
    # As many variables of the same shapes as `adam` has.
    saved = state(built(step_rule="momentum", gradient_accumulation_steps=2))
    optimizer = built(step_rule="adam")
    before = [v.numpy() for v in optimizer.variables]
    with pytest.raises(
        ValueError,
        match="whose `step_rule` is momentum.*Received: step_rule=adam",
    ):
        optimizer.load_own_variables(saved)
    assert_equal(before, [v.numpy() for v in optimizer.variables])


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"gradient_accumulation_steps": 2},
            "`gradient_accumulation_steps` is given.*=not given",
        ),
        ({"learning_rate": decay([3], [0.2, 0.1])}, "`learning_rate` is a sch"),
        (
            {"step_rule": "momentum", "transition_gain": rising},
            "`transition_gain` is a schedule",
        ),
        (
            {"continuous_optimizer": keras.optimizers.SGD()},
            "optimizer` is SGD.*=Adam",
        ),
    ],
)
def test_state_of_other_settings_is_refused(settings, text):
    optimizer = built(step_rule=settings.get("step_rule", "error_feedback"))
    with pytest.raises(ValueError, match=text):
        optimizer.load_own_variables(state(built(**settings)))


def test_state_of_another_optimizer_is_refused():
    adam = keras.optimizers.Adam()
    adam.build(pair()[1:])
    with pytest.raises(ValueError, match="no saved state of Discrete"):
        built().load_own_variables(state(adam))


def test_state_of_other_variables_starts_anew():
    optimizer, variables = DiscreteStateTransition(), pair()
    train(optimizer, gradients(1), variables)
    before = [v.numpy() for v in optimizer.variables]
    other = state(optimizer)
    other["3"] = np.zeros((3, 3), np.float32)
    fewer = DiscreteStateTransition()
    fewer.build(pair()[:1])
    for wrong in (other, state(fewer)):
        with pytest.warns(UserWarning, match="other variables .* anew"):
            optimizer.load_own_variables(wrong)
    assert_equal(before, [v.numpy() for v in optimizer.variables])
    with pytest.warns(UserWarning, match="it is not built"):
        DiscreteStateTransition().load_own_variables(other)


@pytest.mark.filterwarnings("ignore:Skipping variable loading:UserWarning")
@pytest.mark.parametrize("scaled", [False, True])
def test_model_that_was_not_trained_yet_can_be_loaded(scaled, tmp_path):
    optimizer = DiscreteStateTransition(0.2)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model = net()
    model.compile(optimizer, "mse")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        fit(each, 0, 3)
    assert_equal(
        [v.numpy() for v in model.variables],
        [v.numpy() for v in loaded.variables],
    )


@pytest.mark.filterwarnings("ignore:Skipping variable loading:UserWarning")
def test_model_frozen_after_training_can_be_loaded(tmp_path):
    """What the optimizer has is about variables that no longer train."""
    model = net()
    model.compile(DiscreteStateTransition(0.2), "mse")
    fit(model, 0, 3)
    model.get_layer("first").trainable = False
    model.save(tmp_path / "model.keras")
    with pytest.warns(UserWarning, match="as after freezing a layer. It star"):
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert int(loaded.optimizer.iterations) == 0
    fit(loaded, 3, 6)
    first, last = (loaded.get_layer(n).kernel for n in ("first", "last"))
    assert_equal([model.get_layer("first").kernel.numpy()], [first.numpy()])
    assert (model.get_layer("last").kernel.numpy() != last.numpy()).any()


@pytest.mark.parametrize("jit_compile", [False, True, None])
def test_gradient_tape_over_all_trainable_variables(jit_compile):
    """None is eager. Every trainable variable gets a gradient and moves."""
    model, optimizer = net(), DiscreteStateTransition(0.3)
    x = np.random.default_rng(0).normal(size=(16, 6)).astype(np.float32)

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x, training=True) - 3.0))
        found = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(found, model.trainable_variables)
        return found

    optimizer.build(model.trainable_variables)
    if jit_compile is not None:
        step = tf.function(step, jit_compile=jit_compile)
    before = [v.numpy() for v in model.trainable_variables]
    for _ in range(3):
        found = step()
    assert all(g.dtype == tf.float32 for g in found)
    for a, variable in zip(before, model.trainable_variables, strict=True):
        assert (a != variable.numpy()).any(), variable.path


def test_state_of_another_moment_dtype_is_refused():
    saved = state(built(moment_dtype="float32"))
    with pytest.raises(ValueError, match="whose `moment_dtype` is float32"):
        built().load_own_variables(saved)


def test_moment_dtype_does_not_matter_without_moments():
    first = built(step_rule="sgd", moment_dtype="float32")
    first.iterations.assign(7)
    other = built(step_rule="sgd")
    other.load_own_variables(state(first))
    assert int(other.iterations) == 7


def test_state_of_another_version_says_so():
    saved = state(built())
    layout = json.loads(bytes(saved["layout"]))
    del layout["moment_dtype"]
    saved["layout"] = np.frombuffer(json.dumps(layout).encode(), np.uint8)
    with pytest.raises(ValueError, match="by another version.*compile=False"):
        built().load_own_variables(saved)


@pytest.mark.parametrize(
    ("beta_1", "factor", "least"),
    [
        (0.9, 1.0, "0.945455"),
        (0.945454, 1.0, "0.945455"),
        (0.95, 0.5, "0.9727"),
    ],
)
def test_a_decay_with_which_few_weights_hop_is_warned_of(beta_1, factor, least):
    overrides = {"kernel": {"learning_rate_multiplier": factor}}
    made = DiscreteStateTransition(0.03, beta_1=beta_1, overrides=overrides)
    with pytest.warns(UserWarning, match=rf"`beta_1` should be >= {least}"):
        made.build(variables_at("kernel"))


@pytest.mark.parametrize(
    ("rate", "settings"),
    [
        (0.03, {}),
        (0.03, {"beta_1": 0.945455}),
        (0.03, {"beta_1": 0.9, "step_rule": "momentum"}),
        (0.0, {"beta_1": 0.9}),  # No weight is meant to hop.
        (  # Says nothing of what is to come.
            keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 2.0),
            {"beta_1": 0.9},
        ),
    ],
)
def test_other_decays_are_not(rate, settings, recwarn):
    DiscreteStateTransition(rate, **settings).build(variables_at("kernel"))
    assert not [w for w in recwarn if "beta_1" in str(w.message)]


def test_error_feedback_takes_its_own_default():
    rule = DiscreteStateTransition(0.1, "error_feedback", beta_1=1.0).step_rule
    assert rule.beta_1 == 1
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        DiscreteStateTransition(0.1, "error_feedback", beta_1=1.1)
