# SPDX-License-Identifier: Apache-2.0
"""Predicts the `.tflite` file of a model from the calls of its layers.

It follows what export does: layers with discrete kernels give sums, the layers
behind are collected up to an activation, and all that is one operator. Where a
value is wanted that is no activation, the sums and every step are operators of
their own. Real weights and inputs are taken as float32, and layers that cannot
be exported as one operator with their weights.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from gxnor_tf.analysis import file_writer
from gxnor_tf.analysis.file_size import FileSize
from gxnor_tf.analysis.file_writer import Affine, FileWriter, Sums, Value
from gxnor_tf.analysis.gates import kernels
from gxnor_tf.analysis.layer_calls import LayerCall
from gxnor_tf.analysis.operations import output_channels
from gxnor_tf.discrete_variable import DiscreteVariable
from gxnor_tf.layers import (
    DiscreteActivation,
    DiscreteConv1D,
    DiscreteConv2D,
    DiscreteDense,
    DiscreteDepthwiseConv2D,
    DiscreteSeparableConv2D,
)

_L = keras.layers
_INPUT_UNIT = 1 / 128  # What export takes by default.


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What is known of the file of a model.

    Attributes:
        custom: The form with gated-XNOR operators.
        builtin: The form with builtin operators.
        unsupported: Names of layers that export refuses.
        real: Names of layers that compute with real weights or inputs, which
            export refuses unless `float_layers` is given.
    """

    custom: FileSize
    builtin: FileSize
    unsupported: tuple[str, ...]
    real: tuple[str, ...]


def predict(
    calls: Sequence[LayerCall], inputs: Any, outputs: Any
) -> Prediction:
    """Predicts both forms of the file.

    Args:
        calls: What `record_calls` gave.
        inputs: The tensors that the model was called with.
        outputs: What it returned.
    """
    custom, builtin = (
        _Walk(FileWriter(form), calls, inputs, outputs)
        for form in (True, False)
    )
    return Prediction(
        custom.writer.size,
        builtin.writer.size,
        tuple(dict.fromkeys(builtin.unsupported)),
        tuple(dict.fromkeys(builtin.real)),
    )


