# SPDX-License-Identifier: Apache-2.0
"""Initial values for discrete kernels.

A discrete layer takes any Keras initializer of *values* and rounds what it
gives to the nearest states; the one below is uniform over the states.
"""

from typing import Any

import keras

from gxnor_tf.discrete_space import DiscreteSpace, get_space


@keras.saving.register_keras_serializable(package="gxnor_tf")
class DiscreteUniform(keras.initializers.RandomUniform):
    """Draws every value of a discrete space with equal probability.

    For ternary weights that is one third each. The reference code of Deng et
    al., 2018 starts MNIST's weights from 1/4, 1/2, 1/4 instead, which is
    `keras.initializers.RandomUniform(-1, 1)`, rounded.

    Args:
        space: The space, a `DiscreteSpace` (or its `get_config()`, or n).
        seed: An integer, a `keras.random.SeedGenerator` or None (random), as
            for every Keras initializer.

    Raises:
        ValueError: If `space` is None, full precision.

    Example:

    >>> values = DiscreteUniform(DiscreteSpace(1), seed=0)((100,))
    >>> sorted(set(values.numpy().tolist()))
    [-1.0, 0.0, 1.0]
    """

    def __init__(
        self, space: DiscreteSpace | dict[str, Any] | int, seed: Any = None
    ) -> None:
        resolved = get_space(space)
        if resolved is None:
            raise ValueError(
                "`space` must be discrete: full precision has no states to "
                "draw from. Use an initializer of Keras for float weights. "
                f"Received: space={space!r}"
            )
        self.space = resolved
        edge = self.space.half_range + self.space.step / 2
        super().__init__(-edge, edge, seed)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Draws values of the given shape."""
        values = super().__call__(shape, "float32")
        states = self.space.nearest_states(values)
        return keras.ops.multiply(
            keras.ops.cast(states, dtype or keras.backend.floatx()),
            self.space.unit,
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        seed = super().get_config()["seed"]
        return {"space": self.space.get_config(), "seed": seed}
