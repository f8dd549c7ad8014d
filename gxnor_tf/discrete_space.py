# SPDX-License-Identifier: Apache-2.0
"""The discrete space Z_N of weights and activations.

Deng et al., 2018 (arXiv 1705.09283) put binary, ternary and multi-level
networks into one family: `Z_N = {-H + k * dz, k = 0..2^N}`, `dz = 2H / 2^N`,
with binary `{-H, +H}` for N = 0.
"""

import dataclasses
import math
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from gxnor_tf._arguments import check_number

MAX_N = 7


@dataclasses.dataclass(frozen=True)
class DiscreteSpace:
    """The space Z_N: `2^n + 1` equally spaced values in `[-H, +H]`.

    A member is stored as its integer *state*, which fits an int8. For n >= 1
    the states are `-2^(n-1) .. 2^(n-1)` and `value = state * step`. Binary
    (n = 0) has no zero: its states are -1 and +1.

    Args:
        n: Number of levels as a power of two: 0 is binary {-1, +1}, 1 is
            ternary {-1, 0, +1}, n >= 2 has `2^n + 1` levels. At most 7,
            so that a state fits an int8.
        half_range: H, the largest value. Finite and > 0.

    Raises:
        TypeError: If `n` is not an integer, or `half_range` not a number.
        ValueError: If `n` or `half_range` is out of range.

    Example:

    >>> ternary = DiscreteSpace(1)
    >>> ternary.num_states, ternary.step, ternary.states.tolist()
    (3, 1.0, [-1, 0, 1])
    >>> DiscreteSpace(2).values.tolist()
    [-1.0, -0.5, 0.0, 0.5, 1.0]
    >>> DiscreteSpace(0).states.tolist()
    [-1, 1]

    References:

    - [Deng et al., 2018](https://arxiv.org/abs/1705.09283), section 2.
    """

    n: int
    half_range: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(
            self.n, (int, np.integer)
        ):
            raise TypeError(f"`n` must be an integer. Received: n={self.n!r}")
        if not 0 <= self.n <= MAX_N:
            raise ValueError(
                f"`n` must be in 0..{MAX_N}, so that a state fits an int8 "
                "(0 is binary, 1 is ternary, n gives 2^n + 1 levels). "
                f"Received: n={self.n}"
            )
        check_number(self.half_range, "half_range")
        if not (math.isfinite(self.half_range) and self.half_range > 0):
            raise ValueError(
                "`half_range` must be a finite number > 0. "
                f"Received: half_range={self.half_range}"
            )
        # The values are float32; keep all of them normal numbers.
        if not 1e-30 <= self.half_range <= 1e30:
            raise ValueError(
                "`half_range` must be in 1e-30..1e30. "
                f"Received: half_range={self.half_range}"
            )
        object.__setattr__(self, "n", int(self.n))
        object.__setattr__(self, "half_range", float(self.half_range))

    @property
    def num_states(self) -> int:
        """How many states the space has."""
        return 2 if self.n == 0 else 2**self.n + 1

    @property
    def max_state(self) -> int:
        """The largest state; the smallest is its negative."""
        return 1 if self.n == 0 else 2 ** (self.n - 1)

    @property
    def state_stride(self) -> int:
        """Distance of neighbouring states: 2 for binary, which has no zero."""
        return 2 if self.n == 0 else 1

    @property
    def unit(self) -> float:
        """The value of state 1, so that `value = state * unit`."""
        return self.half_range / self.max_state

    @property
    def step(self) -> float:
        """Delta z, the distance of neighbouring values: `2H / 2^n`."""
        return self.unit * self.state_stride

    @property
    def states(self) -> npt.NDArray[np.int8]:
        """All states in ascending order, int8 array `(num_states,)`."""
        first, last = -self.max_state, self.max_state
        return np.arange(first, last + 1, self.state_stride).astype(np.int8)

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """All values in ascending order, float32 array `(num_states,)`."""
        return (self.states * self.unit).astype(np.float32)

    def contains(self, states: npt.ArrayLike) -> bool:
        """Whether every element of `states` is a state of this space.

        >>> DiscreteSpace(1).contains([-1, 0, 1, 2])
        False
        """
        return bool(np.isin(np.asarray(states), self.states).all())

    def nearest_states(self, values: Any) -> Any:
        """Rounds values to the nearest states, clipped to the space.

        A value halfway between two states goes to the larger one.

        Args:
            values: Array or floating tensor of any shape.

        Returns:
            int8 tensor of states, of the same shape. NaN in a tensor of a
            graph gives 0 (binary: -1).

        Raises:
            ValueError: If an element is not finite, outside of graphs.

        >>> DiscreteSpace(1).nearest_states([-3.0, -0.2, 0.7]).numpy().tolist()
        [-1, 0, 1]
        """
        if not keras.ops.is_tensor(values):
            values = np.asarray(values, np.float32)
        if not tf.is_symbolic_tensor(values):
            finite = np.isfinite(np.asarray(values, np.float32))
            if not finite.all():
                raise ValueError(
                    "`values` must be finite to have a nearest state. Received "
                    f"{np.count_nonzero(~finite)} NaN or infinite elements."
                )
        index = keras.ops.floor((values + self.half_range) / self.step + 0.5)
        middle = (self.num_states - 1) // 2
        index = keras.ops.where(keras.ops.isnan(index), middle, index)
        index = keras.ops.clip(index, 0, self.num_states - 1)
        state = index * self.state_stride - self.max_state
        return keras.ops.cast(state, "int8")

    def get_config(self) -> dict[str, Any]:
        """The arguments, as a JSON-compatible dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(
        cls, config: "DiscreteSpace | dict[str, Any]"
    ) -> "DiscreteSpace":
        """Makes a space from `get_config()`; a space is returned as it is.

        Raises:
            TypeError: If it is neither a dict nor a space.
            ValueError: If a dict has other keys than `n` and `half_range`.
        """
        if isinstance(config, cls):
            return config
        if isinstance(config, dict):
            if not {"n"} <= config.keys() <= {"n", "half_range"}:
                raise ValueError(
                    "A dict that is a discrete space has the keys 'n' and "
                    f"'half_range'. Received: {config!r}"
                )
            return cls(**config)
        raise TypeError(
            "A discrete space must be given as `DiscreteSpace(n)`. "
            f"Received: {config!r}"
        )


TERNARY = DiscreteSpace(1)


def get_space(identifier: Any) -> DiscreteSpace | None:
    """Resolves what the user may give as a space of weights or activations.

    Args:
        identifier: A `DiscreteSpace`, its `get_config()`, an integer n in
            0..7 (with `half_range=1`), or `None` or `"float"` for full
            precision.

    Returns:
        The `DiscreteSpace`, or None for full precision.

    Raises:
        TypeError: If `identifier` is nothing of that kind.
        ValueError: If `n` or `half_range` is out of range, or a dict is no
            `get_config()`.

    Example:

    >>> get_space(2)
    DiscreteSpace(n=2, half_range=1.0)
    >>> get_space("float") is None
    True
    """
    if identifier is None:
        return None
    if isinstance(identifier, str) and identifier == "float":
        return None
    if isinstance(identifier, (int, np.integer)) and not isinstance(
        identifier, bool
    ):
        return DiscreteSpace(int(identifier))
    if isinstance(identifier, (DiscreteSpace, dict)):
        return DiscreteSpace.from_config(identifier)
    raise TypeError(
        "A space must be a `DiscreteSpace`, an integer n (0 binary, 1 ternary, "
        "n has 2^n + 1 levels), or None or 'float' for full precision. "
        f"Received: {identifier!r}"
    )
