# SPDX-License-Identifier: Apache-2.0
"""Counts the operations of a layer as the table of Deng et al., 2018, does.

A product of two numbers is a multiplication and an accumulation; where one
factor is binary or ternary, an accumulation; where both are, an XNOR, and a
sum of XNORs one bit count. Products with a discrete zero do not count, nor
does the bit count of a sum without open gates.
"""

import dataclasses
import math
from typing import Any

import keras
import numpy as np

from gxnor_tf.analysis.gates import Product, kernels
from gxnor_tf.analysis.layer_calls import LayerCall
from gxnor_tf.discrete_space import DiscreteSpace
from gxnor_tf.discrete_variable import DiscreteVariable
from gxnor_tf.layers.conv_transpose import DiscreteConv2DTranspose
from gxnor_tf.layers.depthwise import DiscreteDepthwiseConv2D

_DEPTHWISE = (
    DiscreteDepthwiseConv2D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
)
_TRANSPOSED = (
    DiscreteConv2DTranspose,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


@dataclasses.dataclass(frozen=True)
class Operations:
    """Operations of one sample; products include those that do not count."""

    products: float = 0
    open: float = 0
    multiplies: float = 0
    accumulates: float = 0
    xnors: float = 0
    bit_counts: float = 0

    def __add__(self, other: "Operations") -> "Operations":
        sums = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in dataclasses.fields(self)
        }
        return Operations(**sums)


def count_operations(
    product: Product, input_space: DiscreteSpace | None, measured: bool
) -> Operations:
    """Counts the operations of a product, as the mean of its samples.

    Args:
        product: The product, with its batch of inputs.
        input_space: Space of the inputs, None if they are not discrete.
        measured: Whether the inputs are real. If not, discrete ones are taken
            as independent and uniform over their states.
    """
    weight_space = space_of(product.kernel)
    if product.kernel_name == "pointwise_kernel":
        input_space = None  # It reads the sums of the depthwise kernel.
    every = product.open_gates(gate_inputs=False, gate_weights=False)
    # A float that happens to be zero is multiplied like any other.
    gates = product.open_gates(
        gate_inputs=measured and input_space is not None,
        gate_weights=weight_space is not None,
    ).astype(np.float64)
    any_open = np.minimum(gates, 1)
    if not measured and input_space is not None and input_space.n > 0:
        chance = 1 - 1 / input_space.num_states
        any_open = 1 - (1 - chance) ** gates
        gates = gates * chance
    samples = len(every)
    count = _mean(gates, samples)
    signs = [
        space is not None and space.n <= 1
        for space in (weight_space, input_space)
    ]
    common = {"products": _mean(every, samples), "open": count}
    if all(signs):
        bit_counts = _mean(any_open, samples)
        return Operations(**common, xnors=count, bit_counts=bit_counts)
    if any(signs):
        return Operations(**common, accumulates=count)
    return Operations(**common, multiplies=count, accumulates=count)


def count_macs(call: LayerCall) -> int:
    """Products per sample: all elements of a kernel at every position.

    Those with zeros that padding adds are included.

    Args:
        call: The call of a layer with kernels.
    """
    found = kernels(call.layer)
    if isinstance(call.layer, _TRANSPOSED):
        # Every position of the input is spread over the output.
        [kernel] = found.values()
        positions = elements(call.inputs) // int(kernel.shape[-1])
    else:
        last = list(found)[-1]
        positions = elements(call.outputs) // _output_channels(call.layer, last)
    return positions * sum(size_of(kernel) for kernel in found.values())


def _output_channels(layer: keras.layers.Layer, kernel_name: str) -> int:
    """How many channels a kernel gives.

    Args:
        layer: A built layer, no transposed convolution.
        kernel_name: Attribute that holds the kernel.
    """
    *_, before_last, last = map(int, getattr(layer, kernel_name).shape)
    depthwise = kernel_name == "depthwise_kernel" or isinstance(
        layer, _DEPTHWISE
    )
    return before_last * last if depthwise else last


def space_of(kernel: keras.Variable) -> DiscreteSpace | None:
    """The space of a variable's states, None for a float variable."""
    return kernel.space if isinstance(kernel, DiscreteVariable) else None


def size_of(variable: keras.Variable) -> int:
    """Number of elements of a variable."""
    return math.prod(int(size) for size in variable.shape)


def elements(tensors: Any) -> int:
    """Number of elements that tensors have for one sample."""
    return sum(
        math.prod(tensor.shape[1:]) for tensor in keras.tree.flatten(tensors)
    )


def _mean(counts: Any, samples: int) -> float:
    mean = float(counts.sum(dtype=np.float64)) / samples
    return int(mean) if mean.is_integer() else mean
