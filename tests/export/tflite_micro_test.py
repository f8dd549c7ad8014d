# SPDX-License-Identifier: Apache-2.0
"""The custom ops in TensorFlow Lite Micro: gxnor_ops.cc in its own wheel.

The wheel `tflite-micro` has no headers. `tests/runtime/tflite_micro` declares
what gxnor_ops.cc needs of them, and finds it in the wheel by name. There, too,
are guard words behind all memory that the ops get.
"""

import ctypes
import dataclasses
import os
import pathlib
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from flatbuffers import flexbuffers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import datasets

from export import delegate, fusion, lowering, packing, reference, verification
from export.op_options import Options
from export.op_schema import (
    FullyConnectedOptions,
    MaxPool2DOptions,
    PackOptions,
    UnpackOptions,
    packed_size,
)
from export.program import Program
from tests.export import helpers, nets, wrong_models
from tests.export.wrong_models import OPTIONS, PACKED
from train import config, models

if "CI" not in os.environ and (
    platform.machine() != "x86_64" or platform.system() != "Linux"
):
    # In CI the import below fails where there is no wheel.
    pytest.skip(
        "There are wheels of tflite-micro for Linux on x86-64 only.",
        allow_module_level=True,
    )

from tflite_micro.python.tflite_micro import runtime  # noqa: E402

RUNTIME = delegate.get_include().parent
STAND_INS = (
    pathlib.Path(__file__)
    .absolute()
    .parents[1]
    .joinpath("runtime", "tflite_micro")
)
ARENA_BYTES = 1 << 21
LIMIT = 100
STRIP = "TF_LITE_STRIP_ERROR_STRINGS"
BUILDS = {
    "now": (),
    # Where TFLM's types were until September 2026.
    "global_types": ("-DGXNOR_TEST_GLOBAL_TYPES",),
    "little_scratch": (f"-DGXNOR_OPS_MAX_SCRATCH_BYTES={LIMIT}",),
    "no_scratch": ("-DGXNOR_OPS_MAX_SCRATCH_BYTES=0",),
    "guard_in_scratch": ("-DGXNOR_TEST_GUARD_SHIFT=4",),
}


MANY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
SOME_BUILDS = st.sampled_from(["now", "global_types", "little_scratch"])


