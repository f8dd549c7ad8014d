# SPDX-License-Identifier: Apache-2.0
"""Canonical order."""

import numpy as np
import pytest

from train import records


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 5, 4), np.uint8)
    return images, rng.integers(0, 3, 40)


def test_order_depends_on_the_records_only(arrays):
    images, labels = arrays
    expected = records.canonical(images, labels)
    order = np.random.default_rng(1).permutation(40)
    shuffled = records.canonical(images[order], labels[order])
    np.testing.assert_array_equal(shuffled.images, expected.images)
    np.testing.assert_array_equal(shuffled.labels, expected.labels)
    assert not np.array_equal(expected.labels, labels)


def test_records_stay_together(arrays):
    images, labels = arrays
    ordered = records.canonical(images, labels)
    pairs = {(x.tobytes(), int(y)) for x, y in zip(*arrays, strict=True)}
    for image, label in zip(ordered.images, ordered.labels, strict=True):
        assert (image.tobytes(), int(label)) in pairs
    assert len(ordered) == 40


def test_shape_and_dtype_do_not_matter(arrays):
    images, labels = arrays
    expected = records.canonical(images, labels)
    other = records.canonical(
        np.asfortranarray(images[..., np.newaxis]),
        labels[:, np.newaxis].astype(np.uint8),
    )
    assert expected.images.shape == (40, 5, 4, 1)
    assert other.labels.dtype == np.int32
    assert records.digest(other) == records.digest(expected)


def test_digest_sees_every_change(arrays):
    first = records.canonical(*arrays)
    labels = first.labels.copy()
    labels[3] += 1
    images = first.images.copy()
    images[0, 0, 0, 0] ^= 1
    digests = {
        records.digest(first),
        records.digest(records.Records(first.images, labels)),
        records.digest(records.Records(images, first.labels)),
        records.digest(
            records.Records(first.images.reshape(40, 4, 5, 1), first.labels)
        ),
        records.digest(first[:39]),
        records.digest(first[::-1]),
    }
    assert len(digests) == 6
