# SPDX-License-Identifier: Apache-2.0
"""Activation layer with discrete values."""

from typing import Any

import keras
import tensorflow as tf

from gxnor_tf import activations
from gxnor_tf.discrete_space import TERNARY, DiscreteSpace, get_space
from gxnor_tf.layers import bfloat16_products


@keras.saving.register_keras_serializable(package="gxnor_tf")
class DiscreteActivation(keras.layers.Layer):
    """Rounds its input to the values of a discrete space.

    The forward and pseudo-gradient formulas are those of
    `gxnor_tf.activations.discretize`. In full precision (`space=None`) the
    layer is ReLU, as in the published nets with binary or ternary weights and
    float activations.

    Args:
        space: Space of the output: a `DiscreteSpace`, an integer n (0 binary,
            1 ternary, ...), or None or `"float"` for ReLU. Default ternary.
        zero_window: r, half-width of the interval that becomes zero. Default
            `half_range / 2` (0.5 for most spaces), for a binary space 0; ReLU
            has none.
        derivative: `"rectangular"` or `"triangular"`; ReLU has its own.
        derivative_width: a, half-width of the pulse around each jump; not
            used by ReLU.
        **kwargs: Arguments of every Keras layer.

    Input shape:
        Any; integers are cast to the layer's compute dtype.

    Output shape:
        Same as the input.

    Raises:
        TypeError: If `space` is not a space, or an argument has the wrong type.
        ValueError: If an argument is out of range.

    Example:

    >>> DiscreteActivation()(np.array([-2.0, 0.3, 0.8])).numpy().tolist()
    [-1.0, 0.0, 1.0]
    >>> DiscreteActivation("float")(np.array([-2.0, 0.5])).numpy().tolist()
    [0.0, 0.5]

    References:

    - [Deng et al., 2018](https://arxiv.org/abs/1705.09283), section 2.3.
    """

    def __init__(
        self,
        space: DiscreteSpace | dict[str, Any] | int | str | None = TERNARY,
        zero_window: float | None = None,
        derivative: activations.Derivative = "rectangular",
        derivative_width: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.space = get_space(space)
        if self.space is None:
            if zero_window is not None:
                raise ValueError(
                    "`zero_window` must be left out in full precision, where "
                    "the activation is ReLU; or give a discrete `space`. "
                    f"Received: zero_window={zero_window}, space={space!r}"
                )
        elif zero_window is None:
            zero_window = activations.default_zero_window(self.space)
        # What ReLU does not use is checked all the same.
        activations.validate(
            self.space or TERNARY,
            0.0 if zero_window is None else zero_window,
            derivative,
            derivative_width,
        )
        self.zero_window = zero_window
        self.derivative = derivative
        self.derivative_width = derivative_width
        self.supports_masking = True
        self.built = True

    def call(
        self, inputs: tf.Tensor, training: bool | None = None
    ) -> tf.Tensor:
        """Applies the activation; in training the layers behind it know."""
        # Keras itself casts floats only.
        inputs = keras.ops.cast(inputs, self.compute_dtype)
        if self.space is None:
            return keras.ops.relu(inputs)
        # What is converted or exported is, as a rule, not called in training.
        training = bool(training)
        outputs = activations.discretize(
            inputs,
            self.space,
            self.zero_window,
            self.derivative,
            self.derivative_width,
            training=training,
        )
        if training:
            bfloat16_products.mark(outputs, self.space)
        return outputs

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """The shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        config: dict[str, Any] = super().get_config()
        return config | {
            "space": self.space and self.space.get_config(),
            "zero_window": self.zero_window,
            "derivative": self.derivative,
            "derivative_width": self.derivative_width,
        }
