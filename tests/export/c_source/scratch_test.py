# SPDX-License-Identifier: Apache-2.0
"""The sizes of buffers are those that the C kernels compute."""

import ctypes
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export import delegate
from export.c_source import scratch
from tests.export import helpers
from tests.export.compilers import host_compiler
from tests.export.kernels_test import params_of

RUNTIME = delegate.get_include().parent


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    path = tmp_path_factory.mktemp("kernels") / "libgxnor_kernels.so"
    sources = map(str, sorted((RUNTIME / "src").rglob("*.c")))
    subprocess.run(
        [*host_compiler(), "-std=c99", "-shared", "-fPIC"]
        + [f"-I{RUNTIME / 'include'}", *sources, "-o", str(path)],
        check=True,
        timeout=120,
    )
    return ctypes.CDLL(str(path))


def as_dict(params: ctypes.Structure) -> dict[str, int]:
    return {name: getattr(params, name) for name, *_ in params._fields_}


WIDTHS = st.sampled_from([1, 7, 8, 30, 200])


@given(helpers.problems(), st.sampled_from([1, 8, 300, 9000, 70000]))
def test_lists_of_packed_inputs(
    kernels: ctypes.CDLL, problem: helpers.Problem, channels: int
) -> None:
    params = params_of(problem)
    params.input_channels = channels
    expected = {0}
    size = ctypes.c_size_t()
    for positions in range(1, 20):
        status = kernels.gxnor_conv2d_get_buffer_size(
            ctypes.byref(params), positions, ctypes.byref(size)
        )
        assert status == 0
        expected.add(size.value)
    found = scratch.sizes("gxnor_conv2d_t2_t2", as_dict(params))
    assert found == sorted(expected)
    assert scratch.sizes("gxnor_conv2d_t2_s32", as_dict(params)) == found


@given(
    helpers.problems(),
    st.sampled_from([1, 3, 28, 40, 300, 9000, 70000]),
    WIDTHS,
)
def test_buffers_of_int8_inputs(
    kernels: ctypes.CDLL, problem: helpers.Problem, channels: int, width: int
) -> None:
    params = params_of(problem)
    params.input_channels = channels
    params.input_width = max(width, params.input_width)
    size = ctypes.c_size_t()
    status = kernels.gxnor_conv2d_s8_get_buffer_size(
        ctypes.byref(params), ctypes.byref(size)
    )
    assert status == 0
    for name in ("gxnor_conv2d_s8_t2", "gxnor_conv2d_s8_s32"):
        assert scratch.sizes(name, as_dict(params))[-1] == size.value


def test_other_kernels_have_no_buffer() -> None:
    assert scratch.sizes("gxnor_max_pool2d_t2", {}) == [0]
    assert scratch.sizes("gxnor_depthwise_conv2d_t2_t2", {}) == [0]
