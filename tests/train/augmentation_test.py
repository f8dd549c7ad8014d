# SPDX-License-Identifier: Apache-2.0
"""Random changes: each image by its own draws, and which ones there are."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from train import augmentation, config, pipeline
from train.records import Records

CHANGES = [kind for kind in augmentation.KINDS if kind != "none"]


def numbers(size, seed=0, epoch=0):
    return augmentation.draws(size, seed, tf.constant(epoch, tf.int64))


def images(size, height=12, width=10, channels=1):
    rng = np.random.default_rng(0)
    shape = (size, height, width, channels)
    return rng.integers(0, 256, shape, np.uint8)


def test_every_kind_can_be_asked_for():
    (field,) = [
        field
        for field in dataclasses.fields(config.Config)
        if field.name == "augmentation"
    ]
    assert field.metadata["choices"] == tuple(augmentation.KINDS)


def test_draws_depend_on_seed_epoch_and_place_only():
    found = numbers(50, 3, 2).numpy()
    np.testing.assert_array_equal(found, numbers(50, 3, 2))
    assert len(np.unique(found)) == found.size
    for other in (numbers(50, 4, 2), numbers(50, 3, 1)):
        assert not np.any(found == other)
    assert 0 <= found.min() and found.max() < 1


def test_draws_are_not_those_of_the_order():
    key = tf.constant([3, 2], tf.int64)
    of_order = tf.random.stateless_uniform((50, 4), key, alg="philox")
    assert not np.any(of_order == numbers(50, 3, 2))


@pytest.mark.parametrize("kind", augmentation.KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_type_stay(kind, channels):
    x = tf.constant(images(4, channels=channels))
    y = augmentation.augmented(kind, x, numbers(4))
    assert (y.shape, y.dtype) == (x.shape, tf.uint8)
    if kind == "none":
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("kind", CHANGES)
def test_equal_images_in_a_batch_are_changed_differently(kind):
    x = np.repeat(images(1), 8, axis=0)
    y = augmentation.augmented(kind, tf.constant(x), numbers(8)).numpy()
    assert len({image.tobytes() for image in y}) >= 6


@pytest.mark.parametrize("kind", CHANGES)
def test_an_image_does_not_depend_on_its_batch(kind):
    x, draws = tf.constant(images(6)), numbers(6)
    whole = augmentation.augmented(kind, x, draws).numpy()
    for i in range(6):
        one = augmentation.augmented(kind, x[i : i + 1], draws[i : i + 1])
        np.testing.assert_array_equal(one[0], whole[i])


def moved(image, down, right, fill):
    """The image moved by whole pixels, by slicing."""
    height, width = image.shape[:2]
    out = np.full_like(image, fill)
    out[
        max(down, 0) : height + min(down, 0),
        max(right, 0) : width + min(right, 0),
    ] = image[
        max(-down, 0) : height - max(down, 0),
        max(-right, 0) : width - max(right, 0),
    ]
    return out


@pytest.mark.parametrize(
    ("kind", "most", "fill"), [("shift", 2, 0), ("crop_flip", 4, 128)]
)
def test_every_move_and_only_those_come_up(kind, most, fill):
    image = images(1)[0]
    sources = [("plain", image)]
    if kind == "crop_flip":
        sources.append(("mirrored", image[:, ::-1]))
    steps = range(-most, most + 1)
    possible = {
        moved(source, down, right, fill).tobytes(): (down, right, name)
        for name, source in sources
        for down in steps
        for right in steps
    }
    size = 4000
    x = tf.constant(np.repeat(image[None], size, axis=0))
    y = augmentation.augmented(kind, x, numbers(size)).numpy()
    found = [possible[changed.tobytes()] for changed in y]
    assert set(found) == set(possible.values())
    # Uniform: three standard deviations of a mean over 4000 draws.
    spread = np.sqrt(most * (most + 1) / 3 / size)
    assert abs(np.mean([down for down, _, _ in found])) < 3 * spread
    if kind == "crop_flip":
        flips = np.mean([name == "mirrored" for _, _, name in found])
        assert abs(flips - 0.5) < 3 * 0.5 / np.sqrt(size)


def affine(image, *draws):
    x = tf.constant(image[None], tf.uint8)
    y = augmentation.augmented("affine", x, tf.constant([draws], tf.float32))
    return y[0].numpy()


def test_affine_in_the_middle_of_its_range_changes_nothing():
    image = images(1)[0]
    np.testing.assert_array_equal(affine(image, 0.5, 0.5, 0.5, 0.5), image)


def test_affine_shifts_by_up_to_two_pixels_and_fills_with_black():
    image = images(1)[0]
    np.testing.assert_array_equal(
        affine(image, 0.5, 0.5, 0.0, 1.0), moved(image, -2, 2, 0)
    )


def test_affine_turns_and_scales_about_the_centre():
    size = 21
    place = np.arange(size) - 10.0
    y, x = np.meshgrid(place, place, indexing="ij")

    def bar(angle, length):
        """A soft bar from the centre in the direction of an angle."""
        along = x * np.cos(angle) + y * np.sin(angle)
        across = -x * np.sin(angle) + y * np.cos(angle)
        soft = np.clip(length - along, 0, 1) * np.clip(along + 1, 0, 1)
        soft *= np.clip(2 - abs(across), 0, 1)
        return np.round(255 * soft)[..., None].astype(np.uint8)

    image = bar(0.0, 8.0)
    for draws, angle, length in (
        ((0.0, 0.5), -np.pi / 18, 8.0),
        ((1.0, 0.5), np.pi / 18, 8.0),
        ((0.5, 0.0), 0.0, 7.2),
        ((0.5, 1.0), 0.0, 8.8),
    ):
        found = affine(image, *draws, 0.5, 0.5).astype(float)
        wanted = bar(angle, length).astype(float)
        # Interpolation blurs edges, so compare as a whole.
        overlap = np.corrcoef(found.ravel(), wanted.ravel())[0, 1]
        untouched = np.corrcoef(image.ravel(), wanted.ravel())[0, 1]
        assert overlap > 0.98, (draws, overlap)
        assert overlap > untouched


@pytest.mark.parametrize("kind", CHANGES)
def test_a_resumed_run_sees_the_same_images(kind):
    records = Records(images(23), np.arange(23, dtype=np.int32) % 4)

    def batches(first_epoch, seed=7):
        found = pipeline.training_batches(
            records, 4, 5, seed, first_epoch, 3, kind
        )
        return [(x.numpy(), y.numpy()) for x, y in found]

    whole = batches(0)
    for epoch in (1, 2):
        rest = batches(epoch)
        assert len(rest) == 4 * (3 - epoch)
        for (x, y), (wanted_x, wanted_y) in zip(
            rest, whole[4 * epoch :], strict=True
        ):
            np.testing.assert_array_equal(x, wanted_x)
            np.testing.assert_array_equal(y, wanted_y)
    # The same order, of other images in every epoch and of another seed.
    plain = pipeline.training_batches(records, 4, 5, 7, 0, 3)
    for (_, y), (_, wanted_y) in zip(whole, plain, strict=True):
        np.testing.assert_array_equal(y, wanted_y)
    assert not np.array_equal(whole[0][0], batches(0, seed=8)[0][0])


@pytest.mark.parametrize("kind", CHANGES)
def test_pixels_stay_multiples_of_the_input_s_scale(kind):
    records = Records(images(20), np.zeros(20, np.int32))
    ((x, _),) = pipeline.training_batches(records, 1, 20, 0, 0, 1, kind)
    pixels = x.numpy() * 128 + 128
    np.testing.assert_array_equal(pixels, np.round(pixels))
    assert 0 <= pixels.min() and pixels.max() <= 255
