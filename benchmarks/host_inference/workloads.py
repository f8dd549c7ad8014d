# SPDX-License-Identifier: Apache-2.0
"""What is run: single layers and whole nets, each in every number format.

Weights are random, ternary ones with a third each. How fast an op of ours is
may depend on how many activations are not zero; thresholds are set so that
each layer of a net has the density asked for.
"""

import contextlib
import dataclasses
import io
import warnings
from collections.abc import Callable, Mapping

import flatbuffers
import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from benchmarks import random_nets
from export import convert, packing
from export.flatbuffer_builder import (
    FILE_IDENTIFIER,
    ModelBuilder,
    Quantization,
    load_schema,
)
from export.op_schema import Conv2DOptions, FullyConnectedOptions
from train import models, recipes

Array = npt.NDArray[np.generic]

FORMATS = ("int8", "int4", "int2", "float32")
"""Formats of TFLite's own ops; not every workload has all of them."""

# Settled by the calibration images; none is shown to a metric.
_CALIBRATION_IMAGES = 64

_IMAGES = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3)}
_CLASSES = 10


@dataclasses.dataclass(frozen=True)
class Model:
    """A `.tflite` file and a batch for it.

    Attributes:
        data: Content of the file.
        x: Its input, `(1, ...)`.
    """

    data: bytes
    x: Array

    @property
    def constant_bytes(self) -> int:
        """Bytes of weights, thresholds and biases in the file."""
        schema = load_schema()
        buffers = schema.ModelT.InitFromPackedBuf(self.data).buffers
        return sum(len(b.data) for b in buffers if b.data is not None)


@dataclasses.dataclass(frozen=True)
class Workload:
    """A layer or a net.

    Attributes:
        name: Its name in tables and files.
        macs: Products of one inference.
        ours: Makes the file with custom ops for a density of activations.
        others: By format, makes the file with builtin ops.
    """

    name: str
    macs: int
    ours: Callable[[float], Model]
    others: Mapping[str, Callable[[], Model]]


def _conv_options(size: int, channels: int) -> Conv2DOptions:
    return Conv2DOptions(
        input_channels=channels,
        output_channels=channels,
        kernel_height=3,
        kernel_width=3,
        pad_top=1,
        pad_bottom=1,
        pad_left=1,
        pad_right=1,
    )


def _states(rng: np.random.Generator, shape: object, density: float) -> Array:
    signs = rng.choice(np.array([-1, 1], np.int8), shape)  # type: ignore[arg-type]
    return np.where(rng.random(signs.shape) < density, signs, 0).astype(np.int8)


def _one_op(
    options: Conv2DOptions | FullyConnectedOptions,
    input_shape: tuple[int, ...],
    kernel: tuple[int, int],
    density: float,
) -> Model:
    """A layer with packed states as input and output."""
    rng = np.random.default_rng(0)
    x = packing.pack_activations(_states(rng, input_shape, density))
    channels = options.output_channels
    weights = _states(rng, (channels, *kernel, options.input_channels), 2 / 3)
    depth = weights[0].size
    # About the spread of the sums: all three states come out.
    spread = int(0.5 * np.sqrt(depth * density * 2 / 3)) + 1
    high = rng.integers(0, 2 * spread, channels).astype(np.int32)
    low = -rng.integers(0, 2 * spread, channels).astype(np.int32)
    output_shape = options.output_shape(x.shape, packed=True)
    builder = ModelBuilder()
    source = builder.tensor("x", x.shape, np.int32)
    target = builder.tensor("y", output_shape, np.int32)
    operands = [
        source,
        builder.constant("weights", packing.pack_weights(weights)),
        builder.constant(
            "thresholds", packing.pack_thresholds(high, low, depth)
        ),
    ]
    builder.custom(options.custom_code, operands, [target], options.to_bytes())
    return Model(builder.finish({"x": source}, {"y": target}), x)


def _builtin_op(
    operator: str,
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    weights_shape: tuple[int, ...],
    dtype: type,
    **settings: object,
) -> Model:
    """A layer of TFLite's own, int8 with a scale per channel, or float32."""
    rng = np.random.default_rng(0)
    channels = weights_shape[0]
    floats = dtype is np.float32
    x = rng.integers(-127, 128, input_shape).astype(dtype)
    weights = rng.integers(-127, 128, weights_shape).astype(dtype)
    bias = np.zeros(channels, np.float32 if floats else np.int32)
    scales = np.full(channels, 0.01, np.float32)

    def scaled(scale: object) -> Quantization | None:
        return None if floats else Quantization(scale)  # type: ignore[arg-type]

    builder = ModelBuilder()
    source = builder.tensor("x", input_shape, dtype, quantization=scaled(1.0))
    target = builder.tensor("y", output_shape, dtype, quantization=scaled(9.0))
    operands = [
        source,
        builder.constant("weights", weights, quantization=scaled(scales)),
        builder.constant("bias", bias, quantization=scaled(scales)),
    ]
    builder.builtin(operator, operands, [target], version=3, **settings)
    return Model(builder.finish({"x": source}, {"y": target}), x)


