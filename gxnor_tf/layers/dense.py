# SPDX-License-Identifier: Apache-2.0
"""Fully connected layer with discrete weights."""

from typing import Any

import keras
import tensorflow as tf

from gxnor_tf._arguments import integer
from gxnor_tf.layers.base import DiscreteKernelLayer, Shape


@keras.saving.register_keras_serializable(package="gxnor_tf")
class DiscreteDense(DiscreteKernelLayer):
    """Densely connected layer whose weights are states of a discrete space.

    `outputs = inputs @ kernel * scale + bias`, where `kernel` is an int8
    variable of states, trained in place by `gxnor_tf.DiscreteStateTransition`.

    Args:
        units: Number of outputs, > 0.
        weight_space: Space of the kernel: a `DiscreteSpace`, an integer n, or
            None or `"float"` for an ordinary float32 kernel. Default ternary.
        use_bias: Whether to add a float bias; redundant before
            BatchNormalization, hence off by default.
        scale: What multiplies the outputs: nothing (`"none"`), a fixed power
            of two near `1 / sqrt(fan_in * mean(values^2))` (`"fan_in"`), or a
            trained scalar (`"layer"`) or vector (`"channel"`) that starts
            there. In full precision `"none"` only.
        kernel_initializer: Any Keras initializer of values, rounded to the
            nearest states. Default: uniform over the states (full precision:
            glorot_uniform).
        kernel_regularizer: Of a float kernel; refused for a discrete one.
        kernel_constraint: Of a float kernel; refused for a discrete one.
        bias_initializer: Keras initializer of the bias.
        bias_regularizer: Keras regularizer of the bias.
        bias_constraint: Keras constraint of the bias.
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
        self.units = integer(units, "units")
        self.input_spec = keras.layers.InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        """Creates the kernel, `(depth, units)`."""
        if len(input_shape) < 2 or not input_shape[-1]:
            raise ValueError(
                f"The input of layer `{self.name}` must have the shape (batch, "
                "..., depth), with a depth that is known and not 0. Received: "
                f"input_shape={tuple(input_shape)}"
            )
        depth = input_shape[-1]
        self.add_kernel("kernel", (depth, self.units))
        self.add_outputs(self.units, depth)
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: depth})

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Applies the layer."""
        inputs = self.as_floating(inputs)
        sums = self.sums(keras.ops.matmul, inputs, self.read(self.kernel))
        return self.finish(sums)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Shape of the output for a shape of the input."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        return super().get_config() | {"units": self.units}
