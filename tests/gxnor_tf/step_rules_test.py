# SPDX-License-Identifier: Apache-2.0
"""The step rules, three steps against their formulas in float64."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf import discrete_update, moment_formats, step_rules
from gxnor_tf.discrete_space import DiscreteSpace

RATE = 0.03
GRADIENTS = np.random.default_rng(0).normal(0, 1e-3, (3, 4, 5))


def run(rule):
    """The increments of three steps."""
    moments = tuple(tf.zeros((4, 5)) for _ in rule.moment_names)
    increments = []
    for step, gradient in enumerate(GRADIENTS, start=1):
        increment, moments = rule.increment(
            tf.constant(gradient, tf.float32),
            moments,
            tf.constant(step, tf.int64),
            tf.constant(RATE),
        )
        increments.append(increment.numpy())
    return increments


def rms(x):
    return np.sqrt(np.mean(np.square(x)))


def test_sgd():
    for found, g in zip(run(step_rules.get("sgd")), GRADIENTS, strict=True):
        np.testing.assert_allclose(found, -RATE * g / rms(g), rtol=1e-5)


def decay(rule, step):
    """That of the moving average, from its description."""
    return min(rule.beta_1, 1 - 1 / (1 + rule.memory_growth * step))


@pytest.mark.parametrize("beta", [0.0, 0.2, 0.99])
@pytest.mark.parametrize("growth", [0.1, 1.0, math.inf])
@pytest.mark.parametrize("name", ["momentum", "sign", "bop"])
def test_moving_averages(name, beta, growth):
    rule = step_rules.get(name, beta_1=beta, memory_growth=growth)
    m = 0
    full = getattr(rule, "full_rate_memory", math.inf)
    for step, (found, g) in enumerate(
        zip(run(rule), GRADIENTS, strict=True), start=1
    ):
        b = decay(rule, step)
        m = b * m + (1 - b) * g
        direction = np.sign(m) if name == "sign" else m / rms(m)
        rate = RATE * min(1, full * (1 - b))
        np.testing.assert_allclose(
            found, -rate * direction, rtol=1e-4, atol=1e-6
        )


def test_memory_is_a_share_of_the_run_until_it_reaches_its_limit():
    rule = step_rules.get("momentum")
    memory = [1 / (1 - decay(rule, step)) for step in (10, 100, 1000, 10**5)]
    np.testing.assert_allclose(memory, [2, 11, 101, 500])


@pytest.mark.parametrize("name", ["momentum", "sign"])
def test_increments_shrink_as_the_memory_grows(name):
    def shares(full, growth):
        rule = step_rules.get(name, memory_growth=growth, full_rate_memory=full)
        return [
            float(rule.rate(tf.constant(1.0), tf.constant(step)))
            for step in (100, 1000, 10**6)
        ]

    np.testing.assert_allclose(
        shares(50, 0.1), [1, 50 / 101, 50 / 500], rtol=1e-4
    )
    np.testing.assert_allclose(shares(50, math.inf), [0.1] * 3, rtol=1e-4)
    assert shares(math.inf, 0.1) == shares(math.inf, math.inf) == [1, 1, 1]


def test_error_feedback():
    """What is not taken waits, what cannot be taken is dropped."""
    rule = step_rules.get("error_feedback", beta_1=0.5)
    error = 0
    for found, g in zip(run(rule), GRADIENTS, strict=True):
        error = 0.5 * error - RATE * g / rms(g)
        np.testing.assert_allclose(found, error, rtol=1e-4, atol=1e-7)
    (kept,) = rule.feedback((tf.constant([9.0]),), tf.constant([0.25]))
    assert kept.numpy().tolist() == [0.25]


def test_other_rules_keep_their_moments():
    moments = (tf.constant([9.0]),)
    for name in ("momentum", "sign", "bop", "adam"):
        rule = step_rules.get(name)
        assert rule.feedback(moments, tf.constant([0.25])) is moments


def test_probabilities():
    residue = tf.constant([0.1, -0.4, 0.549, 0.551])
    for name in ("momentum", "sign", "sgd", "adam"):
        found = step_rules.get(name).probability(residue, 3.0)
        expected = np.tanh([0.3, 1.2, 1.647, 1.653])
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    for name, last in (("bop", 1), ("error_feedback", 0)):
        found = step_rules.get(name).probability(residue, 3.0)
        assert found.numpy().tolist() == [0, 0, last, 1]


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("momentum", {"memory_growth": 0}, "must be > 0"),
        ("momentum", {"memory_growth": math.nan}, "must be > 0"),
        ("momentum", {"full_rate_memory": 0.5}, "must be >= 1"),
        ("bop", {"full_rate_memory": 9}, "has no `full_rate_memory`"),
        ("momentum", {"beta_1": 1.0}, r"must be in \[0, 1\)"),
        ("momentum", {"beta_1": math.nan}, r"must be in \[0, 1\)"),
        ("adam", {"memory_growth": 0.1}, "has no `memory_growth`"),
        ("sgd", {"beta_1": 0.9}, "no settings"),
    ],
)
def test_bad_settings_are_named(name, settings, text):
    with pytest.raises(ValueError, match=text):
        step_rules.get(name, **settings)


def test_adam():
    m = v = 0
    rule = step_rules.get("adam", beta_1=0.8, beta_2=0.95, epsilon=1e-4)
    for step, (found, g) in enumerate(
        zip(run(rule), GRADIENTS, strict=True), start=1
    ):
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g * g
        rate = RATE * np.sqrt(1 - 0.95**step) / (1 - 0.8**step)
        np.testing.assert_allclose(
            found, -rate * m / (np.sqrt(v) + 1e-4), rtol=1e-4, atol=1e-8
        )


def test_adam_is_that_of_keras():
    variable = keras.Variable(np.zeros((4, 5), np.float32))
    adam = keras.optimizers.Adam(RATE, epsilon=1e-8)
    for found, g in zip(run(step_rules.get("adam")), GRADIENTS, strict=True):
        before = variable.numpy()
        adam.apply([tf.constant(g, tf.float32)], [variable])
        np.testing.assert_allclose(
            found, variable.numpy() - before, rtol=1e-3, atol=1e-7
        )


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1e-40, 1e-28, 1e-20, 1e17])
def test_normalised_rules_do_not_care_about_scale(scale, jit_compile):
    """Squares neither underflow nor overflow; no gradient is no increment."""
    direction = GRADIENTS[0] / rms(GRADIENTS[0])
    gradient = tf.constant(scale * direction, tf.float32)
    for name in ("sgd", "momentum", "bop", "error_feedback"):
        rule = step_rules.get(name)
        moments = tuple(tf.zeros((4, 5)) for _ in rule.moment_names)
        # XLA joins divisions, and rounds numbers below 1e-38 to 0.
        increment, _ = tf.function(rule.increment, jit_compile=jit_compile)(
            gradient, moments, tf.constant(1, tf.int64), tf.constant(RATE)
        )
        wanted = -RATE * direction if scale > 1e-30 else 0 * direction
        np.testing.assert_allclose(increment, wanted, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", step_rules.NAMES)
def test_the_largest_gradients_give_finite_increments(name, jit_compile):
    rule = step_rules.get(name)
    moments = tuple(tf.zeros((4, 5)) for _ in rule.moment_names)
    step = tf.function(rule.increment, jit_compile=jit_compile)
    signs = np.where(GRADIENTS[0] > 0, 1, -1)
    found = []
    for size in (1e18, 3e38):
        increment, kept = step(
            *(tf.constant(size * signs, tf.float32), moments),
            *(tf.constant(1, tf.int64), tf.constant(RATE)),
        )
        assert np.isfinite(increment).all()
        assert all(np.isfinite(moment).all() for moment in kept)
        assert (np.sign(increment) == -signs).all()
        found.append(increment)
    np.testing.assert_array_equal(*found)


def feedback_step(half_range, dtype, gradient, states, stored, rate, n=1):
    """A step of error_feedback: states, what waits as stored, and hops."""
    rule, space = step_rules.get("error_feedback"), DiscreteSpace(n, half_range)
    made = moment_formats.get(dtype, rule.largest_moment(space))
    update = discrete_update.make(space, rule, made, states.shape)
    new_states, (stored,), moved = update(
        tf.constant(gradient, tf.float32),
        *(tf.constant(states), (stored,)),
        *([tf.constant(0, tf.int64)] * 3),
        *(tf.constant(rate, tf.float32), tf.constant(0.0)),
    )
    return new_states.numpy(), stored, float(moved)


# Of some, the largest code times its unit is rounded up.
@pytest.mark.parametrize("half_range", [0.39, 0.51, 0.7, 1.0, 1.9, 3.0, 3.8])
@pytest.mark.parametrize("dtype", ["int8", "int6", "int4"])
@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_without_a_gradient_nothing_hops_and_nothing_is_erased(
    half_range, dtype, rate
):
    """A loss with a margin has such batches; what waits must outlast them."""
    levels = moment_formats.get(dtype).levels
    codes = np.arange(-levels, levels + 1, dtype=np.int8)
    codes = np.tile(codes, (40, 1))
    states, (kept,), moved = feedback_step(
        *(half_range, dtype, np.zeros(codes.shape), np.zeros_like(codes)),
        *((tf.constant(codes),), rate),
    )
    assert moved == 0 and (states == 0).all()
    # Decoded and encoded again, a code may be off by the rounding of float32,
    # and is then rounded to the next one once in a hundred thousand times.
    assert (kept.numpy() != codes).mean() < 1e-3


@pytest.mark.parametrize("rate", [0.1, np.nan, np.inf])
def test_a_bad_rate_or_gradient_erases_nothing(rate):
    waits = tf.constant([[0.3, -0.2, 0.1]])
    gradient = [[np.nan, np.inf, 0.0]]
    states, (kept,), _ = feedback_step(
        *(1.0, "float32", gradient, np.zeros((1, 3), np.int8)),
        *((waits,), rate),
    )
    assert (states == 0).all()
    np.testing.assert_array_equal(kept, waits)


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize(
    ("dtype", "most"),
    [
        ("float32", 5),
        ("bfloat16", 50),
        ("int8", 60),
        ("int6", 90),
        ("int4", 120),
    ],
)
def test_what_waits_has_a_bound_and_hops_end_with_the_gradient(n, dtype, most):
    """However often int8 rounds it: no weight goes to and fro between hops."""
    rule, space = step_rules.get("error_feedback"), DiscreteSpace(n, 0.5)
    largest = rule.largest_moment(space)
    made = moment_formats.get(dtype, largest)
    update = discrete_update.make(space, rule, made, (100, 100))
    rng = np.random.default_rng(n)
    states = tf.constant(rng.choice(space.states, (100, 100)).astype(np.int8))
    stored = tuple(tf.zeros(shape, t) for _, shape, t in made.parts((100, 100)))
    hops = []
    for step in range(200):
        moving = step < 100
        states, (stored,), moved = update(
            tf.constant(rng.normal(size=(100, 100)), tf.float32),
            *(states, (stored,), tf.constant(1, tf.int64)),
            *(tf.constant(2, tf.int64), tf.constant(step, tf.int64)),
            # In steps: the second is less than a unit of the codes.
            tf.constant((0.1 if moving else 1e-4) * space.step),
            tf.constant(0.0),
        )
        waits = np.abs(made.decode(stored).numpy())
        # bfloat16 has 8 significant bits.
        assert waits.max() <= largest * (1 + 2**-7)
        hops.append(float(moved))
    assert min(hops[10:100]) > 100
    # Those that had come within a unit of the threshold. With int8 and a
    # threshold of a half they are 1251 and more.
    assert sum(hops[110:]) < most
