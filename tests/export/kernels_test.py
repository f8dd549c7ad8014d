# SPDX-License-Identifier: Apache-2.0
"""The C kernels, compiled as a user would, against a plain convolution."""

import ctypes
import dataclasses
import pathlib
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from export import delegate, packing
from export.op_schema import Conv2DOptions
from tests.export import helpers
from tests.export.compilers import host_compiler

FLAGS = (
    "-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Wvla -Werror "
    "-ffreestanding -O2"
).split()
INCLUDE = delegate.get_include()
SOURCES = sorted((INCLUDE.parent / "src").glob("gxnor_*.c"))
OK, ERR_ARG, ERR_SHAPE = 0, -1, -2

PARAMS = (
    "batches", "input_height", "input_width", "input_channels",
    "output_channels", "kernel_height", "kernel_width", "stride_height",
    "stride_width", "dilation_height", "dilation_width", "pad_top",
    "pad_bottom", "pad_left", "pad_right", "pool_height", "pool_width",
    "pool_stride_height", "pool_stride_width", "pool_pad_top",
    "pool_pad_bottom", "pool_pad_left", "pool_pad_right",
)  # fmt: skip
SHAPE = (
    "conv_height", "conv_width", "output_height", "output_width", "depth",
    "planes", "input_groups", "output_groups",
)  # fmt: skip


class Params(ctypes.Structure):
    """`gxnor_conv2d_params`."""

    _fields_ = [(name, ctypes.c_int32) for name in PARAMS]


class PackParams(ctypes.Structure):
    """`gxnor_pack_params`."""

    _fields_ = [("positions", ctypes.c_int32), ("channels", ctypes.c_int32)]


class MaxPoolParams(ctypes.Structure):
    """`gxnor_max_pool2d_params`."""

    _fields_ = [
        (name, ctypes.c_int32)
        for name in (
            "batches", "input_height", "input_width", "channels",
            "pool_height", "pool_width", "stride_height", "stride_width",
            "pad_top", "pad_bottom", "pad_left", "pad_right",
        )
    ]  # fmt: skip


