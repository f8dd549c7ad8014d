# SPDX-License-Identifier: Apache-2.0
"""Layers with latent weights: what discrete weights are compared with.

Quantization-aware training keeps a float32 weight beside each discrete one.
Every step rounds it, passes the gradient of the rounded weight straight
through, and lets an ordinary optimizer change the float.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

import gxnor_tf
from gxnor_tf import DiscreteSpace


@keras.saving.register_keras_serializable(package="gxnor_tf_train")
class ClipTo(keras.constraints.Constraint):
    """Clips weights to `[-half_range, half_range]` after each step.

    A latent weight far outside would not hear of its gradient for long.

    Args:
        half_range: The largest size, > 0.
    """

    def __init__(self, half_range: float) -> None:
        self.half_range = half_range

    def __call__(self, w: Any) -> Any:
        """The clipped weights."""
        return keras.ops.clip(w, -self.half_range, self.half_range)

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return {"half_range": self.half_range}


def initializer(
    space: DiscreteSpace, initial_weights: str
) -> keras.initializers.Initializer:
    """Latent weights that round to the states DST would start with.

    Args:
        space: The space.
        initial_weights: `"uniform"` over the states, or `"rounded"` from
            uniform values in [-1, 1].
    """
    # Values beyond the outer states are theirs, and clipped in the first step.
    edge = 1.0
    if initial_weights == "uniform":
        edge = space.half_range + space.step / 2
    return keras.initializers.RandomUniform(-edge, edge)


def rounded(latent: tf.Tensor, space: DiscreteSpace) -> tf.Tensor:
    """The values nearest to latent weights; the gradient goes straight through.

    Args:
        latent: float32 tensor of any shape.
        space: The space of the values.

    Example:

    >>> rounded(tf.constant([-0.7, 0.2, 5.0]), DiscreteSpace(1)).numpy()
    array([-1.,  0.,  1.], dtype=float32)
    """

    @tf.custom_gradient
    def straight_through(x: tf.Tensor) -> Any:
        states = space.nearest_states(x)
        return tf.cast(states, x.dtype) * space.unit, lambda upstream: upstream

    return straight_through(tf.convert_to_tensor(latent))


class LatentKernel:
    """Makes a layer of `gxnor_tf` read its float kernel rounded.

    To stand before a layer class among the bases.

    Args:
        latent_space: Space to which the kernel is rounded.
        **kwargs: Arguments of the layer.
    """

    def __init__(
        self,
        *args: Any,
        latent_space: DiscreteSpace | dict[str, Any],
        **kwargs: Any,
    ) -> None:
        space = DiscreteSpace.from_config(latent_space)
        kwargs |= {
            "weight_space": None,
            "kernel_constraint": ClipTo(space.half_range),
        }
        super().__init__(*args, **kwargs)
        self.latent_space = space

    def read(self, kernel: Any) -> tf.Tensor:
        """The rounded kernel."""
        return rounded(super().read(kernel), self.latent_space)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        config: dict[str, Any] = super().get_config()  # type: ignore[misc]
        return config | {"latent_space": self.latent_space.get_config()}


@keras.saving.register_keras_serializable(package="gxnor_tf_train")
class LatentDense(LatentKernel, gxnor_tf.DiscreteDense):
    """`DiscreteDense` of rounded float32 weights.

    Example:

    >>> layer = LatentDense(4, latent_space=DiscreteSpace(1))
    >>> layer(np.ones((2, 3), "float32")).shape
    TensorShape([2, 4])
    >>> layer.kernel.dtype
    'float32'
    """


@keras.saving.register_keras_serializable(package="gxnor_tf_train")
class LatentConv2D(LatentKernel, gxnor_tf.DiscreteConv2D):
    """`DiscreteConv2D` of rounded float32 weights."""


def states_of(layer: keras.layers.Layer) -> list[Any]:
    """The weights of a layer, latent ones as int8 states."""
    weights = layer.get_weights()
    if isinstance(layer, LatentKernel):
        weights[0] = np.asarray(layer.latent_space.nearest_states(weights[0]))
    return weights
