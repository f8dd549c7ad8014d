# SPDX-License-Identifier: Apache-2.0
"""Random changes of training images, each image by draws of its own.

The draws of an epoch depend on the seed, the epoch and the record's place in
the epoch only, not on the batch or on what was drawn before, so a resumed run
goes on exactly as one that never stopped. Pixels stay uint8: what an exact
first layer needs of its input holds for augmented images too.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

# How far `shift` and `affine` move a digit, in pixels.
MAX_SHIFT = 2
# How far `affine` turns a digit, in degrees, and scales it.
MAX_DEGREES = 10.0
SCALES = (0.9, 1.1)
# How many pixels `crop_flip` adds on each side before it crops.
CROP_PADDING = 4

# What comes in from outside of an image: the black background of digits, and
# mid-grey, which is 0 for the network.
BLACK = 0
GREY = 128

# Uniform numbers in [0, 1) per image; no kind uses more.
_DRAWS = 4
# Tells the draws from the order of the epoch, which has the same seed.
_STREAM = 1


def draws(size: int, seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """The random numbers of an epoch.

    Args:
        size: Number of records in the epoch.
        seed: Seed of the run.
        epoch: Number of the epoch, an int64 scalar.

    Returns:
        float32 tensor `(size, 4)` of uniform numbers in [0, 1); row i is for
        the record in place i.
    """
    key = tf.stack([tf.constant(seed, tf.int64), epoch])
    return tf.random.stateless_uniform(
        (size, _DRAWS),
        tf.random.experimental.stateless_fold_in(key, _STREAM),
        alg="philox",  # the same on every device
    )


def augmented(kind: str, images: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """Images, each changed as its random numbers say.

    Args:
        kind: A key of `KINDS`: `"none"`; `"shift"` by up to 2 whole pixels;
            `"affine"`, which shifts by up to 2 pixels, then turns by up to 10
            degrees and scales by 0.9 to 1.1, with bilinear interpolation; or
            `"crop_flip"`, which crops from the image padded by 4 pixels and
            mirrors left and right with probability 1/2.
        images: uint8 tensor `(batch, height, width, channels)`.
        numbers: `(batch, 4)`, rows of `draws()`.

    Returns:
        uint8 tensor like `images`.

    Example:

    >>> image = tf.constant(np.arange(9, dtype=np.uint8).reshape(1, 3, 3, 1))
    >>> moved = augmented("shift", image, tf.constant([[0.9, 0.5, 0, 0]]))
    >>> moved[0, :, :, 0].numpy().tolist()
    [[0, 0, 0], [0, 0, 0], [0, 1, 2]]
    """
    return KINDS[kind](images, numbers)


def _unchanged(images: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    return images


def _shift(images: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    return _crop(images, numbers, MAX_SHIFT, BLACK)


def _crop_flip(images: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    return _crop(images, numbers, CROP_PADDING, GREY, numbers[:, 2] < 0.5)


def _crop(
    images: tf.Tensor,
    numbers: tf.Tensor,
    padding: int,
    fill: int,
    flipped: tf.Tensor | None = None,
) -> tf.Tensor:
    """A window of each padded image, mirrored where asked for."""
    height, width = images.shape[1:3]
    around = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
    padded = tf.pad(images, around, constant_values=fill)
    # A large first number moves down, a large second one right.
    starts = 2 * padding - tf.cast(numbers[:, :2] * (2 * padding + 1), tf.int32)
    rows = starts[:, :1] + tf.range(height)
    columns = starts[:, 1:] + tf.range(width)
    if flipped is not None:
        columns = tf.where(flipped[:, None], columns[:, ::-1], columns)
    cropped = tf.gather(padded, rows, axis=1, batch_dims=1)
    return tf.gather(cropped, columns, axis=2, batch_dims=1)


def _affine(images: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    height, width = images.shape[1:3]
    sizes = tf.constant([height, width], tf.float32)
    signed = 2.0 * numbers - 1.0
    angle = signed[:, 0] * (MAX_DEGREES * np.pi / 180.0)
    scale = SCALES[0] + numbers[:, 1] * (SCALES[1] - SCALES[0])
    shift = signed[:, 2:] * MAX_SHIFT
    # Output (x, y) shows input (a x + b y + c, d x + e y + f): shifted, then
    # turned and scaled about the centre of the image.
    a = tf.cos(angle) / scale
    b = tf.sin(angle) / scale
    middle_y, middle_x = (sizes[0] - 1) / 2, (sizes[1] - 1) / 2
    c = middle_x - a * middle_x - b * middle_y + shift[:, 0]
    f = middle_y + b * middle_x - a * middle_y + shift[:, 1]
    zero = tf.zeros_like(a)
    changed = keras.ops.image.affine_transform(
        tf.cast(images, tf.float32),
        tf.stack([a, b, c, -b, a, f, zero, zero], axis=1),
        interpolation="bilinear",
        fill_mode="constant",
        fill_value=BLACK,
        data_format="channels_last",
    )
    return tf.cast(tf.round(changed), tf.uint8)


KINDS: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "none": _unchanged,
    "shift": _shift,
    "affine": _affine,
    "crop_flip": _crop_flip,
}