class Shape(ctypes.Structure):
    """`gxnor_conv2d_shape`."""

    _fields_ = [(name, ctypes.c_int32) for name in SHAPE]


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The kernels as a shared library."""
    path = tmp_path_factory.mktemp("kernels") / "libgxnor_kernels.so"
    subprocess.run(
        [*host_compiler(), *FLAGS, "-shared", "-fPIC", f"-I{INCLUDE}"]
        + [*map(str, SOURCES), "-o", str(path)],
        check=True,
        timeout=120,
    )
    return ctypes.CDLL(str(path))


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)


def params_of(problem: helpers.Problem) -> Params:
    batch, height, width, _ = problem.x.shape
    return Params(
        batches=batch,
        input_height=height,
        input_width=width,
        **dataclasses.asdict(problem.options),
    )


def buffer_for(
    kernels: ctypes.CDLL, problem: helpers.Problem, positions: int
) -> np.ndarray:
    """A buffer; two bytes behind it show overruns.

    That of a kernel for packed inputs has lists of so many positions, that of
    others is the smaller the fewer these are.
    """
    size = ctypes.c_size_t()
    params = ctypes.byref(params_of(problem))
    if problem.packed:
        status = kernels.gxnor_conv2d_get_buffer_size(
            params, max(positions, 1), ctypes.byref(size)
        )
    else:
        status = kernels.gxnor_conv2d_s8_get_buffer_size(
            params, ctypes.byref(size)
        )
        size.value = size.value * min(positions, 3) // 3
    assert status == OK
    return np.full(size.value // 2 + 1, 0x5A5A, np.uint16)


def run(
    kernels: ctypes.CDLL,
    problem: helpers.Problem,
    *,
    ternary: bool,
    listed: int = 0,
) -> np.ndarray:
    """Runs the kernel that fits the problem.

    Args:
        kernels: The library.
        problem: The problem.
        ternary: Whether the kernel has thresholds.
        listed: Positions that the buffer is for, 0 for none.
    """
    name = f"gxnor_conv2d_{'t2' if problem.packed else 's8'}_"
    name += "t2" if ternary else "s32"
    arrays = [problem.input, packing.pack_weights(problem.weights)]
    if ternary:
        arrays.append(problem.thresholds)
    shape = problem.options.output_shape(problem.x.shape, packed=ternary)
    # A word behind the output shows whether the kernel writes beyond it.
    guarded = np.full(np.prod(shape) + 1, 0x5A5A5A5A, np.int32)
    memory = buffer_for(kernels, problem, listed)
    size = ctypes.c_size_t(memory.nbytes - 2)
    status = getattr(kernels, name)(
        ctypes.byref(params_of(problem)),
        *map(pointer, arrays),
        *([pointer(memory), size] if listed else [None, 0]),
        pointer(guarded),
    )
    assert status == OK
    assert memory[-1] == 0x5A5A
    assert guarded[-1] == 0x5A5A5A5A
    return guarded[:-1].reshape(shape)


MANY = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


LISTED = st.sampled_from([0, 1, 2, 2**31 - 1])


@MANY
@given(problem=helpers.problems(), listed=LISTED)
def test_ternary_output(
    kernels: ctypes.CDLL, problem: helpers.Problem, listed: int
) -> None:
    words = run(kernels, problem, ternary=True, listed=listed)
    np.testing.assert_array_equal(
        words, packing.pack_activations(problem.states)
    )


@MANY
@given(problem=helpers.problems(pool=False), listed=LISTED)
def test_sums(
    kernels: ctypes.CDLL, problem: helpers.Problem, listed: int
) -> None:
    sums = run(kernels, problem, ternary=False, listed=listed)
    np.testing.assert_array_equal(sums, problem.sums)


@MANY
@given(problem=helpers.problems(packed=True))
def test_depthwise(kernels: ctypes.CDLL, problem: helpers.Problem) -> None:
    depthwise = helpers.make_depthwise(problem)
    full = depthwise.full
    expected = packing.pack_activations(full.states)
    output = np.empty_like(expected)
    arrays = [
        full.input,
        packing.pack_weights(depthwise.weights),
        depthwise.thresholds,
        output,
    ]
    status = kernels.gxnor_depthwise_conv2d_t2_t2(
        ctypes.byref(params_of(full)), *map(pointer, arrays)
    )
    assert status == OK
    np.testing.assert_array_equal(output, expected)


@MANY
@given(problem=helpers.problems(packed=True, pool=False))
def test_depthwise_sums(kernels: ctypes.CDLL, problem: helpers.Problem) -> None:
    depthwise = helpers.make_depthwise(problem)
    full = depthwise.full
    output = np.empty_like(full.sums)
    arrays = [full.input, packing.pack_weights(depthwise.weights), output]
    status = kernels.gxnor_depthwise_conv2d_t2_s32(
        ctypes.byref(params_of(full)), *map(pointer, arrays)
    )
    assert status == OK
    np.testing.assert_array_equal(output, full.sums)


@MANY
@given(problem=helpers.problems(packed=True))
def test_max_pool(kernels: ctypes.CDLL, problem: helpers.Problem) -> None:
    sums = problem.sums
    states = (sums >= problem.high).astype(np.int8)
    states -= (sums < problem.low).astype(np.int8)
    options = helpers.max_pool_options(problem.options)
    params = MaxPoolParams(*states.shape, *dataclasses.astuple(options)[1:])
    expected = packing.pack_activations(problem.states)
    arrays = [packing.pack_activations(states), np.empty_like(expected)]
    status = kernels.gxnor_max_pool2d_t2(
        ctypes.byref(params), *map(pointer, arrays)
    )
    assert status == OK
    np.testing.assert_array_equal(arrays[1], expected)


@MANY
@given(problem=helpers.problems())
def test_shape(kernels: ctypes.CDLL, problem: helpers.Problem) -> None:
    shape, options = Shape(), problem.options
    status = kernels.gxnor_conv2d_get_shape(
        ctypes.byref(params_of(problem)), ctypes.byref(shape)
    )
    assert status == OK
    size = problem.x.shape[1:3]
    assert (shape.conv_height, shape.conv_width) == options.conv_size(*size)
    assert (shape.output_height, shape.output_width) == options.output_size(
        *size
    )
    assert shape.depth == options.depth
    assert shape.planes == packing.planes_for(options.depth)
    assert shape.input_groups == packing.groups_for(options.input_channels)
    assert shape.output_groups == packing.groups_for(options.output_channels)


@pytest.mark.parametrize("packed", [False, True])
def test_sign_flips(kernels: ctypes.CDLL, packed: bool) -> None:
    """Negated weights negate the sums; so do negated ternary inputs."""
    options = Conv2DOptions(
        input_channels=40, output_channels=35, kernel_height=3, kernel_width=3
    )
    problem = helpers.make_problem(options, packed=packed)
    sums = run(kernels, problem, ternary=False)
    assert np.any(sums)
    flipped = dataclasses.replace(problem, weights=-problem.weights)
    np.testing.assert_array_equal(run(kernels, flipped, ternary=False), -sums)
    if packed:
        flipped = dataclasses.replace(problem, x=-problem.x)
        np.testing.assert_array_equal(
            run(kernels, flipped, ternary=False), -sums
        )


def test_fully_connected_covers_its_input(kernels: ctypes.CDLL) -> None:
    params = Params()
    status = kernels.gxnor_fully_connected_get_params(
        2, 3, 4, 33, 10, ctypes.byref(params)
    )
    assert status == OK
    options = Conv2DOptions(
        input_channels=33, output_channels=10, kernel_height=3, kernel_width=4
    )
    problem = helpers.make_problem(
        options, packed=True, batch=2, height=3, width=4
    )
    assert bytes(params) == bytes(params_of(problem))
    np.testing.assert_array_equal(
        run(kernels, problem, ternary=False)[:, 0, 0],
        problem.x.reshape(2, -1).astype(int)
        @ problem.weights.reshape(10, -1).T,
    )


@st.composite
def binary_problems(draw: st.DrawFn) -> helpers.Problem:
    """Problems whose outputs have no zero: high == low, near and far."""
    problem = draw(helpers.problems())
    peak = 1 if problem.packed else 128
    depth = peak * problem.options.depth
    edges = st.sampled_from([-depth, 1 - depth, 0, depth, depth + 1])
    threshold = np.where(
        draw(hnp.arrays(bool, problem.high.shape)),
        draw(hnp.arrays(np.int32, problem.high.shape, elements=edges)),
        problem.high,
    )
    return dataclasses.replace(problem, high=threshold, low=threshold)


@MANY
@given(problem=binary_problems())
def test_binary_output(kernels: ctypes.CDLL, problem: helpers.Problem) -> None:
    states = problem.states
    assert np.all(states != 0)
    words = run(kernels, problem, ternary=True)
    np.testing.assert_array_equal(words, packing.pack_activations(states))


@pytest.mark.parametrize("packed", [False, True])
def test_binary_output_that_never_changes(
    kernels: ctypes.CDLL, packed: bool
) -> None:
    """The ends of the range: every sum is >= -depth, none >= depth + 1."""
    options = Conv2DOptions(
        input_channels=33, output_channels=35, kernel_height=2, kernel_width=3
    )
    problem = helpers.make_problem(options, packed=packed, density=1.0)
    # The first sums are the largest and the smallest that there are.
    weights = problem.weights.copy()
    weights[:2] = np.sign(problem.x[0, :2, :3])
    weights[1] *= -1
    depth = options.depth * (1 if packed else 128)
    for threshold, state in ((-depth, 1), (depth + 1, -1)):
        thresholds = np.full(35, threshold, np.int32)
        changed = dataclasses.replace(
            problem, weights=weights, high=thresholds, low=thresholds
        )
        if packed:
            assert changed.sums[0, 0, 0, :2].tolist() == [depth, -depth]
        words = run(kernels, changed, ternary=True)
        np.testing.assert_array_equal(
            packing.unpack_activations(words, 35), np.int8(state)
        )


def run_pack(
    kernels: ctypes.CDLL, name: str, x: np.ndarray, channels: int
) -> np.ndarray:
    """Runs `gxnor_pack_s8_t2` or `gxnor_unpack_t2_s8`."""
    packs = name == "gxnor_pack_s8_t2"
    size = packing.groups_for(channels) * 2 if packs else channels
    params = PackParams(x.size // x.shape[-1], channels)
    # An element behind the output shows whether the kernel writes beyond it.
    guarded = np.full(
        params.positions * size + 1, 0x5A, np.int32 if packs else np.int8
    )
    status = getattr(kernels, name)(
        ctypes.byref(params), pointer(x), pointer(guarded)
    )
    assert status == OK
    assert guarded[-1] == 0x5A
    return guarded[:-1].reshape(*x.shape[:-1], size)


SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 100))


@MANY
@given(states=SHAPES.flatmap(lambda shape: hnp.arrays(np.int8, shape)))
def test_pack(kernels: ctypes.CDLL, states: np.ndarray) -> None:
    words = run_pack(kernels, "gxnor_pack_s8_t2", states, states.shape[-1])
    # Of what is no state the sign counts.
    np.testing.assert_array_equal(
        words, packing.pack_activations(np.sign(states))
    )
    np.testing.assert_array_equal(
        run_pack(kernels, "gxnor_unpack_t2_s8", words, states.shape[-1]),
        np.sign(states),
    )


@MANY
@given(
    channels=st.integers(1, 100),
    positions=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_unpack_any_words(
    kernels: ctypes.CDLL, channels: int, positions: int, seed: int
) -> None:
    groups = packing.groups_for(channels)
    words = (
        np.random.default_rng(seed)
        .integers(-(2**31), 2**31, (positions, 2 * groups))
        .astype(np.int32)
    )
    pairs = words.reshape(positions, groups, 2).astype(np.uint32)
    bits = pairs[..., None] >> np.arange(32, dtype=np.uint32) & 1
    states = bits[:, :, 0].astype(np.int8) - bits[:, :, 1].astype(np.int8)
    np.testing.assert_array_equal(
        run_pack(kernels, "gxnor_unpack_t2_s8", words, channels),
        states.reshape(positions, -1)[:, :channels],
    )


def test_errors(kernels: ctypes.CDLL) -> None:
    none = ctypes.c_void_p()
    params = Params()
    word = np.zeros(1, np.int32)
    assert (
        kernels.gxnor_conv2d_t2_s32(none, none, none, none, 0, none) == ERR_ARG
    )
    assert (
        kernels.gxnor_conv2d_t2_s32(
            ctypes.byref(params),
            pointer(word),
            pointer(word),
            none,
            0,
            pointer(word),
        )
        == ERR_SHAPE
    )


@pytest.mark.parametrize("level", ["-Os", "-O2", "-O3"])
def test_kernels_need_no_library(level: str, tmp_path: pathlib.Path) -> None:
    """What the objects do not define themselves would be a C library."""
    nm = shutil.which("nm")
    if nm is None:
        pytest.fail("The tool nm is missing: install binutils.")
    subprocess.run(
        [*host_compiler(), *FLAGS, level, f"-I{INCLUDE}", "-c"]
        + [*map(str, SOURCES)],
        check=True,
        cwd=tmp_path,
        timeout=120,
    )
    lines = subprocess.run(
        [nm, *map(str, tmp_path.glob("*.o"))],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    symbols = [line.split()[-2:] for line in lines if len(line.split()) > 1]
    defined = {name for kind, name in symbols if kind != "U"}
    assert {name for _, name in symbols} - defined <= {"_GLOBAL_OFFSET_TABLE_"}
    assert all(
        name.startswith("gxnor_") for kind, name in symbols if kind in "TRDBC"
    )
    # No variables: neither data nor bss.
    assert not [name for kind, name in symbols if kind in "dDbBC"]


def test_headers_compile_alone_and_as_cpp(tmp_path: pathlib.Path) -> None:
    headers = sorted((INCLUDE / "gxnor").glob("*.h"))
    assert headers
    for header in headers:
        for language in ("c", "c++"):
            if language == "c++" and not shutil.which("c++"):
                continue
            subprocess.run(
                [*host_compiler(), "-x", language, "-fsyntax-only", "-Wall"]
                + ["-Werror", f"-I{INCLUDE}", "-"],
                input=f"#include <gxnor/{header.name}>\n",
                check=True,
                text=True,
                cwd=tmp_path,
                timeout=60,
            )


def test_structs_are_those_of_the_headers() -> None:
    """The ctypes structures above have the same members, in order."""
    for header, name, structure in (
        ("types.h", "gxnor_conv2d_params", Params),
        ("types.h", "gxnor_conv2d_shape", Shape),
        ("pack.h", "gxnor_pack_params", PackParams),
    ):
        text = (INCLUDE / "gxnor" / header).read_text()
        body: Any = text.split(f"typedef struct {name} {{")[1]
        body = body.split("}")[0]
        members = [
            line.split(";")[0].split()[-1]
            for line in body.splitlines()
            if line.strip().startswith("int32_t")
        ]
        assert members == [field for field, _ in structure._fields_]
