# SPDX-License-Identifier: Apache-2.0
"""How the moments of discrete weights are held between two steps.

In few bits a change that is smaller than half a unit would be lost in every
step anew. So it is rounded at random, up with the probability that keeps the
expectation: small changes add up on average.
"""

import abc
import dataclasses
from typing import ClassVar

import tensorflow as tf

from gxnor_tf import random_bits
from gxnor_tf.narrowing import to_int8

# The tensors that hold one moment.
Stored = tuple[tf.Tensor, ...]

# Keeps a moment that is zero everywhere from a division by zero.
_TINY = 1e-30


class MomentFormat(abc.ABC):
    """What the optimizer needs of a format.

    Attributes:
        bytes_per_value: Bytes of a moment per weight.
    """

    bytes_per_value: ClassVar[float]

    @abc.abstractmethod
    def parts(
        self, shape: tuple[int, ...]
    ) -> list[tuple[str, tuple[int, ...], str]]:
        """What holds a moment.

        Args:
            shape: Shape of the weights.

        Returns:
            `(name, shape, dtype)` of each tensor.
        """

    @abc.abstractmethod
    def decode(self, stored: Stored) -> tf.Tensor:
        """The moment as float32, of the shape of the weights.

        Args:
            stored: Tensors as `parts` describes them.
        """

    @abc.abstractmethod
    def encode(self, moment: tf.Tensor, bits: tf.Tensor) -> Stored:
        """Rounds a moment at random; its expectation stays.

        Args:
            moment: float32, finite, of the shape of the weights.
            bits: Random uint32 of that shape.

        Returns:
            Tensors as `parts` describes them.
        """


@dataclasses.dataclass(frozen=True)
class Float32(MomentFormat):
    """As it is."""

    bytes_per_value: ClassVar[float] = 4.0

    def parts(
        self, shape: tuple[int, ...]
    ) -> list[tuple[str, tuple[int, ...], str]]:
        """See `MomentFormat`."""
        return [("values", shape, "float32")]

    def decode(self, stored: Stored) -> tf.Tensor:
        """See `MomentFormat`."""
        return stored[0]

    def encode(self, moment: tf.Tensor, bits: tf.Tensor) -> Stored:
        """See `MomentFormat`."""
        del bits
        return (moment,)


@dataclasses.dataclass(frozen=True)
class BFloat16(MomentFormat):
    """The upper half of a float32: 8 significant bits, the whole range."""

    bytes_per_value: ClassVar[float] = 2.0

    def parts(
        self, shape: tuple[int, ...]
    ) -> list[tuple[str, tuple[int, ...], str]]:
        """See `MomentFormat`."""
        return [("values", shape, "bfloat16")]

    def decode(self, stored: Stored) -> tf.Tensor:
        """See `MomentFormat`."""
        return tf.cast(stored[0], tf.float32)

    def encode(self, moment: tf.Tensor, bits: tf.Tensor) -> Stored:
        """Adds random bits below the last one that stays, and cuts."""
        lower = tf.constant(0xFFFF, tf.uint32)
        word = tf.bitcast(moment, tf.uint32)
        word += tf.bitwise.bitwise_and(bits, lower)
        word = tf.bitwise.bitwise_and(word, tf.bitwise.invert(lower))
        return (tf.cast(tf.bitcast(word, tf.float32), tf.bfloat16),)


@dataclasses.dataclass(frozen=True)
class Integer(MomentFormat):
    """Moments as int8 codes: what is common to both kinds.

    Attributes:
        bits: Bits of a code, 2..8; codes are in -levels..levels with
            `levels = 2^(bits-1) - 1`.
    """

    bits: int = 8
    bytes_per_value: ClassVar[float] = 1.0

    @property
    def levels(self) -> int:
        """The largest code."""
        return (1 << (self.bits - 1)) - 1


@dataclasses.dataclass(frozen=True)
class QuadraticInteger(Integer):
    """int8 codes c of `sign(c) (c / levels)^2 peak`, one peak per tensor.

    Gradients have heavy tails. Squared codes hold the largest moment and are
    still fine where most moments are: near zero their unit is
    `peak / levels^2`.
    """

    def parts(
        self, shape: tuple[int, ...]
    ) -> list[tuple[str, tuple[int, ...], str]]:
        """See `MomentFormat`."""
        return [("codes", shape, "int8"), ("peak", (), "float32")]

    def decode(self, stored: Stored) -> tf.Tensor:
        """See `MomentFormat`."""
        codes, peak = stored
        code = tf.cast(codes, tf.float32)
        return code * tf.abs(code) * (peak / self.levels**2)

    def encode(self, moment: tf.Tensor, bits: tf.Tensor) -> Stored:
        """Rounds to one of the two codes around, keeping the expectation."""
        size = tf.abs(moment)
        peak = tf.maximum(tf.reduce_max(size), 0.0)  # -inf if it is empty
        # In units of peak / levels^2, where codes are roots.
        square = size * (self.levels**2 / (peak + _TINY))
        below = tf.floor(square * tf.math.rsqrt(square + _TINY))
        # The squares of `below` and the next code are 2 below + 1 apart.
        width = 2 * below + 1
        above = random_bits.uniform(bits) * width < square - below * below
        code = tf.minimum(below + tf.cast(above, tf.float32), self.levels)
        return to_int8(tf.sign(moment) * code), peak


@dataclasses.dataclass(frozen=True)
class UniformInteger(Integer):
    """int8 codes c of `c / levels * largest`.

    For moments that have a limit, and are about as often near it as anywhere
    else.

    Attributes:
        largest: The limit, > 0. A moment beyond it is cut off there.
    """

    largest: float = dataclasses.field(kw_only=True)

    def parts(
        self, shape: tuple[int, ...]
    ) -> list[tuple[str, tuple[int, ...], str]]:
        """See `MomentFormat`."""
        return [("codes", shape, "int8")]

    def decode(self, stored: Stored) -> tf.Tensor:
        """See `MomentFormat`."""
        return tf.cast(stored[0], tf.float32) * (self.largest / self.levels)

    def encode(self, moment: tf.Tensor, bits: tf.Tensor) -> Stored:
        """Rounds to one of the two codes around, keeping the expectation."""
        exact = moment * (self.levels / self.largest)
        below = tf.floor(exact)
        above = random_bits.uniform(bits) < exact - below
        code = below + tf.cast(above, tf.float32)
        code = tf.clip_by_value(code, -self.levels, self.levels)
        return (to_int8(code),)


_FLOATS: dict[str, MomentFormat] = {
    "float32": Float32(),
    "bfloat16": BFloat16(),
}
_BITS = {"int8": 8, "int6": 6, "int4": 4}
NAMES = (*_FLOATS, *_BITS)


def get(name: str, largest: float | None = None) -> MomentFormat:
    """The format by name.

    Args:
        name: `"float32"`, `"bfloat16"` or `"int8"`; `"int6"` and `"int4"` are
            int8 tensors with codes of fewer bits, to study how few do.
        largest: What no moment exceeds, > 0, where that is known. Integer
            codes are then spread evenly up to it, instead of quadratically up
            to the largest moment there is.

    Raises:
        ValueError: For an unknown name.

    >>> get("int8").levels
    127
    """
    if not isinstance(name, str) or name not in NAMES:
        raise ValueError(
            f"`moment_dtype` must be one of {sorted(NAMES)}. "
            f"Received: moment_dtype={name!r}"
        )
    if name in _FLOATS:
        return _FLOATS[name]
    if largest is None:
        return QuadraticInteger(_BITS[name])
    return UniformInteger(_BITS[name], largest=largest)
