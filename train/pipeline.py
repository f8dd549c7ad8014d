# SPDX-License-Identifier: Apache-2.0
"""From records to batches: deterministic, and resumable at any epoch."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from train import augmentation
from train.records import Records

EVALUATION_BATCH_SIZE = 500


def training_batches(
    records: Records,
    num_classes: int,
    batch_size: int,
    seed: int,
    first_epoch: int,
    epochs: int,
    changes: str = "none",
    off_value: float = -1.0,
) -> tf.data.Dataset:
    """Batches of all remaining epochs, one after the other.

    The order of an epoch and the changes of its images depend on the seed and
    its number only, so a run that is resumed sees the same batches as one
    that never stopped. What does not fill a batch at the end of an epoch is
    left out; it is other records in every epoch.

    Args:
        records: What to train on.
        num_classes: Number of classes.
        batch_size: Records per batch.
        seed: Seed of the order.
        first_epoch: Number of the first epoch, from 0.
        epochs: Number of epochs of the whole run.
        changes: What is done to the images, a kind of `augmentation`.
        off_value: As in `targets()`.

    Returns:
        A dataset of `(epochs - first_epoch) * (len(records) // batch_size)`
        pairs of `normalized(images)` and `targets(labels)`.
    """
    size = len(records)
    used = size - size % batch_size
    # Where the pipeline runs; a data set need not fit a GPU's memory.
    with tf.device("CPU:0"):
        images = tf.constant(records.images)
        labels = tf.constant(records.labels)

    def order(epoch: tf.Tensor) -> tf.data.Dataset:
        indices = tf.random.experimental.stateless_shuffle(
            tf.range(size), tf.stack([tf.constant(seed, tf.int64), epoch])
        )
        numbers = augmentation.draws(used, seed, epoch)
        return tf.data.Dataset.from_tensor_slices((indices[:used], numbers))

    def gather(
        indices: tf.Tensor, numbers: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        chosen = tf.gather(images, indices)
        return (
            normalized(augmentation.augmented(changes, chosen, numbers)),
            targets(tf.gather(labels, indices), num_classes, off_value),
        )

    return untuned(
        tf.data.Dataset.range(first_epoch, epochs)
        .flat_map(order)
        .batch(batch_size, drop_remainder=True)
        .map(gather)
        .prefetch(4)
    )


def evaluation_batches(
    records: Records, num_classes: int, off_value: float = -1.0
) -> tf.data.Dataset:
    """All records once, in order, as `training_batches` gives them."""
    return untuned(
        tf.data.Dataset.from_tensor_slices((records.images, records.labels))
        .batch(EVALUATION_BATCH_SIZE)
        .map(lambda x, y: (normalized(x), targets(y, num_classes, off_value)))
        .prefetch(4)
    )


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset without tf.data's thread that tunes it.

    It sleeps for ever longer, up to a minute, and whoever drops the dataset
    waits for it to wake: `fit` at its end. Here it has nothing to tune.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def normalized(images: tf.Tensor) -> tf.Tensor:
    """`(p - 128) / 128` as float32.

    The scale is a power of two, so the input of an exported model,
    `int8_inputs(images)` with scale 1/128, is exactly the same number.
    """
    return (tf.cast(images, tf.float32) - 128.0) / 128.0


def int8_inputs(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """`p - 128`, which an exported model takes for `normalized(images)`."""
    return (images.astype(np.int16) - 128).astype(np.int8)


def targets(
    labels: tf.Tensor, num_classes: int, off_value: float = -1.0
) -> tf.Tensor:
    """One row per label, float32: 1 for its class, `off_value` elsewhere.

    The squared hinge loss wants -1 there, cross entropy 0.
    """
    return tf.one_hot(labels, num_classes, off_value=off_value)
