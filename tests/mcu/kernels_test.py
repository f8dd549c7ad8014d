# SPDX-License-Identifier: Apache-2.0
"""Every kernel on every core equals the reference, word for word."""

import dataclasses
import functools

import numpy as np
import pytest

from benchmarks.mcu import cores, layers
from export.op_schema import Conv2DOptions, MaxPool2DOptions

pytestmark = pytest.mark.mcu

DENSITIES = (0, 0.01, 0.33, 0.5, 0.62, 1)

SAME = {"pad_top": 1, "pad_bottom": 1, "pad_left": 1, "pad_right": 1}
POOL = {
    "pool_height": 2,
    "pool_width": 2,
    "pool_stride_height": 2,
    "pool_stride_width": 2,
}


def options(
    inputs: int, outputs: int, height: int, width: int, **others: int
) -> Conv2DOptions:
    return Conv2DOptions(
        input_channels=inputs,
        output_channels=outputs,
        kernel_height=height,
        kernel_width=width,
        **others,
    )


CONVOLUTIONS = (
    # Channels that are no multiple of 32, a pool that leaves a row out.
    (options(33, 35, 3, 3, **SAME, **POOL), (7, 6)),
    (options(1, 1, 1, 1), (1, 1)),
    (options(31, 10, 1, 1), (3, 9)),
    (options(96, 32, 2, 3, stride_height=2, stride_width=3), (7, 9)),
    (options(40, 64, 3, 3, **SAME, stride_height=1, stride_width=2), (6, 7)),
    (options(32, 40, 3, 2, dilation_height=2, pad_bottom=3), (5, 6)),
    # Dilated columns have no lists.
    (options(32, 33, 2, 3, dilation_width=2, pad_left=4), (3, 5)),
    # A pool with padding whose windows overlap.
    (
        options(
            64, 32, 3, 3, **SAME,
            pool_height=3, pool_width=2, pool_stride_height=2,
            pool_stride_width=1, pool_pad_top=1, pool_pad_left=1,
        ),
        (5, 5),
    ),
    # Two and four groups of outputs, which vectors take at once.
    (options(32, 64, 5, 5), (6, 7)),
    (options(64, 128, 3, 3, **SAME), (4, 3)),
    (options(40, 150, 3, 3, **SAME), (3, 3)),
)  # fmt: skip

FIRST_CONVOLUTIONS = (
    (options(1, 32, 5, 5), (12, 12)),
    (options(3, 32, 3, 3, **SAME), (9, 8)),
    (options(3, 40, 3, 3, **SAME, **POOL), (8, 9)),
    (options(1, 6, 5, 5, **POOL), (13, 16)),
    (options(4, 33, 2, 3, stride_height=2, stride_width=3), (7, 9)),
    (options(2, 32, 3, 3, dilation_height=2, dilation_width=3), (7, 9)),
    (options(1, 64, 10, 4, stride_height=2, stride_width=2), (20, 10)),
)

FULLY_CONNECTED = (
    # Batches, height, width, inputs, units.
    (1, 1, 1, 100, 10),
    (2, 3, 3, 33, 40),
    (1, 1, 1, 512, 128),
    # Vectors take two of the three groups, and one; lists have long blocks.
    (1, 1, 1, 900, 96),
)


def fully_connected(
    case: tuple[int, ...], density: float, *, sums: bool
) -> layers.Layer:
    batches, height, width, inputs, units = case
    return layers.convolution(
        options(inputs, units, height, width),
        (height, width),
        density=density,
        sums=sums,
        fully_connected=True,
        batches=batches,
    )


def without_pool(conv: Conv2DOptions) -> Conv2DOptions:
    names = (f.name for f in dataclasses.fields(conv))
    return dataclasses.replace(
        conv,
        **{
            name: 0 if "pad" in name else 1
            for name in names
            if name.startswith("pool_")
        },
    )


