# SPDX-License-Identifier: Apache-2.0
"""Random layers, what must come out of them, and images that run them."""

import dataclasses
import enum
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.mcu import cores
from export import packing, reference
from export.op_schema import Conv2DOptions, MaxPool2DOptions
from export.program import Int8Array, Int32Array, Thresholds, Window

Array = npt.NDArray[Any]

_RUNNER = pathlib.Path(__file__).absolute().with_name("run_layers.c")
_CONV_PARAMS = 23


class Kernel(enum.IntEnum):
    """The kernels, numbered as in `run_layers.c`."""

    CONV2D_T2_T2 = 1
    CONV2D_T2_S32 = 2
    CONV2D_S8_T2 = 3
    CONV2D_S8_S32 = 4
    FULLY_CONNECTED_T2_T2 = 5
    FULLY_CONNECTED_T2_S32 = 6
    DEPTHWISE_CONV2D_T2_T2 = 7
    DEPTHWISE_CONV2D_T2_S32 = 8
    MAX_POOL2D_T2 = 9
    PACK_S8_T2 = 10
    UNPACK_T2_S8 = 11


class Way(enum.IntEnum):
    """Which buffer a kernel gets, numbered as in `run_layers.c`."""

    WIDEST = 0
    NARROWEST = 1
    NONE = 2


@dataclasses.dataclass(frozen=True)
class Layer:
    """A call of a kernel.

    Attributes:
        name: For messages.
        kernel: The kernel.
        params: The C struct of its parameters.
        input: Packed words or int8.
        weights: Records; empty if it has none.
        thresholds: In the kernel's layout; empty if it has none.
        expected: The output, by the reference.
        macs: Products of weights and inputs, zeros and padding included.
    """

    name: str
    kernel: Kernel
    params: tuple[int, ...]
    input: Array
    weights: Int32Array
    thresholds: Int32Array
    expected: Array
    macs: int = 0


@dataclasses.dataclass(frozen=True)
class Run:
    """A run of a layer on a core.

    Attributes:
        layer: The layer.
        way: Which buffer the kernel had.
        buffer_bytes: Its size.
        instructions: That the kernel took.
        fault: What went wrong, or an empty text: a status of the kernel,
            words other than the expected ones, bytes written elsewhere.
    """

    layer: Layer
    way: Way
    buffer_bytes: int
    instructions: int
    fault: str


def states(
    rng: np.random.Generator, shape: tuple[int, ...], density: float
) -> Int8Array:
    """Random ternary states, of which exactly this share is not 0."""
    signs = rng.choice(np.array([-1, 1], np.int8), shape)
    order = rng.permutation(signs.size).reshape(shape)
    return np.where(order < round(density * signs.size), signs, 0).astype(
        np.int8
    )


def convolution(
    options: Conv2DOptions,
    size: tuple[int, int],
    *,
    density: float,
    weight_density: float = 0.5,
    input_bits: int = 2,
    sums: bool = False,
    fully_connected: bool = False,
    batches: int = 1,
    name: str = "",
    seed: int = 0,
) -> Layer:
    """A convolution, or a fully connected op.

    Args:
        options: The convolution and the pool.
        size: Height and width of the input.
        density: Share of inputs that are not 0.
        weight_density: Share of weights that are not 0.
        input_bits: 2 for packed states, 8 for int8.
        sums: Whether the output is the accumulators, else states.
        fully_connected: Whether to call it one; the kernel covers the input.
        batches: Batch size.
        name: For messages.
        seed: Of the random numbers.
    """
    rng = np.random.default_rng(seed)
    x = states(rng, (batches, *size, options.input_channels), density)
    if input_bits == 8:
        x *= rng.integers(1, 129, x.shape).astype(np.int8)
    kernel_shape = (options.kernel_height, options.kernel_width)
    weights = states(
        rng,
        (options.output_channels, *kernel_shape, options.input_channels),
        weight_density,
    )
    accumulators = reference.conv2d(x, weights, _window(options))
    operation = "FULLY_CONNECTED" if fully_connected else "CONV2D"
    input_type = "T2" if input_bits == 2 else "S8"
    limit = options.depth * (1 if input_bits == 2 else 128)
    expected, thresholds = accumulators, np.empty(0, np.int32)
    if not sums:
        high, low = _thresholds(rng, accumulators, limit)
        expected = _states_out(accumulators, high, low, options)
        thresholds = (
            packing.pack_thresholds(high, low, options.depth)
            if input_bits == 2
            else packing.pair_thresholds(high, low)
        )
    return Layer(
        name or f"{operation.lower()} {options} {size} density={density}",
        Kernel[f"{operation}_{input_type}_{'S32' if sums else 'T2'}"],
        _params(x, options),
        packing.pack_activations(x) if input_bits == 2 else x,
        packing.pack_weights(weights),
        thresholds,
        expected,
        int(np.prod(accumulators.shape)) * options.depth,
    )


