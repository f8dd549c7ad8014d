# SPDX-License-Identifier: Apache-2.0
"""One update of one tensor, put together from its parts."""

import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf import (
    DiscreteSpace,
    discrete_update,
    moment_formats,
    random_bits,
    step_rules,
    transitions,
)

SHAPE = (30, 20)
RATE, GAIN = tf.constant(0.2), tf.constant(3.0)
SEED, STREAM = tf.constant(5, tf.int64), tf.constant(2, tf.int64)


def start(space, rule, moment_format):
    states = np.random.default_rng(1).choice(space.states, SHAPE)
    moments = tuple(
        tuple(
            tf.zeros(shape, dtype)
            for _, shape, dtype in moment_format.parts(SHAPE)
        )
        for _ in rule.moment_names
    )
    return tf.constant(states), moments


def gradient(iteration):
    rng = np.random.default_rng(iteration)
    return tf.constant(rng.normal(0, 1e-3, SHAPE), tf.float32)


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize(
    "name", ["adam", "bop", "error_feedback", "momentum", "sgd", "sign"]
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_is_rule_then_transition_then_rounding(n, name, dtype):
    space = DiscreteSpace(n)
    rule = step_rules.get(name)
    moment_format = moment_formats.get(dtype, rule.largest_moment(space))
    update = discrete_update.make(space, rule, moment_format, SHAPE)
    states, moments = start(space, rule, moment_format)
    for iteration in range(3):
        step = tf.constant(iteration, tf.int64)
        found, stored, moved = update(
            gradient(iteration), states, moments, SEED, STREAM, step, RATE, GAIN
        )
        key = random_bits.make_key(SEED, STREAM, step)
        bits = [random_bits.random_bits(SHAPE, key, i) for i in range(3)]
        increment, floats = rule.increment(
            gradient(iteration),
            tuple(moment_format.decode(m) for m in moments),
            step + 1,
            RATE,
        )
        expected, bounded = transitions.transition(
            states,
            increment,
            random_bits.uniform(bits[0]),
            space,
            GAIN,
            rule.probability,
        )
        floats = rule.feedback(
            floats, transitions.remainder(states, expected, bounded, space)
        )
        assert space.contains(found.numpy())
        assert float(moved) == np.sum(found != states)
        # XLA rounds float32 otherwise in the last bit, which decides a hop or
        # a code where a random number is next to it: rare, but not never.
        assert (found != expected).numpy().mean() < 0.01
        for one, moment, random in zip(stored, floats, bits[1:], strict=False):
            difference = moment_format.decode(one) - moment_format.decode(
                moment_format.encode(moment, random)
            )
            large = np.abs(difference) > 1e-5 * np.abs(moment).max()
            assert large.mean() < 0.01
        states, moments = found, stored


@pytest.mark.parametrize("name", ["momentum", "error_feedback"])
def test_bad_gradients_count_as_nothing_or_the_largest(name):
    space, rule = DiscreteSpace(1), step_rules.get(name)
    moment_format = moment_formats.get("float32")
    update = discrete_update.make(space, rule, moment_format, SHAPE)
    states, moments = start(space, rule, moment_format)
    bad = gradient(0).numpy()
    bad[0, :4] = [np.nan, np.inf, -np.inf, 1e30]
    good = bad.copy()
    good[0, :4] = [0, 0, 0, 1e18]
    step = tf.constant(0, tf.int64)
    one, other = (
        update(tf.constant(g), states, moments, SEED, STREAM, step, RATE, GAIN)
        for g in (bad, good)
    )
    assert (one[0] == other[0]).numpy().all()
    assert (one[1][0][0] == other[1][0][0]).numpy().all()


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (2, 3, 4, 5)])
@pytest.mark.parametrize("name", ["momentum", "error_feedback"])
def test_shapes_without_and_with_elements(name, shape):
    space, rule = DiscreteSpace(1), step_rules.get(name)
    moment_format = moment_formats.get("int8", rule.largest_moment(space))
    update = discrete_update.make(space, rule, moment_format, shape)
    moments = (tuple(tf.zeros(s, t) for _, s, t in moment_format.parts(shape)),)
    step = tf.constant(0, tf.int64)
    states, ((codes, *peak),), moved = update(
        *(tf.ones(shape), tf.zeros(shape, tf.int8), moments),
        *(SEED, STREAM, step, tf.constant(1.0), GAIN),
    )
    assert states.shape == codes.shape == shape
    # Whole steps against the gradient, which is the same for all.
    assert (states.numpy() == -1).all()
    assert float(moved) == np.prod(shape)
    if name == "momentum":
        (peak,) = peak
        assert float(peak) == pytest.approx(1 / 1.1 if np.prod(shape) else 0)
    else:
        assert not peak and not codes.numpy().any()


def test_tensors_that_are_alike_share_what_is_compiled():
    def compiled(name="momentum", size=600):
        return discrete_update._compiled(
            DiscreteSpace(1),
            step_rules.get(name),
            moment_formats.get("int8"),
            size,
        )

    assert compiled() is compiled()
    assert compiled() is not compiled("sign")
    assert compiled() is not compiled(size=601)


# One block of the reductions or more, with and without a rest.
@pytest.mark.parametrize("shape", [(64, 64), (5, 1000), (3, 3, 32, 32)])
def test_large_tensors_are_as_small_ones(shape):
    space, rule = DiscreteSpace(1), step_rules.get("error_feedback")
    moment_format = moment_formats.get("float32")
    rng = np.random.default_rng(3)
    states = tf.constant(rng.choice(space.states, shape))
    slope = tf.constant(rng.normal(size=shape), tf.float32)
    error = tf.zeros(shape)
    step = tf.constant(0, tf.int64)
    found, ((waits,),), moved = discrete_update.make(
        space, rule, moment_format, shape
    )(slope, states, ((error,),), SEED, STREAM, step, RATE, GAIN)
    increment, _ = rule.increment(slope, (error,), step + 1, RATE)
    expected, bounded = transitions.transition(
        *(states, increment, tf.constant(0.0), space, GAIN, rule.probability)
    )
    assert (found == expected).numpy().all()
    assert 0 < float(moved) == np.sum(found != states)
    # XLA adds the squares in another order.
    np.testing.assert_allclose(
        waits,
        transitions.remainder(states, expected, bounded, space),
        atol=1e-5,
    )


def test_a_gradient_may_come_without_its_sizes():
    space, rule = DiscreteSpace(1), step_rules.get("error_feedback")
    moment_format = moment_formats.get("int8", rule.largest_moment(space))
    update = discrete_update.make(space, rule, moment_format, SHAPE)
    states, moments = start(space, rule, moment_format)
    step = tf.constant(0, tf.int64)

    @tf.function(input_signature=[tf.TensorSpec(None)])
    def with_unknown_sizes(gradient):
        return update(gradient, states, moments, SEED, STREAM, step, RATE, GAIN)

    expected = update(
        gradient(0), states, moments, SEED, STREAM, step, RATE, GAIN
    )
    found = with_unknown_sizes(gradient(0))
    for one, other in zip(
        tf.nest.flatten(found), tf.nest.flatten(expected), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(tf.errors.InvalidArgumentError):
        with_unknown_sizes(tf.transpose(gradient(0)))
