# SPDX-License-Identifier: Apache-2.0
"""All kernels of this processor in the interpreter: they must not differ."""

import dataclasses
import threading
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export import delegate, packing, reference
from export.flatbuffer_builder import ModelBuilder
from export.op_schema import Conv2DOptions
from export.program import Window
from tests.export import helpers

NO_POOL = {
    f"pool_{name}": int(not name.startswith("pad"))
    for name in (
        *("height", "width", "stride_height", "stride_width"),
        *("pad_top", "pad_bottom", "pad_left", "pad_right"),
    )
}
KERNELS = ("reference", *delegate.get_kernels())
MANY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture(scope="module", params=KERNELS)
def gxnor(request: pytest.FixtureRequest) -> Any:
    return delegate.load_delegate(request.param)


def start(model: bytes, gxnor: Any, num_threads: int = 1) -> Any:
    started = litert.Interpreter(
        model_content=model,
        experimental_delegates=[gxnor],
        num_threads=num_threads,
    )
    started.allocate_tensors()
    return started


def run(started: Any, x: np.ndarray) -> np.ndarray:
    outputs: dict[str, np.ndarray] = started.get_signature_runner()(x=x)
    return outputs["y"]


def window(options: Conv2DOptions, kind: str) -> Window:
    """The window of the kernel or the pool, as the reference has it."""
    prefix = "pool_" if kind == "pool" else ""
    value = vars(options)
    size = kind if kind == "pool" else "kernel"
    return Window(
        size=(value[f"{size}_height"], value[f"{size}_width"]),
        strides=(
            value[f"{prefix}stride_height"],
            value[f"{prefix}stride_width"],
        ),
        padding=tuple(
            value[f"{prefix}pad_{side}"]
            for side in ("top", "bottom", "left", "right")
        ),
        **{}
        if kind == "pool"
        else {"dilation": (options.dilation_height, options.dilation_width)},
    )


@MANY
@given(problem=helpers.problems())
def test_states_are_those_of_the_reference(
    gxnor: Any, problem: helpers.Problem
) -> None:
    sums = reference.conv2d(
        problem.x, problem.weights, window(problem.options, "kernel")
    )
    states = (sums >= problem.high).astype(np.int8)
    states -= (sums < problem.low).astype(np.int8)
    states = reference.max_pool(states, window(problem.options, "pool"))
    started = start(helpers.one_op_model(problem), gxnor, num_threads=2)
    np.testing.assert_array_equal(
        run(started, problem.input), packing.pack_activations(states)
    )


@MANY
@given(problem=helpers.problems(pool=False))
def test_sums_are_those_of_the_reference(
    gxnor: Any, problem: helpers.Problem
) -> None:
    sums = reference.conv2d(
        problem.x, problem.weights, window(problem.options, "kernel")
    )
    started = start(
        helpers.one_op_model(problem, ternary=False), gxnor, num_threads=2
    )
    np.testing.assert_array_equal(run(started, problem.input), sums)


@MANY
@given(problem=helpers.problems(packed=True), ternary=st.booleans())
def test_depthwise(gxnor: Any, problem: helpers.Problem, ternary: bool) -> None:
    if not ternary:
        options = dataclasses.replace(problem.options, **NO_POOL)
        problem = dataclasses.replace(problem, options=options)
    depthwise = helpers.make_depthwise(problem)
    full, options = depthwise.full, depthwise.options
    expected = packing.pack_activations(full.states) if ternary else full.sums
    model = helpers.custom_op_model(
        custom_code=options.custom_code,
        options=options.to_bytes(),
        input_shape=(None, *full.input.shape[1:]),
        output_shape=(None, *expected.shape[1:]),
        weights=packing.pack_weights(depthwise.weights),
        thresholds=depthwise.thresholds if ternary else None,
        input_dtype=np.int32,
    )
    started = start(model, gxnor, num_threads=2)
    np.testing.assert_array_equal(run(started, full.input), expected)
    np.testing.assert_array_equal(run(started, full.input[:1]), expected[:1])