def compiler(variable: str, default: str) -> list[str]:
    """The compiler that an environment variable names, or the default."""
    command = os.environ.get(variable, default).split()
    assert shutil.which(command[0]), (
        f"The compiler {command[0]} is missing: install it or set {variable}."
    )
    return command


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The C part, which all builds share."""
    folder = tmp_path_factory.mktemp("objects")
    sources = [*RUNTIME.glob("src/*.c"), *RUNTIME.glob("ops/*.c")]
    subprocess.run(
        [*compiler("CC", "cc"), "-std=c99", "-O2", "-Wall", "-Wextra"]
        + ["-Werror", "-fPIC", "-fvisibility=hidden"]
        + [f"-I{RUNTIME / 'include'}", "-c", *map(str, sources)],
        check=True,
        cwd=folder,
        timeout=120,
    )
    return [str(path) for path in folder.glob("*.o")]


@pytest.fixture(scope="module")
def load(
    objects: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], ctypes.CDLL]:
    """Loads builds by their name; each is compiled when asked for."""
    folder = tmp_path_factory.mktemp("builds")
    ctypes.CDLL(runtime._runtime.__file__, ctypes.RTLD_GLOBAL)
    loaded: dict[str, ctypes.CDLL] = {}

    def load(build: str) -> ctypes.CDLL:
        if build not in loaded:
            path = folder / f"{build}.so"
            subprocess.run(
                [*compiler("CXX", "c++"), "-std=c++17", "-O2", "-fno-rtti"]
                + ["-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
                + ["-fvisibility=hidden", f"-DGXNOR_TEST_SUFFIX={build}"]
                + [*BUILDS[build], f"-I{RUNTIME / 'include'}", f"-I{STAND_INS}"]
                + [f"-I{RUNTIME / 'tflite_micro'}"]
                + [str(RUNTIME / "tflite_micro" / "gxnor_ops.cc")]
                + [str(STAND_INS / "wheel.cc"), *objects, "-o", str(path)],
                check=True,
                timeout=120,
            )
            loaded[build] = ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
        return loaded[build]

    return load


@pytest.fixture(scope="module")
def some_builds(load: Callable[[str], ctypes.CDLL]) -> None:
    """Those that the tests of single ops choose from."""
    for build in ("now", "global_types", "little_scratch"):
        load(build)


@pytest.fixture(scope="module")
def now(load: Callable[[str], ctypes.CDLL]) -> None:
    """The build for most tests."""
    load("now")


def largest_scratch(library: ctypes.CDLL, build: str) -> int:
    """Bytes of the largest scratch buffer of the last interpreter."""
    function = getattr(library, f"LargestGxnorScratch_{build}")
    function.restype = ctypes.c_size_t
    return function()


def start(
    data: bytes,
    registerer: str = "AddGxnorOps_now",
    arena_bytes: int = ARENA_BYTES,
) -> runtime.Interpreter:
    """An interpreter whose ops are prepared."""
    return runtime.Interpreter.from_bytes(data, [registerer], arena_bytes)


def run(
    interpreter: runtime.Interpreter, x: np.ndarray, outputs: int = 1
) -> list[np.ndarray]:
    """All outputs, of one sample after another."""
    results = []
    for sample in x:
        interpreter.set_input(sample[None], 0)
        interpreter.invoke()
        results.append([interpreter.get_output(i) for i in range(outputs)])
    return [np.concatenate(output) for output in zip(*results, strict=True)]


def assert_equals_reference(
    interpreter: runtime.Interpreter,
    program: Program,
    x: np.ndarray,
) -> None:
    """Compares all activations and the output."""
    result = reference.run(program, x)
    tensors = program.named_outputs.values()
    outputs = run(interpreter, x, len(tensors))
    for output, tensor in zip(outputs, tensors, strict=True):
        expected = verification.decode(result.values[tensor.name], tensor)
        found = verification.decode(output, tensor)
        assert found.dtype == expected.dtype
        assert (found.reshape(expected.shape) == expected).all(), tensor.name


@pytest.mark.parametrize("make", nets.ALL)
def test_every_net_equals_the_reference(now: None, make: Any) -> None:
    """The builtin ops around ours are TFLM's own."""
    model = make(1)
    program = fusion.fuse(model)
    data = lowering.lower(program, "custom", True)
    assert_equals_reference(start(data), program, nets.images(model, 4, 1))


@pytest.mark.parametrize(
    "build", ["global_types", "little_scratch", "no_scratch"]
)
@pytest.mark.parametrize("make", [nets.paper_like, nets.joined, nets.residual])
def test_every_build_equals_the_reference(
    load: Callable[[str], ctypes.CDLL], make: Any, build: str
) -> None:
    library = load(build)
    model = make(2)
    program = fusion.fuse(model)
    data = lowering.lower(program, "custom", True)
    interpreter = start(data, f"AddGxnorOps_{build}")
    assert_equals_reference(interpreter, program, nets.images(model, 3, 2))
    scratch = largest_scratch(library, build)
    if build == "little_scratch":
        assert 0 < scratch <= LIMIT
    if build == "no_scratch":
        assert scratch == 0


def digits(count: int) -> np.ndarray:
    """Scanned digits, enlarged to 28 x 28, as int8."""
    small = datasets.load_digits().images[:count]  # 8 x 8, 0..16.
    large = np.pad(np.kron(small, np.ones((1, 3, 3))), [(0, 0), (2, 2), (2, 2)])
    return ((large * 15).round() - 128).astype(np.int8)[..., None]


def test_mnist_net_equals_keras(now: None) -> None:
    """The logits of the paper's net, bit for bit."""
    model = nets.randomise(
        models.build(config.Config(net="mnist"), (28, 28, 1), 10), seed=0
    )
    program = fusion.fuse(model)
    x = digits(40)
    interpreter = start(lowering.lower(program, "custom"), arena_bytes=20_000)
    (logits,) = run(interpreter, x)
    expected = model(x.astype(np.float32) * nets.INPUT_SCALE, training=False)
    assert logits.dtype == np.float32
    assert len(np.unique(logits)) > 100
    np.testing.assert_array_equal(logits, keras.ops.convert_to_numpy(expected))
    np.testing.assert_array_equal(logits, reference.run(program, x).output)