def depthwise(
    options: Conv2DOptions,
    size: tuple[int, int],
    *,
    density: float,
    sums: bool = False,
    seed: int = 0,
) -> Layer:
    """A depthwise convolution: as many output as input channels."""
    rng = np.random.default_rng(seed)
    channels = options.input_channels
    x = states(rng, (1, *size, channels), density)
    kernel_shape = (options.kernel_height, options.kernel_width)
    weights = states(rng, (channels, *kernel_shape, 1), 0.5)
    accumulators = reference.conv2d(
        x, weights, _window(options), groups=channels
    )
    depth = weights[0].size
    high, low = _thresholds(rng, accumulators, depth)
    return Layer(
        f"depthwise {options} {size} density={density}",
        Kernel[f"DEPTHWISE_CONV2D_T2_{'S32' if sums else 'T2'}"],
        _params(x, options),
        packing.pack_activations(x),
        packing.pack_weights(weights),
        np.empty(0, np.int32)
        if sums
        else packing.pack_thresholds(high, low, depth),
        accumulators if sums else _states_out(accumulators, high, low, options),
        accumulators.size * depth,
    )


def max_pool(
    options: MaxPool2DOptions,
    size: tuple[int, int],
    *,
    density: float,
    seed: int = 0,
) -> Layer:
    """A max-pool of packed states."""
    rng = np.random.default_rng(seed)
    x = states(rng, (1, *size, options.channels), density)
    window = Window(
        (options.pool_height, options.pool_width),
        (options.stride_height, options.stride_width),
        padding=(
            options.pad_top,
            options.pad_bottom,
            options.pad_left,
            options.pad_right,
        ),
    )
    return Layer(
        f"{options} {size} density={density}",
        Kernel.MAX_POOL2D_T2,
        (*x.shape, *dataclasses.astuple(options)[1:]),
        packing.pack_activations(x),
        np.empty(0, np.int32),
        np.empty(0, np.int32),
        packing.pack_activations(reference.max_pool(x, window)),
    )


def packs(
    positions: int, channels: int, *, density: float, seed: int = 0
) -> list[Layer]:
    """Packing of states, and its inverse."""
    rng = np.random.default_rng(seed)
    x = states(rng, (positions, channels), density)
    words = packing.pack_activations(x)
    none = np.empty(0, np.int32)
    text = f"{positions} x {channels} density={density}"
    return [
        Layer(f"{kernel.name} {text}", kernel, x.shape, source, none, none, to)
        for kernel, source, to in (
            (Kernel.PACK_S8_T2, x, words),
            (Kernel.UNPACK_T2_S8, words, x),
        )
    ]


