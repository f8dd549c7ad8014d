# SPDX-License-Identifier: Apache-2.0
"""What all layers with a discrete kernel share."""

import numbers
from typing import Any

import keras
import tensorflow as tf

from gxnor_tf.discrete_space import DiscreteSpace
from gxnor_tf.discrete_variable import DiscreteVariable
from gxnor_tf.initializers import DiscreteUniform

TERNARY = DiscreteSpace(1)


def positive_integer(value: Any, name: str) -> int:
    """Returns `value` as an int, or raises ValueError."""
    if (
        isinstance(value, bool)
        or not isinstance(value, numbers.Integral)
        or value <= 0
    ):
        raise ValueError(
            f"`{name}` must be a positive integer. Received: {name}={value!r}"
        )
    return int(value)


class DiscreteKernelLayer(keras.layers.Layer):
    """A layer `outputs = op(inputs, kernel) + bias` with a discrete kernel.

    A subclass creates its kernel with `add_kernel()` in `build()` and ends
    `call()` with `finish(op(inputs, self.kernel_states()))`. The kernel's unit
    multiplies the *outputs*: the operation itself sees integer weights, so
    that its floating-point sums are exact wherever they can be.

    Args:
        weight_space: `DiscreteSpace` of the kernel; default ternary.
        use_bias: Whether to add a float bias. Off by default: it is redundant
            before BatchNormalization.
        kernel_initializer: Any Keras initializer of values, rounded to the
            nearest states. Default: uniform over the states.
        bias_initializer: Keras initializer of the bias.
        **kwargs: Arguments of every Keras layer (`name`, `dtype`, ...).

    Raises:
        ValueError: For `kernel_regularizer` and `kernel_constraint`, which
            have no meaning for weights that are states.
    """

    def __init__(
        self,
        weight_space: DiscreteSpace | dict[str, Any] = TERNARY,
        use_bias: bool = False,
        kernel_initializer: Any = None,
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        for name in ("kernel_regularizer", "kernel_constraint"):
            if kwargs.pop(name, None) is not None:
                raise ValueError(
                    f"`{name}` has no meaning for discrete weights, which "
                    "are always states of `weight_space`. Remove it from "
                    f"{type(self).__name__}."
                )
        super().__init__(**kwargs)
        self.weight_space = DiscreteSpace.from_config(weight_space)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(
            DiscreteUniform(self.weight_space)
            if kernel_initializer is None
            else kernel_initializer
        )
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel: DiscreteVariable
        self.bias: Any = None

    def add_kernel(self, shape: tuple[int, ...], channels: int) -> None:
        """Creates `kernel` and, if asked for, a `bias` of `channels`."""

        def states(shape: Any, dtype: Any) -> Any:
            values = self.kernel_initializer(shape, dtype="float32")
            return keras.ops.cast(
                self.weight_space.nearest_states(values), dtype
            )

        self.kernel = DiscreteVariable(
            states,
            space=self.weight_space,
            shape=shape,
            name="kernel",
        )
        # Made trainable first: that is how Keras knows that a layer made with
        # `trainable=False` may be thawed later.
        self.kernel.trainable = self.trainable
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(channels,),
                initializer=self.bias_initializer,
            )
            self.bias.trainable = self.trainable

    def kernel_states(self) -> tf.Tensor:
        """The kernel's states in the compute dtype, differentiable."""
        return self.kernel.read_states(self.compute_dtype)

    def as_floating(self, inputs: tf.Tensor) -> tf.Tensor:
        """Inputs in the compute dtype; Keras itself casts floats only."""
        return keras.ops.cast(inputs, self.compute_dtype)

    def finish(self, sums: tf.Tensor) -> tf.Tensor:
        """Turns sums over states into outputs: unit and bias."""
        outputs = sums
        if self.weight_space.unit != 1:
            outputs = outputs * self.weight_space.unit
        if self.bias is not None:
            outputs = keras.ops.add(outputs, self.bias)
        return outputs

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        config: dict[str, Any] = super().get_config()
        return config | {
            "weight_space": self.weight_space.get_config(),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "bias_initializer": keras.initializers.serialize(
                self.bias_initializer
            ),
        }