def test_guard_words_are_looked_at(
    load: Callable[[str], ctypes.CDLL], capfd: pytest.CaptureFixture[str]
) -> None:
    """A guard inside a buffer is overwritten, and that is seen."""
    load("guard_in_scratch")
    problem = helpers.make_problem(OPTIONS, packed=True, density=1.0)
    interpreter = start(
        helpers.one_op_model(problem), "AddGxnorOps_guard_in_scratch"
    )
    with pytest.raises(RuntimeError):
        run(interpreter, problem.input)
    assert "A guard word was overwritten." in capfd.readouterr().err


# ---- Single ops: odd sizes, strides, padding, dilation, pools, batches ----


def small_model(
    custom_code: str,
    options: bytes,
    x: tuple[tuple[int, ...], Any],
    y: tuple[tuple[int, ...], Any],
    *,
    zero_point: int = 0,
    inputs: int = 1,
) -> bytes:
    """A model of one op without constants, right or wrong."""
    builder = helpers.ModelBuilder()

    def tensor(name: str, shape: tuple[int, ...], dtype: Any) -> int:
        quantization = helpers.Quantization(1.0, zero_point)
        return builder.tensor(
            name,
            shape,
            dtype,
            quantization=quantization if dtype == np.int8 else None,
        )

    x_tensor, y_tensor = tensor("x", *x), tensor("y", *y)
    builder.custom(custom_code, [x_tensor] * inputs, [y_tensor], options)
    return builder.finish({"x": x_tensor}, {"y": y_tensor})


def weighted_model(
    problem: helpers.Problem,
    x: np.ndarray,
    y: np.ndarray,
    *,
    ternary: bool,
    options: Options | None = None,
    weights: np.ndarray | None = None,
    thresholds: np.ndarray | None = None,
) -> bytes:
    """A model of the problem's op, or of another that computes the same."""
    options = problem.options if options is None else options
    weights = problem.weights if weights is None else weights
    thresholds = problem.thresholds if thresholds is None else thresholds
    return helpers.custom_op_model(
        custom_code=options.custom_code,
        options=options.to_bytes(),
        input_shape=x.shape,
        output_shape=y.shape,
        weights=packing.pack_weights(weights),
        thresholds=thresholds if ternary else None,
        input_dtype=x.dtype,
    )


def assert_gives(
    data: bytes, x: np.ndarray, expected: np.ndarray, build: str
) -> None:
    """Runs a model of one op, its whole batch at once."""
    interpreter = start(data, f"AddGxnorOps_{build}")
    interpreter.set_input(x, 0)
    interpreter.invoke()
    y = interpreter.get_output(0)
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y, expected)


@MANY
@given(problem=helpers.problems(), build=SOME_BUILDS)
def test_convolution(
    some_builds: None, problem: helpers.Problem, build: str
) -> None:
    y = packing.pack_activations(problem.states)
    data = weighted_model(problem, problem.input, y, ternary=True)
    assert_gives(data, problem.input, y, build)


@MANY
@given(problem=helpers.problems(pool=False), build=SOME_BUILDS)
def test_sums(some_builds: None, problem: helpers.Problem, build: str) -> None:
    data = weighted_model(problem, problem.input, problem.sums, ternary=False)
    assert_gives(data, problem.input, problem.sums, build)


@MANY
@given(problem=helpers.problems(packed=True), build=SOME_BUILDS)
def test_depthwise(
    some_builds: None, problem: helpers.Problem, build: str
) -> None:
    depthwise = helpers.make_depthwise(problem)
    x = depthwise.full.input
    y = packing.pack_activations(depthwise.full.states)
    data = weighted_model(
        depthwise.full,
        x,
        y,
        ternary=True,
        options=depthwise.options,
        weights=depthwise.weights,
        thresholds=depthwise.thresholds,
    )
    assert_gives(data, x, y, build)


@MANY
@given(problem=helpers.problems(packed=True), build=SOME_BUILDS)
def test_max_pool(
    some_builds: None, problem: helpers.Problem, build: str
) -> None:
    sums = problem.sums
    states = (sums >= problem.high).astype(np.int8)
    states -= (sums < problem.low).astype(np.int8)
    options = helpers.max_pool_options(problem.options)
    x = packing.pack_activations(states)
    y = packing.pack_activations(problem.states)
    data = small_model(
        options.custom_code,
        options.to_bytes(),
        (x.shape, np.int32),
        (y.shape, np.int32),
    )
    assert_gives(data, x, y, build)