def _with_narrow_weights(model: Model, bits: int) -> Model:
    """An int8 model with its weights in INT4 or INT2, packed in bytes."""
    schema = load_schema()
    parsed = schema.ModelT.InitFromPackedBuf(model.data)
    [weights] = [t for t in parsed.subgraphs[0].tensors if t.name == b"weights"]
    buffer = parsed.buffers[weights.buffer]
    values = np.asarray(buffer.data, np.uint8).reshape(-1, 8 // bits)
    values = values & ((1 << bits) - 1)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    buffer.data = np.bitwise_or.reduce(values << shifts, axis=1)
    weights.type = getattr(schema.TensorType, f"INT{bits}")
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(parsed.Pack(builder), file_identifier=FILE_IDENTIFIER)
    return Model(bytes(builder.Output()), model.x)


def convolution(size: int, channels: int) -> Workload:
    """A 3x3 convolution that keeps the size of its input."""
    shape = (1, size, size, channels)

    def other(dtype: type) -> Callable[[], Model]:
        return lambda: _builtin_op(
            "CONV_2D",
            shape,
            shape,
            (channels, 3, 3, channels),
            dtype,
            padding="SAME",
            stride_h=1,
            stride_w=1,
            dilation_h_factor=1,
            dilation_w_factor=1,
        )

    return Workload(
        f"conv_{size}_{channels}",
        size * size * 9 * channels * channels,
        lambda density: _one_op(
            _conv_options(size, channels), shape, (3, 3), density
        ),
        {
            "int8": other(np.int8),
            # XNNPACK refuses it, and LiteRT's own kernel takes it; there is
            # no such thing for int2.
            "int4": lambda: _with_narrow_weights(other(np.int8)(), 4),
            "float32": other(np.float32),
        },
    )


def fully_connected(size: int) -> Workload:
    """A layer with as many inputs as outputs."""
    options = FullyConnectedOptions(input_channels=size, output_channels=size)

    def other(dtype: type) -> Model:
        return _builtin_op(
            "FULLY_CONNECTED", (1, size), (1, size), (size, size), dtype
        )

    return Workload(
        f"fc_{size}",
        size * size,
        lambda density: _one_op(options, (1, size), (1, 1), density),
        {
            "int8": lambda: other(np.int8),
            "int4": lambda: _with_narrow_weights(other(np.int8), 4),
            "int2": lambda: _with_narrow_weights(other(np.int8), 2),
            "float32": lambda: other(np.float32),
        },
    )


def _images(net: str, count: int) -> npt.NDArray[np.float32]:
    return random_nets.images(_IMAGES[net], count)


def _ternary_net(net: str, width: float, density: float) -> keras.Model:
    """The paper's net, random, with this share of non-zero activations."""
    window = random_nets.zero_window(density)
    config = recipes.from_recipe(net, width=width, zero_window=window)
    model = models.build(config, _IMAGES[net], _CLASSES)
    random_nets.settle(model, _images(net, _CALIBRATION_IMAGES))
    return model


def _float_net(net: str, width: float) -> keras.Model:
    config = recipes.from_recipe(net, width=width, discrete=False)
    return models.build(config, _IMAGES[net], _CLASSES)


def _converted(net: str, width: float, quantized: bool) -> Model:
    """TensorFlow's own conversion, fully int8 or float32."""
    converter = tf.lite.TFLiteConverter.from_keras_model(_float_net(net, width))
    if quantized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [image[None]] for image in _images(net, _CALIBRATION_IMAGES)
        )
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8
        ]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    images = _images(net, 1)
    x = (images * 128).astype(np.int8) if quantized else images
    # It lists all variables, and misses statistics that it has no use for.
    with (
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(action="ignore"),
    ):
        return Model(converter.convert(), x)


def net(name: str, width: float = 1.0) -> Workload:
    """One of the paper's nets."""
    x = (_images(name, 1) * 128).astype(np.int8)
    return Workload(
        name,
        _net_macs(_float_net(name, width)),
        lambda density: Model(convert(_ternary_net(name, width, density)), x),
        {
            "int8": lambda: _converted(name, width, True),
            "float32": lambda: _converted(name, width, False),
        },
    )


def _net_macs(model: keras.Model) -> int:
    macs = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            positions = np.prod(layer.output.shape[1:-1], dtype=int)
            macs += int(positions) * int(np.prod(layer.kernel.shape))
    return macs


def workloads(width: float = 1.0) -> dict[str, Workload]:
    """All of them by name.

    Args:
        width: Factor on the layers of the nets.
    """
    made = [
        convolution(14, 256),
        convolution(28, 128),
        convolution(56, 64),
        fully_connected(1024),
        fully_connected(4096),
        net("mnist", width),
        net("cifar10", width),
    ]
    return {workload.name: workload for workload in made}