class _Walk:
    """Goes over the calls of a model."""

    def __init__(
        self,
        writer: FileWriter,
        calls: Sequence[LayerCall],
        inputs: Any,
        outputs: Any,
    ) -> None:
        self.writer = writer
        self.unsupported: list[str] = []
        self.real: list[str] = []
        # All tensors are alive in `calls`, so that their ids are unique.
        self.values: dict[int, Value | Sums] = {}
        self.makers: dict[int, str] = {}
        self.uses = Counter(
            id(tensor)
            for call in calls
            if not _does_nothing(call)
            for tensor in keras.tree.flatten(call.inputs)
        )
        self.uses.update(id(x) for x in keras.tree.flatten(outputs))
        for tensor in keras.tree.flatten(inputs):
            shape = _lifted(tensor)
            self.values[id(tensor)] = Value(
                shape, _INPUT_UNIT, 128, {"int8"}, scaled=True
            )
            if len(shape) != len(tensor.shape) - 1:
                writer.reshape("", len(shape), states=True)
        for call in calls:
            if not _does_nothing(call):
                self._call(call)
        for tensor in keras.tree.flatten(outputs):
            self._output(tensor)

    def _call(self, call: LayerCall) -> None:
        # Exact types, as in export: a subclass may compute something else.
        handler = HANDLERS.get(type(call.layer))
        if handler is None and _is_plus(call):
            handler = _Walk._add
        if handler is None or _is_refused(call.layer):
            self.unsupported.append(call.name)
        handler = handler or _Walk._unknown
        result = handler(self, call)
        for tensor in keras.tree.flatten(call.outputs):
            self.values[id(tensor)] = result
            self.makers[id(tensor)] = call.name

    def _output(self, tensor: Any) -> None:
        name = self.makers.get(id(tensor), "")
        value = self._whole(name, self._made(tensor))
        value = self._unflipped(name, value)
        rank = len(tensor.shape) - 1
        if len(value.shape) != rank:
            if value.is_states:
                self.writer.int8(name, value)
            self.writer.reshape(name, rank, value.is_states)

    # Values.

    def _take(self, tensor: Any) -> Value | Sums:
        """A value for a reader; sums only if it is the only one."""
        value = self.values.get(id(tensor))
        if value is None:  # made by no layer
            value = Value(_lifted(tensor))
        if isinstance(value, Sums) and self.uses[id(tensor)] > 1:
            value = self.values[id(tensor)] = self._to_reals(value)
        return value

    def _made(self, tensor: Any, as_states: bool = False) -> Value:
        """A value that an operator gives, sums as states if they fit."""
        value = self._take(tensor)
        if isinstance(value, Value):
            return value
        if as_states and file_writer.fits_states(value):
            self.writer.int8_sums(value)
            return Value(
                value.shape,
                value.unit,
                value.largest,
                {"int8"},
                flat=value.flat,
            )
        return self._to_reals(value)

    def _to_reals(self, sums: Sums) -> Value:
        """Sums, and every step behind them, as operators."""
        self.writer.write_sums(sums)
        self._affines(sums.layer, sums.affines)
        for name, layer in sums.steps:
            if type(layer) is _L.BatchNormalization:
                self._affines(name, _normalization(layer))
            elif type(layer) in _MAX_POOLS:
                self.writer.operator(name, "MAX_POOL_2D")
            else:
                self.writer.operator(name, "RELU")
        return Value(sums.shape, flat=sums.flat)

    def _affines(self, name: str, affines: Sequence[Affine]) -> None:
        for kind, length in affines:
            self.writer.operator(name, kind, 4 * length)

    def _whole(self, name: str, value: Value, keep_flat: bool = False) -> Value:
        """A value with its padding in place and in Keras' shape."""
        forms = value.forms
        if value.padding:
            # Words can be padded as well.
            forms = {"int8"} if "int8" in forms else set(forms)
            self.writer.pad(name, "int8" in forms)
        value = dataclasses.replace(value, padding=(), forms=forms)
        if value.flat and len(value.shape) > 1 and not keep_flat:
            if value.is_states:
                self.writer.int8(name, value)
            self.writer.reshape(name, 1, value.is_states)
            value = dataclasses.replace(
                value,
                shape=(math.prod(value.shape),),
                forms={"int8"} if value.is_states else set(),
                flat=False,
                pool_joins=False,
            )
        return value

    def _rescaled(self, name: str, value: Value, unit: float) -> Value:
        """States in a smaller unit, and none of them negated."""
        assert value.unit is not None
        factor = round(value.unit / unit)
        if factor == 1 and not value.flipped:
            return value
        self.writer.int8_sums(_own_sums(name, value))
        return dataclasses.replace(
            value,
            unit=unit,
            peak=value.peak * factor,
            forms={"int8"},
            scaled=False,
            flipped=False,
            pool_joins=False,
        )

    def _unflipped(self, name: str, value: Value) -> Value:
        if value.unit is None:
            return value
        return self._rescaled(name, value, value.unit)

    def _dequantized(self, name: str, value: Value) -> Value:
        if value.unit is None:
            return value
        value = self._unflipped(name, value)
        self.writer.numbers(name, value)
        if value.unit != 1:
            self.writer.operator(name, "MUL", 4)
        return Value(value.shape, flat=value.flat, padding=value.padding)

    # Layers with a kernel.

    def _weighted(self, call: LayerCall) -> Value | Sums:
        value = self._made(call.inputs, as_states=True)
        [kernel] = kernels(call.layer).values()
        result = self._product(call, value, kernel)
        return self._activated(call, result)

    def _product(
        self, call: LayerCall, value: Value, kernel: Any
    ) -> Value | Sums:
        layer = call.layer
        sums = _sums(call, value, kernel)
        if isinstance(kernel, DiscreteVariable) and value.is_states:
            return sums
        self.real.append(call.name)
        # All that is asked of reals is their shape.
        source = self._dequantized(call.name, value)
        self.writer.float_kernel(dataclasses.replace(sums, source=source))
        self._affines(call.name, _finish(layer, 1.0))
        return Value(sums.shape)

    def _separable(self, call: LayerCall) -> Value | Sums:
        layer, name = call.layer, call.name
        value = self._made(call.inputs, as_states=True)
        if layer.weight_space is None or not value.is_states:
            self.unsupported.append(name)
            return self._unknown(call)
        depth, point = layer.depthwise_kernel, layer.pointwise_kernel
        first = _sums(call, value, depth)
        multiplier = int(depth.shape[-1])
        inner = dataclasses.replace(first, layer=name, unit=value.unit)
        if file_writer.fits_states(inner):
            self.writer.int8_sums(inner)
            inner_value = Value(
                first.shape, value.unit, inner.largest, {"int8"}
            )
            return _sums(call, inner_value, point)
        # One convolution with the product of both kernels.
        taps = np.einsum(
            "cmt,cmo->otc",
            first.kernel.astype(np.int64).reshape(
                value.channels, multiplier, -1
            ),
            point.numpy()
            .astype(np.int64)
            .reshape(value.channels, multiplier, -1),
        )
        return dataclasses.replace(
            _sums(call, value, point),
            kernel=np.clip(taps, -127, 127)
            .astype(np.int8)
            .reshape(len(taps), -1),
            explicit_pad=first.explicit_pad,
        )

    def _activated(self, call: LayerCall, value: Value | Sums) -> Value | Sums:
        """The `activation` argument of a Keras layer."""
        activation = getattr(call.layer, "activation", None)
        if activation is keras.activations.relu:
            return self._after(call, value, _L.ReLU())
        if activation is keras.activations.softmax:
            return self._softmax_of(call, value)
        if activation not in (None, keras.activations.linear):
            self.unsupported.append(call.name)
        return value

    # Layers that treat every element alike.

    def _pointwise(self, call: LayerCall) -> Value | Sums:
        return self._after(call, self._take(call.inputs), call.layer)

    def _after(
        self, call: LayerCall, value: Value | Sums, layer: keras.layers.Layer
    ) -> Value | Sums:
        if isinstance(value, Value) and value.is_states:
            value = _own_sums(call.name, self._whole(call.name, value))
        if isinstance(value, Sums):
            steps = (*value.steps, (call.name, layer))
            return dataclasses.replace(value, steps=steps, unit=None)
        value = self._whole(call.name, value)
        if type(layer) is _L.BatchNormalization:
            self._affines(call.name, _normalization(layer))
        else:
            self.writer.operator(call.name, "RELU")
        return value

    def _activation(self, call: LayerCall) -> Value | Sums:
        space = call.layer.space
        value = self._take(call.inputs)
        if space is None:
            return self._after(call, value, _L.ReLU())
        if isinstance(value, Value) and value.is_states:
            value = _own_sums(call.name, self._whole(call.name, value))
        pools = (
            [layer for _, layer in value.steps if type(layer) in _MAX_POOLS]
            if isinstance(value, Sums)
            else []
        )
        if isinstance(value, Sums) and len(pools) > 1:
            value = self._to_reals(value)
        if isinstance(value, Value):
            return self._discretized(call, value)
        form = self.writer.write_activation(value, space)
        if pools and form == "int8":
            self.writer.operator(call.name, "MAX_POOL_2D", states=True)
        return Value(
            value.shape,
            space.unit,
            space.max_state,
            {form},
            flipped=_flips(value),
            flat=value.flat and len(value.shape) > 1,
            pool_joins=not pools,
        )

    def _discretized(self, call: LayerCall, value: Value) -> Value:
        """Comparisons of reals with every jump of an activation."""
        name, space = call.name, call.layer.space
        value = self._whole(name, value)
        if space.n == 0:
            for kind in ("GREATER_EQUAL", "MUL", "ADD"):
                self.writer.operator(name, kind, 4)
            self.writer.operator(name, "CAST")
        for number in range(space.max_state if space.n else 0):
            for kind in ("GREATER", "LESS"):
                self.writer.operator(name, kind, 4)
                self.writer.operator(name, "CAST")
            self.writer.operator(name, "SUB")
            if number:
                self.writer.operator(name, "ADD")
        self.writer.operator(name, "QUANTIZE", states=True)
        return Value(
            value.shape, space.unit, space.max_state, {"int8"}, flat=value.flat
        )

    def _activation_by_name(self, call: LayerCall) -> Value | Sums:
        return self._activated(call, self._take(call.inputs))

    def _softmax(self, call: LayerCall) -> Value:
        return self._softmax_of(call, self._take(call.inputs))

    def _softmax_of(self, call: LayerCall, value: Value | Sums) -> Value:
        if isinstance(value, Sums):
            value = self._to_reals(value)
        value = self._dequantized(call.name, self._whole(call.name, value))
        self.writer.operator(call.name, "SOFTMAX")
        return Value(value.shape)

    # Pools.

    def _max_pool(self, call: LayerCall) -> Value | Sums:
        name, value = call.name, self._take(call.inputs)
        shape = _lifted(call.outputs)
        if isinstance(value, Sums):
            if not any(type(layer) in _MAX_POOLS for _, layer in value.steps):
                steps = (*value.steps, (name, call.layer))
                return dataclasses.replace(
                    value, steps=steps, unit=None, shape=shape
                )
            value = self._to_reals(value)
        value = self._whole(name, value)
        if value.pool_joins and self.uses[id(call.inputs)] == 1:
            if value.forms != {"packed"}:
                self.writer.operator(name, "MAX_POOL_2D", states=True)
            return dataclasses.replace(value, shape=shape, pool_joins=False)
        value = self._unflipped(name, value)
        if value.is_states:
            self.writer.int8(name, value)
        self.writer.operator(name, "MAX_POOL_2D", states=value.is_states)
        return dataclasses.replace(
            value,
            shape=shape,
            forms={"int8"} if value.is_states else set(),
            pool_joins=False,
        )

    def _average(self, call: LayerCall) -> Value | Sums:
        name, layer = call.name, call.layer
        value = self._whole(name, self._made(call.inputs, as_states=True))
        is_global = not hasattr(layer, "pool_size")
        sizes = tuple(call.inputs.shape[1:-1])
        window = sizes if is_global else layer.pool_size
        count = math.prod(window if isinstance(window, tuple) else (window,))
        if value.unit is None or not (
            is_global
            or layer.padding == "valid"
            or _tiles(sizes, layer.pool_size, layer.strides)
        ):
            self.real.append(name)
            value = self._dequantized(name, value)
            constants = [8] if is_global else []
            kind = "MEAN" if is_global else "AVERAGE_POOL_2D"
            self.writer.operator(name, kind, *constants)
            return Value(_lifted(call.outputs))
        sums = _own_sums(name, value, count)
        shape = _lifted(call.outputs)
        is_flat = is_global and len(shape) == 1
        exact = math.frexp(count)[0] == 0.5
        return dataclasses.replace(
            sums,
            shape=(1, 1, *shape) if is_flat else shape,
            affines=(*sums.affines, ("DIV", 1)),
            unit=value.unit / count if exact else None,
            flat=is_flat,
        )

    # Layers that join, pad and reshape.

    def _add(self, call: LayerCall) -> Value:
        name, values = call.name, self._operands(call)
        states = self._common_states(name, values)
        peak = sum(value.peak for value in states)
        if states and peak <= 127:
            for value in states:
                self.writer.unscaled(name, value)
            result = Value(states[0].shape, states[0].unit, peak, {"int8"})
        else:
            values = states or values
            values = [self._dequantized(name, value) for value in values]
            result = Value(values[0].shape)
        for _ in values[1:]:
            self.writer.operator(name, "ADD", states=result.is_states)
        return result

    def _concatenate(self, call: LayerCall) -> Value:
        name, values = call.name, self._operands(call)
        states = self._common_states(name, values)
        shape = (
            *values[0].shape[:-1],
            sum(value.channels for value in values),
        )
        if not states:
            for value in values:
                self._dequantized(name, value)
            result = Value(shape)
        elif self.writer.only_packed(states) and not any(
            value.channels % 32 for value in states[:-1]
        ):
            peak = max(value.peak for value in states)
            result = Value(shape, states[0].unit, peak, {"packed"})
        else:
            for value in states:
                self.writer.unscaled(name, value)
            peak = max(value.peak for value in states)
            result = Value(shape, states[0].unit, peak, {"int8"})
        joins_int8 = "int8" in result.forms
        self.writer.operator(name, "CONCATENATION", states=joins_int8)
        return result

    def _operands(self, call: LayerCall) -> list[Value]:
        return [
            self._whole(call.name, self._made(tensor, as_states=True))
            for tensor in keras.tree.flatten(call.inputs)
        ]

    def _common_states(self, name: str, values: list[Value]) -> list[Value]:
        """All as states of one unit; empty if that is not possible."""
        units = [value.unit for value in values if value.unit is not None]
        if len(units) < len(values):
            return []
        unit = min(units)
        for value, own in zip(values, units, strict=True):
            factor = own / unit
            fits = factor == 1 or factor * value.peak <= 127
            if not fits or math.frexp(factor)[0] != 0.5:
                return []
        return [self._rescaled(name, value, unit) for value in values]

    def _pad(self, call: LayerCall) -> Value:
        value = self._made(call.inputs)
        padding = call.layer.padding
        if type(call.layer) is _L.ZeroPadding1D:
            padding = ((0, 0), padding)
        earlier = value.padding or ((0, 0), (0, 0))
        total = tuple(
            (a + before, b + behind)
            for (a, b), (before, behind) in zip(earlier, padding, strict=True)
        )
        return dataclasses.replace(
            value,
            padding=total if any(map(any, total)) else (),
            pool_joins=False,
        )

    def _flatten(self, call: LayerCall) -> Value:
        value = self._whole(call.name, self._made(call.inputs), True)
        return dataclasses.replace(
            value, flat=len(value.shape) > 1, pool_joins=False
        )

    def _reshape(self, call: LayerCall) -> Value:
        value = self._whole(call.name, self._made(call.inputs))
        value = self._unflipped(call.name, value)
        shape = _lifted(call.outputs)
        if shape == value.shape:
            return value
        if value.is_states:
            self.writer.int8(call.name, value)
        self.writer.reshape(call.name, len(shape), value.is_states)
        forms = {"int8"} if value.is_states else set()
        return dataclasses.replace(
            value, shape=shape, forms=forms, pool_joins=False
        )

    def _same(self, call: LayerCall) -> Value | Sums:
        """A layer that does nothing at inference."""
        # Whoever reads the result shares the value with its other readers.
        others = self.uses[id(call.inputs)] - 1
        self.uses.update({id(call.outputs): others})
        return self._take(call.inputs)

    def _unknown(self, call: LayerCall) -> Value:
        """A layer that is not exported, as one operator with its weights."""
        for variable in getattr(call.layer, "weights", []):
            item = 1 if isinstance(variable, DiscreteVariable) else 4
            self.writer.size.constant(
                call.name, item * math.prod(variable.shape)
            )
        self.writer.operator(call.name, type(call.layer).__name__)
        return Value(_lifted(keras.tree.flatten(call.outputs)[0]))


