# SPDX-License-Identifier: Apache-2.0
"""Turns a trained Keras model into an integer program.

One walk over the layer calls. A discrete layer gives *sums*; the layers behind
them are only collected until an activation closes them to one op with
thresholds (`staircase.py`), or until a value is wanted that has no such form:
then the sums and every step become ops of their own, float32 in Keras' own
order.
"""

import numbers
from collections.abc import Callable
from typing import Any, get_args

import keras
import numpy.typing as npt

import gxnor_tf

from ..graph import ExportError, Node, read_graph
from ..program import Program, Tensor
from . import kernel_layers, kernels, pointwise, pools, shapes
from .builder import AnyValue, FloatLayers, ProgramBuilder, is_power_of_two


def fuse(
    model: keras.Model,
    input_scale: float = 1 / 128,
    float_layers: FloatLayers = "refuse",
    calibration: npt.NDArray[Any] | None = None,
) -> Program:
    """Makes the integer program of a model.

    Args:
        model: A built Sequential or functional model.
        input_scale: Value of the int8 input 1: a power of two, so that the
            first layer's float32 sums are exact.
        float_layers: What becomes of layers that compute with real weights or
            inputs: `"refuse"` them, keep them in `"float32"`, or quantise
            their weights and inputs to `"int8"`.
        calibration: Model inputs `(samples, ...)` as Keras takes them, from
            which the ranges of real-valued inputs of layers are taken;
            needed for `"int8"` if there are any.

    Returns:
        The program. Every value of it that is marked exact equals the model's.

    Raises:
        ExportError: If the model cannot be exported so.
    """
    if isinstance(input_scale, bool) or not isinstance(
        input_scale, numbers.Real
    ):
        raise ExportError(
            "`input_scale` must be a number, such as 1 / 128. "
            f"Received: input_scale={input_scale!r}"
        )
    if not (is_power_of_two(input_scale) and 2**-30 <= input_scale <= 2**30):
        raise ExportError(
            "`input_scale` must be a power of two in 2^-30..2^30, so that the "
            f"first layer is exact. Received: input_scale={input_scale}. For "
            "images use 1/128 with x = (pixel - 128) / 128."
        )
    if float_layers not in get_args(FloatLayers):
        raise ExportError(
            f"`float_layers` must be one of {get_args(FloatLayers)}. "
            f"Received: float_layers={float_layers!r}"
        )
    if calibration is not None and float_layers != "int8":
        raise ExportError(
            '`calibration` is for float_layers="int8" only. Received: '
            f"float_layers={float_layers!r}"
        )
    builder = ProgramBuilder(
        read_graph(model), float(input_scale), float_layers, calibration
    )
    source = _start(builder)
    for node in builder.graph.nodes:
        builder.values[node.output] = _handler(node)(builder, node)
        builder.share_uses(node)
    output = _finish(builder)
    return Program(source, tuple(builder.ops), output)


def _start(builder: ProgramBuilder) -> Tensor:
    """The program's input, as the first value."""
    graph = builder.graph
    shape = tuple(size for size in graph.input_shape if size is not None)
    if shape != graph.input_shape:
        raise ExportError(
            f"The input of model `{graph.name}` must have a known size. "
            f"Received: {graph.input_shape}. Set it in `keras.Input`."
        )
    if "float" not in graph.input_dtype:
        raise ExportError(
            f"The input of model `{graph.name}` must be floating, or its "
            "values would be cut to whole numbers. Received: dtype="
            f"{graph.input_dtype}. Leave `dtype` out in `keras.Input`."
        )
    source = Tensor(graph.input_name, shape, builder.input_scale, 128)
    builder.values[source.name] = builder.lift(
        source, shape, f"{source.name}/image"
    )
    return source


