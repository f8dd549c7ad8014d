# SPDX-License-Identifier: Apache-2.0
"""Counts the gates of a layer: products of an input and a weight.

A gate is open where both factors are non-zero. The counts come from the
layer's own operation, run on indicators: with `[x != 0]` and `[w != 0]` for
the inputs and the weights, an output is the number of open gates of its sum,
and with ones for both the number of all of them. Zeros that padding adds are
no inputs and not counted in either.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from gxnor_tf.discrete_space import DiscreteSpace
from gxnor_tf.discrete_variable import DiscreteVariable

_KERNEL_NAMES = ("kernel", "depthwise_kernel", "pointwise_kernel")

# What a layer does besides multiplying with its kernel, turned off. Zeros
# for the initializers, because random ones would move Keras' global seed.
_PLAIN: dict[str, Any] = {
    "activation": None,
    "bias_constraint": None,
    "bias_regularizer": None,
    "depthwise_constraint": None,
    "depthwise_initializer": "zeros",
    "depthwise_regularizer": None,
    "dtype": "float32",
    "kernel_constraint": None,
    "kernel_initializer": "zeros",
    "kernel_regularizer": None,
    "activity_regularizer": None,
    "scale": "none",
    "use_bias": False,
}


@dataclasses.dataclass(frozen=True)
class Gates:
    """How many gates there are, and how many are open.

    Attributes:
        products: Products of an input and a weight.
        open: Those that count.
        sums: Outputs that they are added up to.
        open_sums: Outputs with an open gate.
    """

    products: int = 0
    open: int = 0
    sums: int = 0
    open_sums: int = 0

    @classmethod
    def of(
        cls,
        open_gates: npt.NDArray[np.float32],
        all_gates: npt.NDArray[np.float32],
    ) -> "Gates":
        """Makes the counts from the numbers of gates of every sum."""
        return cls(
            products=int(all_gates.sum(dtype=np.float64)),
            open=int(open_gates.sum(dtype=np.float64)),
            sums=open_gates.size,
            open_sums=int(np.count_nonzero(open_gates)),
        )

    def __add__(self, other: "Gates") -> "Gates":
        return Gates(
            self.products + other.products,
            self.open + other.open,
            self.sums + other.sums,
            self.open_sums + other.open_sums,
        )

    @property
    def open_rate(self) -> float:
        """Share of the products that count, NaN without products."""
        return self.open / self.products if self.products else np.nan


@dataclasses.dataclass(frozen=True, eq=False)
class Product:
    """Inputs, a kernel, and the operation between them.

    Attributes:
        kernel_name: Attribute of the layer that holds the kernel.
        kernel: The variable.
        inputs: The batch that it is multiplied with.
        operation: From inputs and a kernel's array to sums, without the
            layer's scale, bias and activation.
    """

    kernel_name: str
    kernel: keras.Variable
    inputs: Any
    operation: Callable[[Any, Any], Any]

    def open_gates(
        self, gate_inputs: bool = True, gate_weights: bool = True
    ) -> npt.NDArray[np.float32]:
        """The number of open gates of every sum of the batch.

        Args:
            gate_inputs: Whether a zero input closes a gate.
            gate_weights: Whether a zero weight closes a gate.
        """
        x = np.asarray(keras.ops.cast(self.inputs, "float32"))
        w = self.kernel.numpy()
        x = x != 0 if gate_inputs else np.ones(x.shape)
        w = w != 0 if gate_weights else np.ones(w.shape)
        return np.asarray(
            self.operation(x.astype(np.float32), w.astype(np.float32))
        )

    def count(self) -> Gates:
        """Counts the gates of the batch."""
        all_gates = self.open_gates(gate_inputs=False, gate_weights=False)
        return Gates.of(self.open_gates(), all_gates)


def kernels(layer: keras.layers.Layer) -> dict[str, keras.Variable]:
    """The kernels of a layer by the names of their attributes.

    Args:
        layer: A built layer.
    """
    found = {name: getattr(layer, name, None) for name in _KERNEL_NAMES}
    return {
        name: kernel
        for name, kernel in found.items()
        if isinstance(kernel, keras.Variable)
    }


def has_discrete_kernel(layer: keras.layers.Layer) -> bool:
    """Whether a kernel of the layer holds discrete states."""
    return any(
        isinstance(kernel, DiscreteVariable)
        for kernel in kernels(layer).values()
    )


def products(layer: keras.layers.Layer, inputs: Any) -> list[Product]:
    """The products that a layer computes for a batch.

    Args:
        layer: A built layer with a `kernel`, or a separable convolution.
        inputs: A batch, as the layer takes it.

    Returns:
        One product, for a separable convolution two: the inputs of its
        pointwise product are the sums of the depthwise one.
    """
    if "pointwise_kernel" in kernels(layer):
        return _separable_products(layer, inputs)
    config = layer.get_config()
    config |= {key: _PLAIN[key] for key in _PLAIN.keys() & config.keys()}
    if "weight_space" in config:
        # Indicators are states of this space, whose unit is 1.
        config["weight_space"] = DiscreteSpace(1).get_config()
    twin = type(layer).from_config(config)
    twin.build(tuple(inputs.shape))

    def operation(x: Any, kernel: Any) -> Any:
        twin.kernel.assign(kernel.astype(twin.kernel.dtype))
        return twin(x)

    return [Product("kernel", layer.kernel, inputs, operation)]


def _separable_products(
    layer: keras.layers.Layer, inputs: Any
) -> list[Product]:
    def depthwise(x: Any, kernel: Any) -> Any:
        return keras.ops.depthwise_conv(
            x,
            kernel,
            strides=layer.strides,
            padding=layer.padding,
            data_format=layer.data_format,
            dilation_rate=layer.dilation_rate,
        )

    def pointwise(x: Any, kernel: Any) -> Any:
        return keras.ops.conv(x, kernel, data_format=layer.data_format)

    sums = depthwise(
        keras.ops.cast(inputs, "float32"),
        keras.ops.cast(layer.depthwise_kernel, "float32"),
    )
    return [
        Product("depthwise_kernel", layer.depthwise_kernel, inputs, depthwise),
        Product("pointwise_kernel", layer.pointwise_kernel, sums, pointwise),
    ]