_MAX_POOLS = (_L.MaxPooling1D, _L.MaxPooling2D)

HANDLERS: dict[type, Callable[[_Walk, LayerCall], Value | Sums]] = {
    DiscreteActivation: _Walk._activation,
    DiscreteSeparableConv2D: _Walk._separable,
    _L.Activation: _Walk._activation_by_name,
    _L.Add: _Walk._add,
    _L.BatchNormalization: _Walk._pointwise,
    _L.Concatenate: _Walk._concatenate,
    _L.Flatten: _Walk._flatten,
    _L.ReLU: _Walk._pointwise,
    _L.Reshape: _Walk._reshape,
    _L.Softmax: _Walk._softmax,
    _L.ZeroPadding1D: _Walk._pad,
    _L.ZeroPadding2D: _Walk._pad,
    **dict.fromkeys(_MAX_POOLS, _Walk._max_pool),
    **dict.fromkeys(
        (
            DiscreteConv1D,
            DiscreteConv2D,
            DiscreteDense,
            DiscreteDepthwiseConv2D,
            _L.Conv1D,
            _L.Conv2D,
            _L.Dense,
            _L.DepthwiseConv2D,
        ),
        _Walk._weighted,
    ),
    **dict.fromkeys(
        (
            _L.AveragePooling1D,
            _L.AveragePooling2D,
            _L.GlobalAveragePooling1D,
            _L.GlobalAveragePooling2D,
        ),
        _Walk._average,
    ),
    **dict.fromkeys(
        (
            _L.ActivityRegularization,
            _L.AlphaDropout,
            _L.Dropout,
            _L.GaussianDropout,
            _L.GaussianNoise,
            _L.Identity,
            _L.SpatialDropout1D,
            _L.SpatialDropout2D,
        ),
        _Walk._same,
    ),
}

