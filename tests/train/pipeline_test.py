# SPDX-License-Identifier: Apache-2.0
"""Batches: the numbers, the order, and the order after a resume."""

import numpy as np
import pytest
import tensorflow as tf

from train import pipeline
from train.records import Records


@pytest.fixture
def numbered():
    """Records whose pixel is their number."""
    numbers = np.arange(23, dtype=np.uint8)
    return Records(numbers.reshape(23, 1, 1, 1), (numbers % 4).astype("i4"))


def batches(numbered, first_epoch=0, epochs=3, seed=7, batch_size=5):
    found = pipeline.training_batches(
        numbered, 4, batch_size, seed, first_epoch, epochs
    )
    return [(x.numpy(), y.numpy()) for x, y in found]


def numbers(batch):
    return (batch[0].ravel() * 128 + 128).astype(int).tolist()


def test_normalized_is_exact():
    images = np.arange(256, dtype=np.uint8)
    x = pipeline.normalized(tf.constant(images)).numpy()
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x * 128, images.astype(int) - 128)
    # What an exported model takes is the same number, as int8.
    inputs = pipeline.int8_inputs(images)
    assert inputs.dtype == np.int8
    np.testing.assert_array_equal(inputs, x * 128)
    assert (x[0], x[128], x[255]) == (-1.0, 0.0, 127 / 128)


def test_targets_are_plus_and_minus_one():
    y = pipeline.targets(tf.constant([2, 0]), 3).numpy()
    np.testing.assert_array_equal(y, [[-1, -1, 1], [1, -1, -1]])
    assert y.dtype == np.float32


def test_nobody_waits_for_a_thread_that_tunes(numbered):
    for dataset in (
        pipeline.training_batches(numbered, 4, 5, 0, 0, 1),
        pipeline.evaluation_batches(numbered, 4),
    ):
        assert dataset.options().autotune.enabled is False


def test_every_epoch_uses_each_record_at_most_once(numbered):
    found = batches(numbered)
    assert len(found) == 3 * 4
    for epoch in range(3):
        seen = sum(map(numbers, found[4 * epoch : 4 * epoch + 4]), [])
        assert len(seen) == len(set(seen)) == 20
    left_out = [
        set(range(23)) - set(sum(map(numbers, found[4 * e : 4 * e + 4]), []))
        for e in range(3)
    ]
    assert left_out[0] != left_out[1]


def test_images_and_labels_stay_together(numbered):
    for batch in batches(numbered):
        labels = batch[1].argmax(axis=1).tolist()
        assert labels == [number % 4 for number in numbers(batch)]


def test_order_is_repeatable_and_differs_by_epoch_and_seed(numbered):
    first = [numbers(batch) for batch in batches(numbered)]
    assert first == [numbers(batch) for batch in batches(numbered)]
    assert first[:4] != first[4:8]
    assert first != [numbers(batch) for batch in batches(numbered, seed=8)]


def test_resumed_order_continues_the_uninterrupted_one(numbered):
    whole = [numbers(batch) for batch in batches(numbered)]
    for epoch in range(3):
        rest = [numbers(b) for b in batches(numbered, first_epoch=epoch)]
        assert rest == whole[4 * epoch :]


def test_order_does_not_depend_on_the_global_seed(numbered):
    tf.random.set_seed(1)
    one = [numbers(batch) for batch in batches(numbered)]
    tf.random.set_seed(2)
    assert one == [numbers(batch) for batch in batches(numbered)]


def test_evaluation_gives_all_records_in_order(numbered, monkeypatch):
    monkeypatch.setattr(pipeline, "EVALUATION_BATCH_SIZE", 10)
    found = list(pipeline.evaluation_batches(numbered, 4))
    assert [len(x) for x, _ in found] == [10, 10, 3]
    pixels = np.concatenate([x.numpy() for x, _ in found]).ravel()
    np.testing.assert_array_equal(pixels * 128 + 128, np.arange(23))
