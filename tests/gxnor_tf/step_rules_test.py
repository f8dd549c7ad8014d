# SPDX-License-Identifier: Apache-2.0
"""The step rules, three steps against their formulas in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gxnor_tf import step_rules

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


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.99])
def test_momentum(beta):
    m = 0
    for found, g in zip(
        run(step_rules.get("momentum", beta_1=beta)), GRADIENTS, strict=True
    ):
        m = beta * m + (1 - beta) * g
        np.testing.assert_allclose(
            found, -RATE * m / rms(m), rtol=1e-4, atol=1e-7
        )


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


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-20, 1e20])
def test_normalised_rules_do_not_care_about_scale(scale):
    """Squares neither underflow nor overflow; no gradient is no increment."""
    gradient = tf.constant(GRADIENTS[0] / rms(GRADIENTS[0]), tf.float32)
    for name in ("sgd", "momentum"):
        rule = step_rules.get(name)
        moments = tuple(tf.zeros((4, 5)) for _ in rule.moment_names)
        step = tf.constant(1, tf.int64)
        increment, _ = rule.increment(
            gradient * scale, moments, step, tf.constant(RATE)
        )
        expected = 0.0 if scale == 0 else RATE
        # 1e-30 is where the guard against a division by zero sets in.
        tolerance = 0.9 if scale == 1e-30 else 1e-4
        assert rms(increment.numpy()) == pytest.approx(expected, rel=tolerance)
