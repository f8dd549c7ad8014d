# SPDX-License-Identifier: Apache-2.0
"""The host's kernels as a program, here and on an emulated 64-bit Arm.

The C tests of these kernels are run on both, too: `make test-aarch64`.
"""

import dataclasses
import pathlib
import struct
import subprocess

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export import delegate, packing, reference
from tests.export import helpers
from tests.export.compilers import host_compiler, need
from tests.export.delegate_kernels_test import NO_POOL, window
from tests.export.kernels_test import params_of

RUNTIME = delegate.get_include().parent
PROGRAM = (
    pathlib.Path(__file__).parents[1] / "runtime" / "run_kernels.c",
    *sorted((RUNTIME / "host").glob("*.c")),
    *sorted((RUNTIME / "src").glob("*.c")),
)
CROSS_COMPILER = "aarch64-linux-gnu-gcc"
EMULATOR = "qemu-aarch64"


@dataclasses.dataclass(frozen=True)
class Target:
    """A program of the kernels.

    Attributes:
        command: Runs it.
        kernels: How many kernels it has.
    """

    command: tuple[str, ...]
    kernels: int


@pytest.fixture(scope="module", params=["here", "aarch64"])
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Target:
    command = host_compiler()
    emulator: list[str] = []
    kernels = len(delegate.get_kernels())
    if request.param == "aarch64":
        need(CROSS_COMPILER, EMULATOR)
        command, emulator, kernels = [CROSS_COMPILER, "-static"], [EMULATOR], 2
    path = tmp_path_factory.mktemp(request.param) / "run_kernels"
    includes = [f"-I{RUNTIME / name}" for name in ("include", "host", "src")]
    subprocess.run(
        [*command, "-std=c11", "-O3", *includes, *map(str, PROGRAM)]
        + ["-o", str(path)],
        check=True,
        timeout=300,
    )
    return Target((*emulator, str(path)), kernels)


MANY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@MANY
@given(
    problem=helpers.problems(),
    ternary=st.booleans(),
    depthwise=st.booleans(),
)
def test_kernels_are_the_reference(
    target: Target, problem: helpers.Problem, ternary: bool, depthwise: bool
) -> None:
    if not ternary:
        options = dataclasses.replace(problem.options, **NO_POOL)
        problem = dataclasses.replace(problem, options=options)
    weights, thresholds = problem.weights, problem.thresholds
    depthwise = depthwise and problem.packed
    if depthwise:
        made = helpers.make_depthwise(problem)
        problem, weights = made.full, made.weights
        thresholds = made.thresholds
    expected = reference.conv2d(
        problem.x, problem.weights, window(problem.options, "kernel")
    )
    if ternary:
        states = (expected >= problem.high).astype(np.int8)
        states -= (expected < problem.low).astype(np.int8)
        expected = packing.pack_activations(
            reference.max_pool(states, window(problem.options, "pool"))
        )
    tensors = [problem.input, packing.pack_weights(weights), thresholds]
    stdin = b"".join(
        [
            struct.pack("<3i", depthwise, not problem.packed, not ternary),
            bytes(params_of(problem)),
            struct.pack("<4I", *(t.nbytes for t in (*tensors, expected))),
            *(tensor.tobytes() for tensor in tensors),
        ]
    )
    stdout = subprocess.run(
        target.command, input=stdin, capture_output=True, check=True, timeout=60
    ).stdout
    assert stdout == expected.tobytes() * target.kernels