@MANY
@given(problem=helpers.problems(packed=True))
def test_max_pool(gxnor: Any, problem: helpers.Problem) -> None:
    states = np.sign(problem.sums).astype(np.int8)
    options = helpers.max_pool_options(problem.options)
    pooled = reference.max_pool(states, window(problem.options, "pool"))
    words = packing.pack_activations(states)
    expected = packing.pack_activations(pooled)
    builder = ModelBuilder()
    x = builder.tensor("x", (None, *words.shape[1:]), np.int32)
    y = builder.tensor("y", (None, *expected.shape[1:]), np.int32)
    builder.custom(options.custom_code, [x], [y], options.to_bytes())
    started = start(builder.finish({"x": x}, {"y": y}), gxnor)
    np.testing.assert_array_equal(run(started, words), expected)


def wide_problem(batch: int, size: int = 1) -> helpers.Problem:
    """A layer so wide that kernels may skip weights of zero inputs."""
    options = Conv2DOptions(
        input_channels=200,
        output_channels=1200,
        kernel_height=size,
        kernel_width=size,
    )
    return helpers.make_problem(
        options, packed=True, batch=batch, height=size, width=size
    )


def test_batches_are_resized(gxnor: Any) -> None:
    """Another batch may need weights in another order."""
    problem = wide_problem(40)
    started = start(helpers.one_op_model(problem), gxnor)
    expected = packing.pack_activations(problem.states)
    for batch in (1, 40, 3, 1, 17):
        np.testing.assert_array_equal(
            run(started, problem.input[:batch]), expected[:batch]
        )


@pytest.mark.parametrize("num_threads", [2, 3, 8])
def test_threads_do_not_matter(gxnor: Any, num_threads: int) -> None:
    options = Conv2DOptions(
        input_channels=64, output_channels=96, kernel_height=3, kernel_width=3
    )
    for problem in (
        helpers.make_problem(options, packed=True, height=30, width=30),
        helpers.make_problem(options, packed=False, height=30, width=30),
        wide_problem(1, size=3),
    ):
        started = start(helpers.one_op_model(problem), gxnor, num_threads)
        expected = packing.pack_activations(problem.states)
        for _ in range(20):
            np.testing.assert_array_equal(run(started, problem.input), expected)


def test_interpreters_share_the_threads(gxnor: Any) -> None:
    problem = wide_problem(1, size=3)
    expected = packing.pack_activations(problem.states)
    results: list[bool] = []

    def work() -> None:
        started = start(helpers.one_op_model(problem), gxnor, num_threads=3)
        results.extend(
            np.array_equal(run(started, problem.input), expected)
            for _ in range(50)
        )

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 150


def test_memory_is_counted() -> None:
    before = delegate.get_delegate_memory()
    assert before._fields == ("weights", "scratch")
    problem = wide_problem(1)
    model = helpers.one_op_model(problem)
    plain = start(model, delegate.load_delegate("reference"))
    assert delegate.get_delegate_memory().weights == before.weights
    started = start(model, delegate.load_delegate())
    held = delegate.get_delegate_memory()
    assert held.weights - before.weights > problem.weights.size / 4
    assert held.scratch > before.scratch
    del plain, started
    assert delegate.get_delegate_memory() == before


def test_weights_take_a_quarter_of_int8() -> None:
    """Packed weights and thresholds of a large layer."""
    before = delegate.get_delegate_memory().weights
    options = Conv2DOptions(
        input_channels=2048,
        output_channels=2048,
        kernel_height=1,
        kernel_width=1,
    )
    problem = helpers.make_problem(options, packed=True, height=1, width=1)
    started = start(helpers.one_op_model(problem), delegate.load_delegate())
    held = delegate.get_delegate_memory().weights - before
    del started
    assert held <= 0.27 * problem.weights.size


def test_memory_for_large_padding_is_bounded(gxnor: Any) -> None:
    """No copy of an input that is almost only padding."""
    before = sum(delegate.get_delegate_memory())
    options = Conv2DOptions(
        input_channels=3,
        output_channels=5,
        kernel_height=1,
        kernel_width=1,
        pad_top=3000,
        pad_left=3000,
        stride_height=1500,
        stride_width=1500,
    )
    problem = helpers.make_problem(options, packed=True)
    started = start(helpers.one_op_model(problem), gxnor)
    assert sum(delegate.get_delegate_memory()) - before < 100_000
    np.testing.assert_array_equal(
        run(started, problem.input), packing.pack_activations(problem.states)
    )


@pytest.mark.parametrize("kernels", ["", "mmx", "AVX2", None])
def test_unknown_kernels(kernels: Any) -> None:
    with pytest.raises(ValueError, match="must be one of auto, ref.*portable"):
        delegate.load_delegate(kernels)
