# SPDX-License-Identifier: Apache-2.0
"""What all layers with a discrete kernel share."""

import math
from typing import Any, ClassVar, Literal, get_args

import keras
import numpy as np
import tensorflow as tf

from gxnor_tf.discrete_space import TERNARY, DiscreteSpace, get_space
from gxnor_tf.discrete_variable import DiscreteVariable
from gxnor_tf.initializers import DiscreteUniform
from gxnor_tf.layers import bfloat16_products
from gxnor_tf.shared_byte import SharedByte
from gxnor_tf.shared_variable import SharedVariable

Scale = Literal["none", "fan_in", "layer", "channel"]
Shape = tuple[int | None, ...]

# Name of the entry of a weights file that holds n and half_range.
_SPACE = "weight_space"


class DiscreteKernelLayer(keras.layers.Layer):
    """A layer `outputs = op(inputs, kernel) * scale + bias`.

    A subclass creates its kernels with `add_kernel()` and what follows the
    sums with `add_outputs()` in `build()`, and ends `call()` with
    `finish(op(inputs, self.read(self.kernel)))`, or with `sums(op, ...)` where
    bfloat16 may be used. The kernel's unit multiplies the *outputs*: the
    operation itself sees integer weights, so that its floating-point sums are
    exact wherever they can be. Only in float16, whose largest number is 65504,
    does it multiply the kernel: sums over the states of many levels would
    overflow.

    Every kernel has the arguments `<prefix>_initializer`,
    `<prefix>_regularizer` and `<prefix>_constraint`, as in the Keras layer of
    the same name; the prefixes are in `kernel_prefixes`.

    Args:
        weight_space: Space of the weights: a `DiscreteSpace`, an integer n (0
            binary, 1 ternary, ...), or None or `"float"` for an ordinary
            float32 kernel. Default ternary.
        use_bias: Whether to add a float bias. Off by default: it is redundant
            before BatchNormalization.
        bias_initializer: Keras initializer of the bias.
        bias_regularizer: Keras regularizer of the bias.
        bias_constraint: Keras constraint of the bias.
        scale: What the outputs are multiplied with before the bias is added.
            `"none"`; `"fan_in"`, the power of two nearest to
            `1 / sqrt(fan_in * mean(values^2))`, which gives outputs of about
            the inputs' size and keeps sums exact; `"layer"` or `"channel"`,
            a trained float32 scalar or one per output channel, which starts
            there.
        moment_in_kernel: Whether the bytes of the weights have room for the
            moment of error feedback, so that training takes 1 byte by weight
            instead of 2. It has 8 - n bits there (binary: 8, ternary: 7), so
            that n must be <= 4. The kernel reads, assigns and is saved as its
            states all the same; only `kernel.value`, and what takes that, see
            `gxnor_tf.shared_variable`, is the bytes. One optimizer trains
            them at a time: another one, when it is built, begins without
            moments.
        activation: Not supported; None.
        **kwargs: `kernel_initializer` (any Keras initializer of values,
            rounded to the nearest states; default uniform over the states,
            glorot_uniform in full precision), `kernel_regularizer` and
            `kernel_constraint` (in full precision only), and the arguments of
            every Keras layer (`name`, `dtype`, ...).

    Raises:
        TypeError: If `weight_space` is not a space.
        ValueError: For `kernel_regularizer` and `kernel_constraint`, which
            have no meaning for weights that are states; for `activation`; for
            a `scale` that is unknown or given in full precision; for
            `moment_in_kernel` in full precision or with n > 4.
    """

    kernel_prefixes: ClassVar[tuple[str, ...]] = ("kernel",)

    def __init__(
        self,
        weight_space: DiscreteSpace
        | dict[str, Any]
        | int
        | str
        | None = TERNARY,
        use_bias: bool = False,
        bias_initializer: Any = "zeros",
        bias_regularizer: Any = None,
        bias_constraint: Any = None,
        scale: Scale = "none",
        moment_in_kernel: bool = False,
        activation: Any = None,
        **kwargs: Any,
    ) -> None:
        kind = type(self).__name__
        space = get_space(weight_space)
        if activation is not None:
            raise ValueError(
                f"`activation` is not an argument of {kind}: use "
                "DiscreteActivation, a layer of its own, usually after "
                f"BatchNormalization. Received: activation={activation!r}"
            )
        if scale not in get_args(Scale):
            raise ValueError(
                f"`scale` must be one of {get_args(Scale)}. "
                f"Received: scale={scale!r}"
            )
        if space is None and scale != "none":
            raise ValueError(
                '`scale` must be "none" in full precision, where the weights '
                f"have a scale of their own. Received: scale={scale!r}, "
                f"weight_space={weight_space!r}"
            )
        if moment_in_kernel:
            if space is None:
                raise ValueError(
                    "`moment_in_kernel` must be False in full precision, whose "
                    "weights have no hops to wait for. Received: "
                    f"moment_in_kernel={moment_in_kernel!r}, "
                    f"weight_space={weight_space!r}"
                )
            SharedByte(space)  # Refuses what leaves too little room.
        of_kernels = {
            name: kwargs.pop(name, None)
            for prefix in self.kernel_prefixes
            for name in (
                f"{prefix}_initializer",
                f"{prefix}_regularizer",
                f"{prefix}_constraint",
            )
        }
        super().__init__(**kwargs)
        self.weight_space = space
        self.use_bias = use_bias
        self.scale = scale
        self.moment_in_kernel = bool(moment_in_kernel)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        for name, value in of_kernels.items():
            setattr(self, name, self._kernel_argument(name, value))
        self.bias: Any = None
        self.output_scale: Any = None
        self._bfloat16_products = bfloat16_products.are_enabled()

    def _kernel_argument(self, name: str, value: Any) -> Any:
        if name.endswith("_initializer"):
            if value is None:
                value = (
                    "glorot_uniform"
                    if self.weight_space is None
                    else DiscreteUniform(self.weight_space)
                )
            return keras.initializers.get(value)
        if value is not None and self.weight_space is not None:
            raise ValueError(
                f"`{name}` has no meaning for discrete weights, which are "
                "always states of `weight_space`. Remove it from "
                f"{type(self).__name__}, or use weight_space=None."
            )
        if name.endswith("_regularizer"):
            return keras.regularizers.get(value)
        return keras.constraints.get(value)

    def add_kernel(
        self, name: str, shape: tuple[int, ...], prefix: str = "kernel"
    ) -> None:
        """Creates the weights `self.<name>`, discrete or float.

        Args:
            name: Name of the attribute and of the variable.
            shape: Shape, without zeros.
            prefix: Prefix of the arguments that belong to it.
        """
        initializer = getattr(self, f"{prefix}_initializer")
        space = self.weight_space
        if space is None:
            kernel = self.add_weight(
                name=name,
                shape=shape,
                initializer=initializer,
                regularizer=getattr(self, f"{prefix}_regularizer"),
                constraint=getattr(self, f"{prefix}_constraint"),
            )
            setattr(self, name, kernel)
            return

        def states(shape: Any, dtype: Any) -> Any:
            values = initializer(shape, dtype="float32")
            return keras.ops.cast(space.nearest_states(values), dtype)

        kind = SharedVariable if self.moment_in_kernel else DiscreteVariable
        kernel = kind(states, space=space, shape=shape, name=name)
        setattr(self, name, kernel)
        # Made trainable first: that is how Keras knows that a layer made with
        # `trainable=False` may be thawed later.
        kernel.trainable = self.trainable

    def add_outputs(self, channels: int, fan_in: float) -> None:
        """Creates the `bias` and the `output_scale`, if asked for.

        Args:
            channels: Number of output channels.
            fan_in: How many products an output sums up.
        """
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(channels,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        if self.weight_space is None or self.scale == "none":
            return
        values = self.weight_space.values.astype(np.float64)
        # Every kernel of the layer multiplies once.
        mean_square = np.mean(values**2) ** len(self.kernel_prefixes)
        factor = 2.0 ** -round(math.log2(fan_in * mean_square) / 2)
        if self.scale == "fan_in":
            self.output_scale = factor
            return
        self.output_scale = self.add_weight(
            name="scale",
            shape=() if self.scale == "layer" else (channels,),
            initializer=keras.initializers.Constant(factor),
        )

    @property
    def unit(self) -> float:
        """What a sum over states is multiplied with to be one over values."""
        if self.weight_space is None:
            return 1.0
        return self.weight_space.unit ** len(self.kernel_prefixes)

    @property
    def _sums_values(self) -> bool:
        return bool(self.compute_dtype == "float16")

    def read(self, kernel: Any) -> tf.Tensor:
        """A kernel in the compute dtype, differentiable.

        Discrete weights come as their states, in float16 as their values;
        float weights as they are.
        """
        if self.weight_space is None:
            return keras.ops.cast(kernel, self.compute_dtype)
        states = kernel.read_states(self.compute_dtype)
        if self._sums_values and self.weight_space.unit != 1:
            return states * self.weight_space.unit
        return states

    def as_floating(self, inputs: tf.Tensor) -> tf.Tensor:
        """Inputs in the compute dtype; Keras itself casts floats only."""
        return keras.ops.cast(inputs, self.compute_dtype)

    def sums(
        self,
        multiply: bfloat16_products.Multiply,
        inputs: tf.Tensor,
        kernel: tf.Tensor,
    ) -> tf.Tensor:
        """`multiply(inputs, kernel)`, in bfloat16 where that is equal.

        Args:
            multiply: From inputs `(..., channels)` and a kernel `(...,
                channels, outputs)` to sums over the channels.
            inputs: The inputs in the compute dtype.
            kernel: What `read()` gave.
        """
        space = bfloat16_products.space_of(inputs)
        if (
            self._bfloat16_products
            and space is not None
            and self.weight_space is not None
            and bfloat16_products.applies(
                inputs.dtype, space, tuple(kernel.shape), self.weight_space
            )
        ):
            return bfloat16_products.exact_sums(
                multiply, inputs, kernel, space.unit
            )
        return multiply(inputs, kernel)

    def finish(self, sums: tf.Tensor) -> tf.Tensor:
        """Turns sums over states into outputs: unit, output scale, bias.

        In float16 they are sums over values, and the unit is left out.

        Args:
            sums: `(..., channels)`; the channels are the last axis whatever
                the layer's `data_format`.

        Returns:
            A tensor like `sums`. In this order, each only where there is one:
            `sums * unit`, `* output_scale`, `+ bias`.
        """
        outputs = sums
        if self.unit != 1 and not self._sums_values:
            outputs = outputs * self.unit
        if isinstance(self.output_scale, float):
            outputs = outputs * self.output_scale
        elif self.output_scale is not None:
            outputs = keras.ops.multiply(outputs, self.output_scale)
        if self.bias is not None:
            outputs = keras.ops.add(outputs, self.bias)
        return outputs

    def save_own_variables(self, store: Any) -> None:
        """Saves the weights, and what their states mean."""
        super().save_own_variables(store)
        if self.weight_space is not None and self.built:
            store[_SPACE] = np.array(
                [self.weight_space.n, self.weight_space.half_range]
            )

    def load_own_variables(self, store: Any) -> None:
        """Loads the weights.

        Raises:
            ValueError: If they are states of another space, which here would
                be other values.
        """
        keys = list(store.keys())
        if _SPACE in keys:
            n, half_range = np.asarray(store[_SPACE])
            found = DiscreteSpace(int(n), float(half_range))
            if found != self.weight_space:
                raise ValueError(
                    f"The weights of layer `{self.name}` in the file are "
                    f"states of {found}. Received: weight_space="
                    f"{self.weight_space}. Make the layer with that space; "
                    "to convert weights, see `nearest_states` of the space."
                )
        # Keras counts the entries. Files of earlier versions have no space.
        super().load_own_variables({k: store[k] for k in keys if k != _SPACE})

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saving."""
        config: dict[str, Any] = super().get_config()
        config |= {
            "weight_space": self.weight_space
            and self.weight_space.get_config(),
            "use_bias": self.use_bias,
            "scale": self.scale,
            "moment_in_kernel": self.moment_in_kernel,
        }
        for prefix in (*self.kernel_prefixes, "bias"):
            for role, module in (
                ("initializer", keras.initializers),
                ("regularizer", keras.regularizers),
                ("constraint", keras.constraints),
            ):
                name = f"{prefix}_{role}"
                config[name] = module.serialize(getattr(self, name))
        return config
