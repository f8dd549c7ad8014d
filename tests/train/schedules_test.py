# SPDX-License-Identifier: Apache-2.0
"""The learning rate over a run."""

import keras
import numpy as np
import pytest

from train import config, schedules


def rates(*steps, steps_per_epoch=25, **settings):
    made = config.Config(epochs=4, learning_rate=0.1, **settings)
    rate = schedules.learning_rate(made, steps_per_epoch)
    return [float(rate(s)) if callable(rate) else rate for s in steps]


def test_exponential():
    found = rates(
        *(0, 50, 100), schedule="exponential", final_learning_rate=0.001
    )
    assert found == pytest.approx([0.1, 0.01, 0.001])


def test_cosine():
    found = rates(0, 50, 100, 200, schedule="cosine", final_learning_rate=0.001)
    assert found == pytest.approx([0.1, 0.0505, 0.001, 0.001])


def test_constant():
    assert rates(0, 50, 100, schedule="constant") == [0.1] * 3


def test_multistep():
    found = rates(
        *(0, 50, 51, 80, 81, 100),
        schedule="multistep",
        milestones="0.5,0.8",
        milestone_factor=0.5,
    )
    assert found == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.025])


def test_exponential_with_milestones():
    settings = {"schedule": "exponential", "final_learning_rate": 0.001}
    without = rates(0, 49, 51, 100, **settings)
    found = rates(0, 49, 51, 100, milestones="0.5", **settings)
    assert found == pytest.approx(
        [without[0], without[1], without[2] / 10, without[3] / 10]
    )


@pytest.mark.parametrize("schedule", ["exponential", "cosine", "multistep"])
def test_warm_up_multiplies_any_schedule(schedule):
    plain = rates(*range(100), schedule=schedule)
    warm = rates(*range(100), schedule=schedule, warmup_epochs=0.4)
    ramp = np.minimum(np.arange(100) + 1, 11) / 11
    assert warm == pytest.approx((plain * ramp).tolist())


def test_warm_up_of_a_constant_rate():
    found = rates(0, 5, 9, 10, 99, schedule="constant", warmup_epochs=0.4)
    assert found == pytest.approx(
        [0.1 / 11, 0.6 / 11, 1.0 / 11, 0.1, 0.1], rel=1e-5
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"schedule": "cosine", "warmup_epochs": 1.0},
        {"schedule": "multistep", "warmup_epochs": 0.5},
        {"schedule": "multistep"},
    ],
    ids=str,
)
def test_schedules_survive_serialization_and_graphs(settings):
    import tensorflow as tf

    rate = schedules.learning_rate(config.Config(epochs=4, **settings), 25)
    again = keras.optimizers.schedules.deserialize(
        keras.optimizers.schedules.serialize(rate)
    )
    traced = tf.function(again)
    for step in (0, 10, 60, 99):
        wanted = pytest.approx(float(rate(step)), rel=1e-5)
        assert float(again(step)) == wanted
        assert float(traced(tf.constant(step, tf.int64))) == wanted
