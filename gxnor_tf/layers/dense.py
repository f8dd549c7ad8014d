# SPDX-License-Identifier: Apache-2.0
"""Fully connected layer with discrete weights."""

from typing import Any

import keras
import tensorflow as tf

from gxnor_tf.layers.base import DiscreteKernelLayer, positive_integer


@keras.saving.register_keras_serializable(package="gxnor_tf")
class DiscreteDense(DiscreteKernelLayer):
    """Densely connected layer whose weights are states of a discrete space.

    `outputs = inputs @ kernel + bias`, where `kernel` is an int8 variable of
    states, trained in place by `gxnor_tf.DiscreteStateTransition`.

    Args:
        units: Number of outputs, > 0.
        weight_space: `DiscreteSpace` of the kernel; default ternary.
        use_bias: Whether to add a float bias; redundant before
            BatchNormalization, hence off by default.
        kernel_initializer: Any Keras initializer of values, rounded to the
            nearest states. Default: uniform over the states.
        bias_initializer: Keras initializer of the bias.
        **kwargs: Arguments of every Keras layer.

    Input shape:
        `(..., depth)`, floating.

    Output shape:
        `(..., units)`, in the layer's compute dtype.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> layer = DiscreteDense(4)
    >>> layer(np.ones((2, 3), "float32")).shape
    TensorShape([2, 4])
    >>> layer.kernel.dtype, sorted(set(layer.get_weights()[0].ravel()))[0] >= -1
    ('int8', np.True_)

    References:

    - [Deng et al., 2018](https://arxiv.org/abs/1705.09283).
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = positive_integer(units, "units")
        self.input_spec = keras.layers.InputSpec(min_ndim=2)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the kernel, `(depth, units)`."""
        depth = input_shape[-1]
        if depth is None:
            raise ValueError(
                f"The last dimension of the input of layer `{self.name}` must "
                f"be known. Received: input_shape={input_shape}"
            )
        self.add_kernel((depth, self.units), self.units)
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: depth})

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Applies the layer."""
        inputs = self.as_floating(inputs)
        return self.finish(keras.ops.matmul(inputs, self.kernel_states()))

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Shape of the output for a shape of the input."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return super().get_config() | {"units": self.units}
