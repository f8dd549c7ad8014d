# SPDX-License-Identifier: Apache-2.0
"""The NumPy oracle against Keras' own convolution and pooling."""

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import strategies as st

from export import fusion, reference
from export.program import Thresholds, Window
from tests.export import nets


@st.composite
def windows(draw):
    size = draw(st.integers(4, 9)), draw(st.integers(4, 9))
    kernel = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    strides = draw(st.integers(1, 3))
    dilation = draw(st.integers(1, 3)) if strides == 1 else 1
    padding = draw(st.sampled_from(["valid", "same"]))
    extent = [(k - 1) * dilation + 1 for k in kernel]
    hypothesis.assume(padding == "same" or all(np.less_equal(extent, size)))
    return size, kernel, (strides, strides), padding, (dilation, dilation)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(windows(), st.integers(0, 99))
def test_conv2d(window, seed):
    size, kernel, strides, padding, dilation = window
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, (2, *size, 3)).astype(np.int8)
    w = rng.integers(-1, 2, (5, *kernel, 3)).astype(np.int8)
    expected = keras.ops.conv(
        x.astype(np.float32),
        w.transpose(1, 2, 3, 0).astype(np.float32),
        strides=strides,
        padding=padding,
        dilation_rate=dilation,
    )
    found = reference.conv2d(
        x, w, Window.from_keras(kernel, strides, padding, size, dilation)
    )
    assert found.dtype == np.int32
    assert (found == np.asarray(expected)).all()


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(windows(), st.integers(0, 99))
def test_max_pool(window, seed):
    size, kernel, strides, padding, dilation = window
    hypothesis.assume(dilation == (1, 1))
    x = np.random.default_rng(seed).integers(-1, 2, (2, *size, 3))
    expected = keras.ops.max_pool(
        x.astype(np.float32), kernel, strides, padding
    )
    found = reference.max_pool(
        x.astype(np.int8), Window.from_keras(kernel, strides, padding, size)
    )
    assert (found == np.asarray(expected)).all()


def test_activate_at_the_thresholds():
    thresholds = Thresholds(np.array([[-2, 5], [3, 5]], np.int32))
    sums = np.array([[-3, 4], [-2, 5], [2, 6], [3, 6]], np.int32)
    states = reference.activate(sums, thresholds)
    assert states.tolist() == [[-1, -1], [0, 1], [0, 1], [1, 1]]
    binary = Thresholds(np.array([[-2, 5]], np.int32), stride=2)
    states = reference.activate(sums, binary)
    assert states.tolist() == [[-1, -1], [1, 1], [1, 1], [1, 1]]


@pytest.mark.parametrize("number", [1, 2, 4, 8, 64])
def test_a_staircase_is_the_sum_of_ternary_ones(number):
    rng = np.random.default_rng(number)
    steps = np.sort(rng.integers(-50, 50, (number, 7)), 0).astype(np.int32)
    thresholds = Thresholds(steps, 2 if number == 1 else 1)
    sums = rng.integers(-60, 60, (100, 7)).astype(np.int32)
    total = np.zeros(sums.shape, np.int32)
    for low, high in thresholds.pairs:
        total += (sums >= high).astype(np.int32) - (sums < low)
    assert (total == reference.activate(sums, thresholds)).all()


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((2, 45), np.float32),
        np.zeros((2, 44), np.int8),
        np.zeros((45,), np.int8),
    ],
)
def test_wrong_input(x):
    program = fusion.fuse(nets.dense_only(0))
    with pytest.raises(ValueError, match=r"int8 of shape \(batch"):
        reference.run(program, x)