def build_image(
    core: cores.Core,
    layers: Sequence[Layer],
    objects: Sequence[pathlib.Path],
    image: pathlib.Path,
    ways: Sequence[Way] = (Way.WIDEST,),
) -> None:
    """Builds an image that runs layers.

    Args:
        core: The core.
        layers: The layers; each of those that have no use for a buffer is
            run as often as the others.
        objects: The kernels and the start-up code, compiled for the core.
        image: The file to make, in a folder that has none of this name with
            other suffixes.
        ways: With which buffers to run each.
    """
    data = image.with_suffix(".bin")
    data.write_bytes(
        b"".join(_serialized(layer, ways) for layer in layers) + bytes(200)
    )
    runner = cores.compile_c(
        core,
        [_RUNNER],
        image.with_suffix(".objects"),
        [*cores.WARNINGS, f'-DLAYERS_FILE="{data}"'],
    )
    cores.link(core, [*runner, *objects], image)


def run_image(
    core: cores.Core, layers: Sequence[Layer], image: pathlib.Path
) -> list[Run]:
    """Runs an image of `build_image`.

    Raises:
        cores.ImageError: If it does not run to its end.
    """
    lines = cores.run(core, image).splitlines()
    [nothing] = map(int, lines[0].split())
    runs = []
    for line in lines[1:]:
        number, way, size, status, wrong, broken, ticks = map(int, line.split())
        faults = {
            "the kernel refuses the layer": status,
            "wrong words": wrong,
            "bytes written outside output and buffer": broken,
        }
        runs.append(
            Run(
                layers[number],
                Way(way),
                size,
                core.instructions(ticks - nothing),
                ", ".join(f"{text}: {n}" for text, n in faults.items() if n),
            )
        )
    return runs


def _window(options: Conv2DOptions) -> Window:
    return Window(
        (options.kernel_height, options.kernel_width),
        (options.stride_height, options.stride_width),
        (options.dilation_height, options.dilation_width),
        (
            options.pad_top,
            options.pad_bottom,
            options.pad_left,
            options.pad_right,
        ),
    )


def _pool(options: Conv2DOptions) -> Window:
    return Window(
        (options.pool_height, options.pool_width),
        (options.pool_stride_height, options.pool_stride_width),
        padding=(
            options.pool_pad_top,
            options.pool_pad_bottom,
            options.pool_pad_left,
            options.pool_pad_right,
        ),
    )


def _thresholds(
    rng: np.random.Generator, sums: Int32Array, limit: int
) -> tuple[Int32Array, Int32Array]:
    """Thresholds near the sums, some of them at the ends of their range."""
    spread = max(float(sums.std()), 1.0)
    pair = rng.normal(0, spread, (2, sums.shape[-1])).round()
    ends = rng.random(pair.shape) < 0.05
    pair = np.where(ends, np.sign(pair) * 2**30, pair).clip(-limit, limit + 1)
    low, high = np.sort(pair.astype(np.int32), axis=0)
    return high, low


def _states_out(
    sums: Int32Array, high: Int32Array, low: Int32Array, options: Conv2DOptions
) -> Int32Array:
    steps = Thresholds(np.stack([low, high]))
    pooled = reference.max_pool(reference.activate(sums, steps), _pool(options))
    return packing.pack_activations(pooled)


def _params(x: Int8Array, options: Conv2DOptions) -> tuple[int, ...]:
    """`gxnor_conv2d_params`."""
    values = dataclasses.asdict(options)
    channels = values.pop("input_channels"), values.pop("output_channels")
    return (*x.shape[:3], *channels, *values.values())


def _serialized(layer: Layer, ways: Sequence[Way]) -> bytes:
    """The struct `layer` of `run_layers.c` and the arrays behind it."""
    arrays = [
        np.ascontiguousarray(array).tobytes()
        for array in (
            layer.input,
            layer.weights,
            layer.thresholds,
            layer.expected,
        )
    ]
    words = [-(-len(array) // 4) for array in arrays]
    params = layer.params + (0,) * (_CONV_PARAMS - len(layer.params))
    head = [int(layer.kernel), sum(1 << way for way in ways), *words]
    return np.array([*head, *params, 0], "<i4").tobytes() + b"".join(
        array + bytes(-len(array) % 8) for array in arrays
    )