@functools.cache
def cases(density: float) -> list[layers.Layer]:
    made = []
    for input_bits, convolutions in (
        (2, CONVOLUTIONS),
        (8, FIRST_CONVOLUTIONS),
    ):
        for number, (conv, size) in enumerate(convolutions):
            for sums in (False, True):
                made.append(
                    layers.convolution(
                        without_pool(conv) if sums else conv,
                        size,
                        density=density,
                        # Some have more weights 0 than others.
                        weight_density=(0.5, 0.67, 1, 0.1)[number % 4],
                        input_bits=input_bits,
                        sums=sums,
                        batches=2 if number % 4 == 0 else 1,
                        seed=number,
                    )
                )
    for case in FULLY_CONNECTED:
        made.append(fully_connected(case, density, sums=False))
        made.append(fully_connected(case, density, sums=True))
    for channels in (32, 40):
        conv = options(channels, channels, 3, 3, **SAME, **POOL)
        made.append(layers.depthwise(conv, (6, 7), density=density))
        strided = options(channels, channels, 3, 2, stride_height=2)
        made.append(layers.depthwise(strided, (7, 5), density=density))
        made.append(
            layers.depthwise(strided, (5, 5), density=density, sums=True)
        )
    for pad in (0, 1):
        pool = MaxPool2DOptions(
            channels=40,
            pool_height=3,
            pool_width=2,
            stride_height=2,
            stride_width=2,
            pad_top=pad,
            pad_right=pad,
        )
        made.append(layers.max_pool(pool, (7, 6), density=density))
    made += layers.packs(4, 33, density=density)
    made += layers.packs(4, 64, density=density)
    return made


def run(
    bench: cores.Bench, made: list[layers.Layer], name: str
) -> list[layers.Run]:
    image = bench.folder / f"{name}.elf"
    layers.build_image(bench.core, made, bench.objects, image, list(layers.Way))
    runs = layers.run_image(bench.core, made, image)
    assert [(run.layer, run.way) for run in runs] == [
        (layer, way) for layer in made for way in layers.Way
    ]
    return runs


@pytest.mark.parametrize("density", DENSITIES)
def test_outputs_equal_the_reference(
    bench: cores.Bench, density: float
) -> None:
    made = cases(density)
    assert {layer.kernel for layer in made} == set(layers.Kernel)
    runs = run(bench, made, f"kernels-{density}")
    assert [
        f"{run.layer.name}, buffer {run.way.name}: {run.fault}"
        for run in runs
        if run.fault
    ] == []


def test_depth_beyond_16_bits_of_bytes(bench: cores.Bench) -> None:
    """An offset in bytes of the last record needs more than 16 bits."""
    layer = fully_connected((1, 1, 1, 8300, 20), 0.5, sums=False)
    for made in run(bench, [layer], "deep"):
        assert made.fault == ""


def test_all_states_occur() -> None:
    """So the comparison sees every kind of output."""
    for layer in cases(0.5):
        if (
            layer.kernel == layers.Kernel.CONV2D_T2_T2
            and layer.expected.size > 4
        ):
            assert np.any(layer.expected[..., 0::2])
            assert np.any(layer.expected[..., 1::2])


def test_wrong_word_is_found(m4: cores.Bench) -> None:
    [layer] = cases(0.5)[:1]
    expected = layer.expected.copy()
    expected.flat[-1] ^= 1
    wrong = dataclasses.replace(layer, expected=expected)
    assert {r.fault for r in run(m4, [wrong], "wrong")} == {"wrong words: 1"}


def test_write_behind_the_output_is_found(m4: cores.Bench) -> None:
    [layer] = cases(0.5)[:1]
    short = dataclasses.replace(layer, expected=layer.expected.ravel()[:-2])
    for made in run(m4, [short], "short"):
        assert "written outside" in made.fault


def test_refused_layer_is_found(m4: cores.Bench) -> None:
    [layer] = cases(0.5)[-1:]
    refused = dataclasses.replace(layer, params=(0, 64))
    for made in run(m4, [refused], "refused"):
        assert "refuses" in made.fault