"""Every layer that can be exported, and what takes it into the file."""


def _sums(call: LayerCall, value: Value, kernel: Any) -> Sums:
    """The sums of a layer with a kernel."""
    layer = call.layer
    name = next(n for n, k in kernels(layer).items() if k is kernel)
    weights = kernel.numpy()
    weights = weights.reshape(-1, output_channels(layer, name)).T
    is_pointwise = name == "pointwise_kernel"
    groups, depthwise, shape = 1, False, _lifted(call.outputs)
    if isinstance(layer, (DiscreteDense, _L.Dense)):
        if value.flat or len(value.shape) == 1:
            shape = (len(weights),)
    elif name == "depthwise_kernel" or isinstance(
        layer, (DiscreteDepthwiseConv2D, _L.DepthwiseConv2D)
    ):
        groups = value.channels
        depthwise = groups > 1
        shape = (*shape[:-1], len(weights))
    elif not is_pointwise:
        groups = layer.groups
        depthwise = groups > 1 and value.channels == groups
    bare = layer.bias is None and getattr(layer, "output_scale", None) is None
    unit = value.unit
    return Sums(
        layer=call.name,
        source=value,
        kernel=weights,
        shape=shape,
        groups=groups,
        depthwise=depthwise,
        explicit_pad=not is_pointwise and _is_padded(layer, value, kernel),
        affines=_finish(layer, unit or 1.0),
        unit=unit * getattr(layer, "unit", 1.0) if unit and bare else None,
        flat=len(shape) == 1,
    )