@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_fully_connected(
    some_builds: None, ternary: bool, packed: bool, size: tuple[int, int]
) -> None:
    """The convolution that covers its input; flat inputs have no size."""
    options = FullyConnectedOptions(input_channels=40, output_channels=33)
    problem = helpers.make_fully_connected(options, size, packed=packed)
    x, y = problem.input, problem.sums[:, 0, 0]
    if ternary:
        y = packing.pack_activations(problem.states[:, 0, 0])
    if size == (1, 1):
        x = np.ascontiguousarray(x[:, 0, 0])
    data = weighted_model(problem, x, y, ternary=ternary, options=options)
    for build in ("now", "global_types"):
        assert_gives(data, x, y, build)


@MANY
@given(
    leading=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    channels=st.one_of(st.integers(1, 100), st.sampled_from([32, 64])),
    build=SOME_BUILDS,
)
def test_pack_and_unpack(
    some_builds: None, leading: list[int], channels: int, build: str
) -> None:
    rng = np.random.default_rng(channels)
    states = rng.integers(-1, 2, (*leading, channels)).astype(np.int8)
    words = packing.pack_activations(states)
    for options, x, y in (
        (PackOptions(channels=channels), states, words),
        (UnpackOptions(channels=channels), words, states),
    ):
        data = small_model(
            options.custom_code,
            options.to_bytes(),
            (x.shape, x.dtype.type),
            (y.shape, y.dtype.type),
        )
        assert_gives(data, x, y, build)


# ---- What is refused ----


def assert_refused(
    data: bytes, text: str, capfd: pytest.CaptureFixture[str], **how: Any
) -> None:
    """Demands an error, and a text that matches in what is printed."""
    capfd.readouterr()
    with pytest.raises(RuntimeError):
        start(data, **how)
    printed = capfd.readouterr().err
    assert re.search(text, printed), printed
    assert "guard word" not in printed


@pytest.mark.parametrize(("problem", "changes", "text"), wrong_models.CASES)
def test_wrong_models(
    now: None,
    capfd: pytest.CaptureFixture[str],
    problem: helpers.Problem,
    changes: dict[str, Any],
    text: str,
) -> None:
    data = helpers.one_op_model(problem, **changes)
    assert_refused(
        data, rf"gxnor_tf: GxnorConv2D, output tensor \d+:\s+.*{text}", capfd
    )


PACK = PackOptions(channels=3)
UNPACK = UnpackOptions(channels=33)
POOL = MaxPool2DOptions(
    channels=40, pool_height=2, pool_width=2, stride_height=2, stride_width=2
)
STATES = ((1, 5, 3), np.int8)
WORDS = ((1, 5, 2), np.int32)


@pytest.mark.parametrize(
    ("arguments", "changes", "text"),
    [
        (
            ("GxnorPack", b"", STATES, WORDS),
            {},
            "its options, 0 bytes, are no flexbuffer map",
        ),
        (
            ("GxnorPack", PACK.to_bytes(), ((1, 5, 4), np.int8), WORDS),
            {},
            r"last axis of the input must be 3.*received \(1, 5, 4\)",
        ),
        (
            ("GxnorPack", PACK.to_bytes(), STATES, ((1, 5, 4), np.int32)),
            {},
            r"output must have the shape \(1, 5, 2\); received \(1, 5, 4\)",
        ),
        (
            ("GxnorPack", PACK.to_bytes(), STATES, ((5, 2), np.int32)),
            {},
            r"output must have the shape \(1, 5, 2\); received \(5, 2\)",
        ),
        (
            ("GxnorPack", PACK.to_bytes(), STATES, ((1, 5, 2), np.int8)),
            {},
            "received TfLiteType 9 and 9",
        ),
        (
            ("GxnorPack", PACK.to_bytes(), STATES, WORDS),
            {"zero_point": 5},
            "int8 input must have zero point 0; received 5",
        ),
        (
            ("GxnorPack", PACK.to_bytes(), STATES, WORDS),
            {"inputs": 2},
            "the op must have one input and one output",
        ),
        (
            ("GxnorConv2D", OPTIONS.to_bytes(), STATES, WORDS),
            {},
            r"the op must have the inputs \[x, weights\] or",
        ),
        (
            (
                "GxnorUnpack",
                UNPACK.to_bytes(),
                ((1, 5, 4), np.int32),
                ((1, 5, 33), np.int8),
            ),
            {"zero_point": -1},
            "int8 output must have zero point 0; received -1",
        ),
        (
            (
                "GxnorMaxPool2D",
                POOL.to_bytes(),
                ((1, 6, 6, packed_size(40)), np.int32),
                ((1, 3, 2, packed_size(40)), np.int32),
            ),
            {},
            r"must have the shape \(1, 3, 3, 4\); received \(1, 3, 2, 4\)",
        ),
        (
            (
                "GxnorMaxPool2D",
                bytes(
                    flexbuffers.Dumps(
                        {"version": 2, **dataclasses.asdict(POOL)}
                    )
                ),
                ((1, 6, 6, packed_size(40)), np.int32),
                ((1, 3, 3, packed_size(40)), np.int32),
            ),
            {},
            "`version` is 2, but this build of gxnor_tf knows version 1",
        ),
    ],
)
def test_wrong_small_models(
    now: None,
    capfd: pytest.CaptureFixture[str],
    arguments: tuple[Any, ...],
    changes: dict[str, Any],
    text: str,
) -> None:
    assert_refused(small_model(*arguments, **changes), text, capfd)


