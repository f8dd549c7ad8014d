# SPDX-License-Identifier: Apache-2.0
"""Turns what stands between a sum and its activation into integer thresholds.

Batch normalisation, a scale, a max-pool and a discrete activation are together
a monotone function of the integer sum, so they are a staircase: a few integer
thresholds per channel. They are found by bisection over the sum with the
Keras layers themselves: whatever their float32 arithmetic gives, the
thresholds give.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from gxnor_tf.layers import DiscreteActivation, MaxPooling2D

from ..program import Affine, Float32Array, Int32Array, Thresholds


@dataclasses.dataclass(frozen=True)
class SumFunction:
    """What Keras makes of an integer sum, one channel independent of another.

    Attributes:
        first: Float32 sums to the output of the layer that has them.
        affines: The same as float32 steps.
        rank: Rank of that output in Keras, the batch included.
        steps: The layers behind it, in order: BatchNormalization, ReLU,
            max-pools, and last possibly a DiscreteActivation.
    """

    first: Callable[[tf.Tensor], tf.Tensor]
    affines: tuple[Affine, ...]
    rank: int
    steps: tuple[keras.layers.Layer, ...] = ()

    def then(self, layer: keras.layers.Layer) -> "SumFunction":
        """The function with one more layer behind it."""
        return dataclasses.replace(self, steps=(*self.steps, layer))

    @property
    def pools(self) -> list[int]:
        """Where max-pools stand in `steps`."""
        return [
            number for number, layer in enumerate(self.steps) if is_pool(layer)
        ]


@dataclasses.dataclass(frozen=True, eq=False)
class Staircase:
    """A sum function in integers.

    Attributes:
        thresholds: Those of the rising function, see below.
        negated: bool `(channels,)`: where they hold for the negated sums.
        flipped: bool `(channels,)`: where they give the negated activation.
            The max-pool stands before a falling function there: the minimum
            of the activations is wanted, which is the negative of the maximum
            of the negated ones.
    """

    thresholds: Thresholds
    negated: npt.NDArray[np.bool_]
    flipped: npt.NDArray[np.bool_]


def is_pool(layer: keras.layers.Layer) -> bool:
    """Whether a layer is a max-pool, which commutes with rising functions."""
    return type(layer) in (
        MaxPooling2D,
        keras.layers.MaxPooling1D,
        keras.layers.MaxPooling2D,
    )


def find(function: SumFunction, channels: int, bound: int) -> Staircase:
    """Finds the staircase of a function that ends in a DiscreteActivation.

    Args:
        function: With at most one pool among its steps.
        channels: Number of channels.
        bound: No sum is larger in magnitude.

    Returns:
        The staircase for all sums in `[-bound, bound]`; a threshold that no
        sum reaches is `bound + 1`, one that all reach `-bound`.
    """
    activation = function.steps[-1]
    assert isinstance(activation, DiscreteActivation)
    space = activation.space
    assert space is not None
    before, after = function.steps, ()
    for place in function.pools:
        before, after = function.steps[:place], function.steps[place + 1 :]

    def to_pool(sums: Int32Array) -> Float32Array:
        x = tf.constant(sums, tf.float32)
        return _apply(before, function.first(_spread(x, function.rank)))

    def from_pool(reals: Float32Array) -> Float32Array:
        return _apply(after, _spread(tf.constant(reals), function.rank))

    def states(sums: Int32Array) -> Int32Array:
        reals = from_pool(to_pool(sums)) if function.pools else to_pool(sums)
        return np.asarray(np.rint(reals / np.float32(space.unit)), np.int32)

    limit = np.full((1, channels), bound, np.int32)
    low, high = to_pool(-limit)[0], to_pool(limit)[0]
    negated = high < low
    flipped = np.zeros(channels, bool)
    if function.pools:
        ends = from_pool(
            np.stack([np.minimum(low, high), np.maximum(low, high)])
        )
        flipped = ends[1] < ends[0]
    sum_sign = np.where(negated, -1, 1).astype(np.int32)
    sign = np.where(flipped, -1, 1).astype(np.int32)

    number = space.num_states - 1
    levels = space.states[1:].astype(np.int32)[:, None]
    below = np.full((number, channels), -bound - 1, np.int64)
    reached = np.full((number, channels), bound + 1, np.int64)
    while (reached - below > 1).any():
        middle = (below + reached) // 2
        probe = np.clip(middle, -bound, bound).astype(np.int32)
        high_enough = states(probe * sum_sign) * sign >= levels
        open_ = reached - below > 1
        reached = np.where(open_ & high_enough, middle, reached)
        below = np.where(open_ & ~high_enough, middle, below)
    thresholds = Thresholds(reached.astype(np.int32), space.state_stride)
    return Staircase(thresholds, negated, flipped)


def normalization_affines(layer: keras.layers.Layer) -> tuple[Affine, Affine]:
    """The two float32 steps of a BatchNormalization, as Keras computes them."""
    factor = tf.math.rsqrt(layer.moving_variance + layer.epsilon)
    if layer.scale:
        factor = factor * layer.gamma
    shift = -layer.moving_mean * factor
    if layer.center:
        shift = layer.beta + shift
    return (
        Affine("multiply", np.asarray(factor, np.float32)),
        Affine("add", np.asarray(shift, np.float32)),
    )


def _apply(steps: Sequence[Any], x: tf.Tensor) -> Float32Array:
    """The values `(points, channels)` behind some layers."""
    for layer in steps:
        x = layer(x, training=False)
    values: Float32Array = np.asarray(x, np.float32)
    return values.reshape(len(values), -1)


def _spread(x: tf.Tensor, rank: int) -> tf.Tensor:
    """Values `(points, channels)` in the rank that the layers know."""
    points, channels = x.shape
    return tf.reshape(x, (points, *[1] * (rank - 2), channels))