def _is_padded(layer: Any, value: Value, kernel: Any) -> bool:
    """Whether a convolution has a padding that no operator has."""
    if isinstance(layer, (DiscreteDense, _L.Dense)):
        return False
    sizes = value.shape[-3:-1]
    windows = [
        (1,) * (2 - len(pair)) + tuple(pair)  # a 1D layer has a height of 1
        for pair in (kernel.shape[:-2], layer.strides, layer.dilation_rate)
    ]
    earlier = value.padding or ((0, 0), (0, 0))
    total, same = [], []
    for axis, (taps, stride, dilation) in enumerate(zip(*windows, strict=True)):
        before, behind = earlier[axis]
        extent = (taps - 1) * dilation + 1
        own = (0, 0)
        if layer.padding == "same":
            own = _same_padding(sizes[axis] + before + behind, extent, stride)
        elif layer.padding == "causal" and axis == 1:
            own = (extent - 1, 0)
        total.append((before + own[0], behind + own[1]))
        same.append(_same_padding(sizes[axis], extent, stride))
    return any(map(any, total)) and total != same


def _same_padding(size: int, extent: int, stride: int) -> tuple[int, int]:
    """Zeros before and behind that `padding="same"` means."""
    outputs = -(-size // stride)
    zeros = max((outputs - 1) * stride + extent - size, 0)
    return zeros // 2, zeros - zeros // 2


def _own_sums(name: str, value: Value, count: int = 1) -> Sums:
    """States as sums of so many terms of each channel."""
    channels = value.channels
    return Sums(
        layer=name,
        source=value,
        kernel=np.ones((channels, count), np.int8),
        shape=value.shape,
        groups=channels,
        depthwise=channels > 1,
        affines=() if value.unit == 1 else (("MUL", 1),),
        unit=value.unit,
        flat=value.flat,
    )


def _finish(layer: Any, input_unit: float) -> tuple[Affine, ...]:
    """The steps that turn sums into a layer's output."""
    affines = []
    if input_unit != 1:
        affines.append(("MUL", 1))
    if getattr(layer, "weight_space", None) is not None:
        if layer.unit != 1:
            affines.append(("MUL", 1))
        if layer.output_scale is not None:
            affines.append(("MUL", _operand(layer.output_scale)))
    if layer.bias is not None:
        affines.append(("ADD", _operand(layer.bias)))
    return tuple(affines)


def _normalization(layer: Any) -> tuple[Affine, Affine]:
    """The factor and the summand of a BatchNormalization."""
    factor = 1 / np.sqrt(layer.moving_variance.numpy() + layer.epsilon)
    if layer.scale:
        factor = factor * layer.gamma.numpy()
    summand = -layer.moving_mean.numpy() * factor
    if layer.center:
        summand = summand + layer.beta.numpy()
    return ("MUL", _operand(factor)), ("ADD", _operand(summand))


def _operand(values: Any) -> int:
    """Length of an operand: equal numbers are written as one."""
    numbers = np.ravel(keras.ops.convert_to_numpy(values))
    return 1 if (numbers == numbers[0]).all() else len(numbers)


def _flips(sums: Sums) -> bool:
    """Whether a channel falls behind a max-pool, so that it is negated."""
    pooled = False
    for _, layer in sums.steps:
        pooled = pooled or type(layer) in _MAX_POOLS
        if pooled and type(layer) is _L.BatchNormalization and layer.scale:
            if (layer.gamma.numpy() < 0).any():
                return True
    return False


def _does_nothing(call: LayerCall) -> bool:
    return call.outputs is call.inputs and type(call.layer) in HANDLERS


def _is_plus(call: LayerCall) -> bool:
    """Whether it is a `+` of two tensors, which is no layer."""
    return (
        not isinstance(call.layer, keras.layers.Layer)
        and type(call.layer).__name__ == "Add"
        and len(call.inputs) == 2
    )


def _is_refused(layer: Any) -> bool:
    """Whether export refuses the way in which a known layer computes."""
    return (
        getattr(layer, "data_format", None) == "channels_first"
        or getattr(layer, "compute_dtype", "float32") != "float32"
    )


def _tiles(sizes: Sequence[int], window: Any, strides: Any) -> bool:
    """Whether windows cover a size without padding."""
    windows = window if isinstance(window, tuple) else (window,)
    steps = strides if isinstance(strides, tuple) else (strides,)
    return windows == steps and not any(
        size % step for size, step in zip(sizes, steps, strict=True)
    )


def _lifted(tensor: Any) -> tuple[int, ...]:
    """Shape of one sample, `(steps, channels)` with a height of 1."""
    shape = tuple(int(size) for size in tensor.shape[1:]) or (1,)
    return (1, *shape) if len(shape) == 2 else shape
