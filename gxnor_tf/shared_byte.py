# SPDX-License-Identifier: Apache-2.0
"""A state and the moment that waits beside it, in the 8 bits of one int8.

With error feedback a moment is never beyond the place where its weight hops.
So both are one number: with `W = 2^(8-n) - 1` codes of the moment for each
step of the space, ::

    byte = W * steps + code        |code| <= (W - 1) / 2

where `steps` is the weight's value in steps of the space (binary: +-1/2, and
half a code is rounded off). A ternary weight leaves 7 bits for the moment, one
of `DiscreteSpace(n)` 8 - n. At the largest state no moment points outward, nor
at the smallest one, which is why all of them fit.
"""

import dataclasses

import tensorflow as tf

from gxnor_tf.discrete_space import DiscreteSpace
from gxnor_tf.narrowing import to_int8

# The moment then has 4 bits, the fewest that were studied.
MAX_N = 4


@dataclasses.dataclass(frozen=True)
class SharedByte:
    """How states of a space share their bytes with moments.

    Args:
        space: Space of the states, of n <= 4.

    Raises:
        ValueError: If its states leave too few bits.

    Example:

    >>> shared = SharedByte(DiscreteSpace(1))
    >>> both = shared.join(tf.constant([1.0, 0.0]), tf.constant([-3.0, 63.0]))
    >>> both.numpy().tolist(), shared.states(both).numpy().tolist()
    ([124, 63], [1.0, 0.0])
    >>> shared.codes(both).numpy().tolist()
    [-3.0, 63.0]
    """

    space: DiscreteSpace

    def __post_init__(self) -> None:
        if self.space.n > MAX_N:
            raise ValueError(
                f"States of `n` <= {MAX_N} have room for a moment in their "
                "bytes; those of more levels leave it fewer than 4 bits. Use "
                "`moment_in_kernel=False`. Received: weight_space="
                f"{self.space}"
            )

    @property
    def bits(self) -> int:
        """Those of a moment."""
        return 8 - self.space.n

    @property
    def levels(self) -> int:
        """The largest code of a moment."""
        return (1 << (self.bits - 1)) - 1

    @property
    def _width(self) -> int:
        """W, bytes by step of the space."""
        return (1 << self.bits) - 1

    def states(self, both: tf.Tensor) -> tf.Tensor:
        """The states in these bytes, as float32."""
        byte = tf.cast(both, tf.float32)
        if self.space.n == 0:
            return tf.sign(byte + 0.5)
        return tf.round(byte * (1 / self._width))

    def codes(self, both: tf.Tensor) -> tf.Tensor:
        """The codes of the moments in these bytes, as float32."""
        return tf.cast(both, tf.float32) - self._center(self.states(both))

    def join(self, states: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
        """States and codes in their bytes.

        Args:
            states: States of the space, as float32.
            codes: Whole numbers in -levels..levels, as float32. One that points
                out of the space becomes 0.

        Returns:
            int8.
        """
        limit = self._center(tf.constant(float(self.space.max_state)))
        lowest = self._center(tf.constant(float(-self.space.max_state)))
        both = self._center(states) + codes
        return to_int8(tf.clip_by_value(both, lowest, limit))

    def _center(self, states: tf.Tensor) -> tf.Tensor:
        """The byte of a state whose moment is 0."""
        return tf.floor(states * (self._width / self.space.state_stride))