def test_damaged_options_never_crash(
    now: None, capfd: pytest.CaptureFixture[str]
) -> None:
    """Either they are refused, or their change does not matter."""
    data = np.frombuffer(OPTIONS.to_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    refused = 0
    for i in range(data.size):
        damaged = data.copy()
        damaged[i] ^= rng.integers(1, 256)
        model = helpers.one_op_model(PACKED, options=damaged.tobytes())
        try:
            run(start(model), PACKED.input)
        except RuntimeError:
            refused += 1
    printed = capfd.readouterr().err
    assert "guard word" not in printed
    assert printed.count("gxnor_tf: GxnorConv2D") == refused
    assert refused > data.size / 2


def test_small_arenas(now: None, capfd: pytest.CaptureFixture[str]) -> None:
    """Any arena is either refused or enough for the right result."""
    model = nets.paper_like(3)
    program = fusion.fuse(model)
    data = lowering.lower(program, "custom")
    x = nets.images(model, 1, 3)
    expected = reference.run(program, x).output
    enough = []
    # TFLM itself does not survive 512 bytes.
    for arena_bytes in range(1024, 12288, 128):
        try:
            interpreter = start(data, arena_bytes=arena_bytes)
        except RuntimeError:
            continue
        np.testing.assert_array_equal(run(interpreter, x)[0], expected)
        enough.append(arena_bytes)
    assert enough == list(range(enough[0], 12288, 128))
    printed = capfd.readouterr().err
    assert "guard word" not in printed
    assert re.search(r"the arena has no room for \d+ bytes; make it", printed)
    assert "input 0 cannot be read; make the arena larger" in printed


def test_texts_can_be_left_out(tmp_path: pathlib.Path) -> None:
    """Texts are most of the code that is not kernels."""
    sources = [str(path) for path in RUNTIME.glob("ops/*.c")]
    for macro, found in (("NDEBUG", True), (STRIP, False)):
        subprocess.run(
            [*compiler("CC", "cc"), "-std=c99", "-Os", "-Wall", "-Wextra"]
            + ["-Werror", f"-D{macro}", f"-I{RUNTIME / 'include'}", "-c"]
            + sources,
            check=True,
            cwd=tmp_path,
            timeout=120,
        )
        content = b"".join(path.read_bytes() for path in tmp_path.glob("*.o"))
        assert (b"export the model again" in content) == found


def test_ops_can_be_added_one_by_one(
    now: None, capfd: pytest.CaptureFixture[str]
) -> None:
    data = small_model("GxnorPack", PACK.to_bytes(), STATES, WORDS)
    states = np.ones(STATES[0], np.int8)
    (words,) = run(start(data, "AddTwoGxnorOps_now"), states)
    np.testing.assert_array_equal(words, packing.pack_activations(states))
    assert_refused(
        helpers.one_op_model(PACKED),
        "",
        capfd,
        registerer="AddTwoGxnorOps_now",
    )


def test_an_op_can_be_added_once(now: None) -> None:
    data = small_model("GxnorPack", PACK.to_bytes(), STATES, WORDS)
    with pytest.raises(RuntimeError):
        start(data, "AddGxnorOpsTwice_now")