def _finish(builder: ProgramBuilder) -> Tensor:
    """The program's output, in Keras' shape."""
    value = builder.whole(builder.materialised(builder.graph.output))
    tensor = value.tensor
    if tensor.flipped is not None:
        layer = tensor.layer
        tensor = builder.rescaled(value, tensor.unit or 1.0).tensor
        tensor = builder.named(tensor, layer)
    shape = builder.graph.output_shape
    if tensor.shape != shape:
        tensor = builder.simple(
            "reshape",
            (tensor,),
            f"{tensor.name}/output",
            shape,
            layer=tensor.layer,
        )
    return tensor


def _handler(node: Node) -> Callable[[ProgramBuilder, Node], AnyValue]:
    """The function that takes a layer into the program."""
    layer = node.layer
    if layer.compute_dtype != "float32":
        raise ExportError(
            f"Layer `{layer.name}` computes in {layer.compute_dtype}; "
            "exported files do in float32. Rebuild the model with "
            'dtype="float32" and copy the weights.'
        )
    if getattr(layer, "quantization_mode", None) is not None:
        raise ExportError(
            f"Layer `{layer.name}` was quantised by Keras "
            f"({layer.quantization_mode}). Export the model as it was before "
            "`quantize()`."
        )
    # Exact types: a subclass may compute something else.
    handler = HANDLERS.get(type(layer))
    if handler is None:
        known = ", ".join(sorted(kind.__name__ for kind in HANDLERS))
        raise ExportError(
            f"Layer `{layer.name}` ({type(layer).__name__}) cannot be "
            f"exported. Supported are {known}."
        )
    if None in node.shape:
        raise ExportError(
            f"The output of `{layer.name}` must have a known size. "
            f"Received: {node.shape}. Set the size in `keras.Input`."
        )
    kernels.check_channels_last(layer)
    return handler


HANDLERS: dict[type, Callable[[ProgramBuilder, Node], AnyValue]] = {
    **dict.fromkeys(kernels.DENSE, kernel_layers.weighted),
    **dict.fromkeys(kernels.CONVOLUTIONS, kernel_layers.weighted),
    **dict.fromkeys(kernels.DEPTHWISE, kernel_layers.weighted),
    gxnor_tf.DiscreteConv2DTranspose: kernel_layers.transposed,
    gxnor_tf.DiscreteSeparableConv2D: kernel_layers.separable,
    gxnor_tf.DiscreteActivation: pointwise.activation,
    keras.layers.Activation: pointwise.activation_by_name,
    keras.layers.BatchNormalization: pointwise.norm_or_relu,
    keras.layers.ReLU: pointwise.norm_or_relu,
    keras.layers.Softmax: pointwise.softmax,
    keras.layers.ActivityRegularization: pointwise.identity,
    keras.layers.AlphaDropout: pointwise.identity,
    keras.layers.Dropout: pointwise.identity,
    keras.layers.GaussianDropout: pointwise.identity,
    keras.layers.GaussianNoise: pointwise.identity,
    keras.layers.Identity: pointwise.identity,
    keras.layers.SpatialDropout1D: pointwise.identity,
    keras.layers.SpatialDropout2D: pointwise.identity,
    keras.layers.AveragePooling1D: pools.average,
    keras.layers.AveragePooling2D: pools.average,
    keras.layers.GlobalAveragePooling1D: pools.average,
    keras.layers.GlobalAveragePooling2D: pools.average,
    gxnor_tf.MaxPooling2D: pools.max_pool,
    keras.layers.MaxPooling1D: pools.max_pool,
    keras.layers.MaxPooling2D: pools.max_pool,
    keras.layers.Add: shapes.add,
    keras.layers.Concatenate: shapes.concatenate,
    keras.layers.Flatten: shapes.flatten,
    keras.layers.Reshape: shapes.reshape,
    keras.layers.ZeroPadding1D: shapes.pad,
    keras.layers.ZeroPadding2D: shapes.pad,
}
"""Every layer that can be exported, and what takes it into the program."""
