# SPDX-License-Identifier: Apache-2.0
"""Models with custom ops in the interpreters of LiteRT and TensorFlow."""

import dataclasses
import threading
from typing import Any

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import interpreter as litert
from flatbuffers import flexbuffers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export import (
    delegate,
    inspection,
    op_schema,
    packing,
    terminal_tables,
)
from export.flatbuffer_builder import (
    FILE_IDENTIFIER,
    ModelBuilder,
    Quantization,
    load_schema,
)
from export.interpreter import Runner, uses_custom_ops
from export.op_schema import (
    Conv2DOptions,
    FullyConnectedOptions,
    PackOptions,
    UnpackOptions,
)
from tests.export import helpers, wrong_models
from tests.export.wrong_models import OPTIONS, PACKED

pytestmark = pytest.mark.filterwarnings(
    r"ignore:\s*Warning. tf.lite.Interpreter is deprecated:UserWarning"
)

RUNTIMES = pytest.mark.parametrize(
    "interpreter",
    [litert.Interpreter, tf.lite.Interpreter],
    ids=["litert", "tensorflow"],
)
MANY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def gxnor() -> Any:
    """One delegate for all interpreters of this module."""
    return delegate.load_delegate()


def start(interpreter: Any, model: bytes, gxnor: Any) -> Any:
    started = interpreter(model_content=model, experimental_delegates=[gxnor])
    started.allocate_tensors()
    return started


def run(started: Any, **inputs: np.ndarray) -> np.ndarray:
    """The output `y` of a model."""
    return started.get_signature_runner()(**inputs)["y"]


@RUNTIMES
@MANY
@given(problem=helpers.problems())
def test_ternary_convolution(
    interpreter: Any, gxnor: Any, problem: helpers.Problem
) -> None:
    started = start(interpreter, helpers.one_op_model(problem), gxnor)
    np.testing.assert_array_equal(
        run(started, x=problem.input), packing.pack_activations(problem.states)
    )


@RUNTIMES
@MANY
@given(problem=helpers.problems(pool=False))
def test_sums(interpreter: Any, gxnor: Any, problem: helpers.Problem) -> None:
    model = helpers.one_op_model(problem, ternary=False)
    started = start(interpreter, model, gxnor)
    np.testing.assert_array_equal(run(started, x=problem.input), problem.sums)


@RUNTIMES
@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
@pytest.mark.parametrize("channels", [(1, 1), (31, 33), (40, 10)])
def test_fully_connected(
    interpreter: Any,
    gxnor: Any,
    ternary: bool,
    packed: bool,
    size: tuple[int, int],
    channels: tuple[int, int],
) -> None:
    """The convolution that covers its input; flat inputs have no size."""
    options = FullyConnectedOptions(
        input_channels=channels[0], output_channels=channels[1]
    )
    problem = helpers.make_fully_connected(options, size, packed=packed)
    x, expected = problem.input, problem.sums[:, 0, 0]
    if ternary:
        expected = packing.pack_activations(problem.states[:, 0, 0])
    if size == (1, 1):
        x = x[:, 0, 0]
    model = helpers.custom_op_model(
        custom_code=options.custom_code,
        options=options.to_bytes(),
        input_shape=(None, *x.shape[1:]),
        output_shape=(None, *expected.shape[1:]),
        weights=packing.pack_weights(problem.weights),
        thresholds=problem.thresholds if ternary else None,
        input_dtype=x.dtype,
    )
    y = run(start(interpreter, model, gxnor), x=x)
    np.testing.assert_array_equal(y, expected)


def pack_model(
    options: PackOptions | UnpackOptions, shape: tuple[int, ...], **changes: Any
) -> bytes:
    """A model of one such op, right or wrong; `shape` is that of its input.

    `changes` has what to write instead of the right thing: `custom_code`,
    `data` (the options' bytes), `input_dtype`, `output_dtype`, `zero_point`
    (of the int8 tensors).
    """
    packs = isinstance(options, PackOptions)
    builder = ModelBuilder()

    def tensor(name: str, shape: tuple[int, ...], dtype: Any) -> int:
        quantization = Quantization(1.0, changes.get("zero_point", 0))
        return builder.tensor(
            name,
            (None, *shape[1:]),
            dtype,
            quantization=quantization if dtype == np.int8 else None,
        )

    x = tensor(
        "x", shape, changes.get("input_dtype", np.int8 if packs else np.int32)
    )
    y = tensor(
        "y",
        (shape[0], 1),  # Prepare finds the right one.
        changes.get("output_dtype", np.int32 if packs else np.int8),
    )
    builder.custom(
        changes.get("custom_code", options.custom_code),
        [x],
        [y],
        changes.get("data", options.to_bytes()),
    )
    return builder.finish({"x": x}, {"y": y})


@RUNTIMES
@MANY
@given(
    leading=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    channels=st.one_of(st.integers(1, 100), st.sampled_from([32, 64])),
    seed=st.integers(0, 2**32 - 1),
)
def test_pack_and_unpack(
    interpreter: Any, gxnor: Any, leading: list[int], channels: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    states = rng.integers(-1, 2, (*leading, channels)).astype(np.int8)
    words = packing.pack_activations(states)
    pack = PackOptions(channels=channels)
    unpack = UnpackOptions(channels=channels)
    for options, x, expected in (
        (pack, states, words),
        (unpack, words, states),
    ):
        started = start(interpreter, pack_model(options, x.shape), gxnor)
        index = started.get_input_details()[0]["index"]
        for batch in (len(x), 1, 2 * len(x) + 1):
            # As many rows of x as the batch has, from the start again.
            rows = np.arange(batch) % len(x)
            started.resize_tensor_input(index, (batch, *x.shape[1:]))
            started.allocate_tensors()
            y = run(started, x=x[rows])
            assert y.dtype == expected.dtype
            np.testing.assert_array_equal(y, expected[rows])


@RUNTIMES
def test_pack_and_unpack_what_is_no_state(interpreter: Any, gxnor: Any) -> None:
    """No such value is an error: data comes when nothing is checked."""
    numbers = np.arange(-128, 128).astype(np.int8).reshape(2, 128)
    model = pack_model(PackOptions(channels=128), numbers.shape)
    np.testing.assert_array_equal(
        run(start(interpreter, model, gxnor), x=numbers),
        packing.pack_activations(np.sign(numbers)),
    )
    words = np.array([[0b0101 - 2**31, 0b0011 - 2**31]], np.int32)
    model = pack_model(UnpackOptions(channels=4), words.shape)
    np.testing.assert_array_equal(
        run(start(interpreter, model, gxnor), x=words), [[0, -1, 1, 0]]
    )


def mixed_model(problem: helpers.Problem, code: str, *, ternary: bool) -> bytes:
    """Custom ops with builtin ones between them.

    x is packed, unpacked and doubled by an ADD, whose int8 output an op with
    weights reads. The packed states that a convolution with thresholds makes
    of it are unpacked, pooled and packed again.
    """
    options: Conv2DOptions | FullyConnectedOptions = problem.options
    if code == op_schema.FULLY_CONNECTED:
        options = FullyConnectedOptions(
            input_channels=options.input_channels,
            output_channels=options.output_channels,
        )
    builder = ModelBuilder()
    one = Quantization(1.0)
    shape = (None, *problem.x.shape[1:])
    pack = PackOptions(channels=options.input_channels)
    unpack = UnpackOptions(channels=options.input_channels)

    x = builder.tensor("x", shape, np.int8, quantization=one)
    words = builder.tensor(
        "words", (None, *pack.output_shape(problem.x.shape)[1:]), np.int32
    )
    states = builder.tensor("states", shape, np.int8, quantization=one)
    doubled = builder.tensor("doubled", shape, np.int8, quantization=one)
    builder.custom(pack.custom_code, [x], [words], pack.to_bytes())
    builder.custom(unpack.custom_code, [words], [states], unpack.to_bytes())
    builder.builtin(
        "ADD", [states, states], [doubled], fused_activation_function="NONE"
    )
    sizes = options.output_shape(problem.x.shape, packed=ternary)
    weighted = builder.tensor("weighted", (None, *sizes[1:]), np.int32)
    operands = [
        doubled,
        builder.constant("weights", packing.pack_weights(problem.weights)),
    ]
    if ternary:
        operands.append(builder.constant("thresholds", problem.thresholds))
    builder.custom(
        options.custom_code, operands, [weighted], options.to_bytes()
    )
    if not ternary or len(sizes) == 2:
        return builder.finish({"x": x}, {"y": weighted})

    pack = PackOptions(channels=options.output_channels)
    unpack = UnpackOptions(channels=options.output_channels)
    sizes = (None, *unpack.output_shape(sizes)[1:])
    behind = builder.tensor("behind", sizes, np.int8, quantization=one)
    sizes = (None, sizes[1] // 2, sizes[2] // 2, sizes[3])
    pooled = builder.tensor("pooled", sizes, np.int8, quantization=one)
    y = builder.tensor("y", (None, *pack.output_shape(sizes)[1:]), np.int32)
    builder.custom(unpack.custom_code, [weighted], [behind], unpack.to_bytes())
    builder.builtin(
        "MAX_POOL_2D",
        [behind],
        [pooled],
        version=2,
        padding="VALID",
        stride_h=2,
        stride_w=2,
        filter_height=2,
        filter_width=2,
        fused_activation_function="NONE",
    )
    builder.custom(pack.custom_code, [pooled], [y], pack.to_bytes())
    return builder.finish({"x": x}, {"y": y})


def mixed_problem(code: str) -> helpers.Problem:
    """A problem with the int8 input 2 * x, x ternary; thresholds to match."""
    covers = code == op_schema.FULLY_CONNECTED
    options = Conv2DOptions(
        input_channels=35,
        output_channels=33,
        kernel_height=6 if covers else 3,
        kernel_width=5 if covers else 2,
    )
    problem = helpers.make_problem(options, packed=True, batch=3)
    return dataclasses.replace(
        problem,
        x=2 * problem.x,
        high=2 * problem.high,
        low=2 * problem.low,
        packed=False,
    )


@RUNTIMES
@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("code", [op_schema.CONV_2D, op_schema.FULLY_CONNECTED])
def test_int8_tensors_between_builtin_ops(
    interpreter: Any, gxnor: Any, code: str, ternary: bool
) -> None:
    """An int8 input need not be that of the model, nor ternary."""
    problem = mixed_problem(code)
    started = start(
        interpreter, mixed_model(problem, code, ternary=ternary), gxnor
    )
    expected = problem.sums
    if ternary:
        states = problem.states
        if code == op_schema.CONV_2D:
            batch, height, width, channels = states.shape
            states = (
                states[:, : height // 2 * 2, : width // 2 * 2]
                .reshape(batch, height // 2, 2, width // 2, 2, channels)
                .max((2, 4))
            )
        expected = packing.pack_activations(states)
    if code == op_schema.FULLY_CONNECTED:
        expected = expected[:, 0, 0]
    for batch in (3, 1, 2):
        np.testing.assert_array_equal(
            run(started, x=problem.x[:batch] // 2), expected[:batch]
        )


def test_inspection_shows_every_op() -> None:
    problem = mixed_problem(op_schema.CONV_2D)
    data = mixed_model(problem, op_schema.CONV_2D, ternary=True)
    rows = inspection.inspect(data)
    assert [(row.op, row.name, row.output_shape) for row in rows] == [
        ("GxnorPack", "words", (1, 6, 5, 4)),
        ("GxnorUnpack", "states", (1, 6, 5, 35)),
        ("ADD", "doubled", (1, 6, 5, 35)),
        ("GxnorConv2D", "weighted", (1, 4, 4, 4)),
        ("GxnorUnpack", "behind", (1, 4, 4, 33)),
        ("MAX_POOL_2D", "pooled", (1, 2, 2, 33)),
        ("GxnorPack", "y", (1, 2, 2, 4)),
    ]
    assert [row.macs for row in rows] == [
        problem.weights.size * 16 if row.op == "GxnorConv2D" else 0
        for row in rows
    ]
    table = terminal_tables.format_rows(rows, len(data))
    assert "GxnorPack" in table and "GxnorUnpack" in table


@pytest.mark.parametrize(
    "options", [PackOptions(channels=3), UnpackOptions(channels=3)]
)
def test_a_file_with_one_op_needs_the_delegate(
    options: PackOptions | UnpackOptions,
) -> None:
    packs = isinstance(options, PackOptions)
    states = np.array([[1, 0, -1]], np.int8)
    words = packing.pack_activations(states)
    x, expected = (states, words) if packs else (words, states)
    data = pack_model(options, x.shape)
    assert uses_custom_ops(data)
    np.testing.assert_array_equal(Runner(data)(x)["y"], expected)


PACK = PackOptions(channels=3)
UNPACK = UnpackOptions(channels=33)


@RUNTIMES
@pytest.mark.parametrize(
    ("options", "shape", "changes", "text"),
    [
        (
            PACK,
            (1, 4),
            {},
            r"GxnorPack, output tensor 'y': the last axis of the input must "
            r"be 3, for option `channels` is 3.*int8; received \(1, 4\)",
        ),
        (
            UNPACK,
            (1, 5, 2),
            {},
            r"GxnorUnpack, output tensor 'y': the last axis of the input must "
            r"be 4, for option `channels` is 33.*packed; received \(1, 5, 2\)",
        ),
        (PACK, (3,), {}, r"\(batch, ..., channels\); received \(1\)"),
        (PACK, (1, 3), {"input_dtype": np.int32}, "TfLiteType 2 and 2"),
        (PACK, (1, 3), {"output_dtype": np.int8}, "TfLiteType 9 and 9"),
        (UNPACK, (1, 4), {"input_dtype": np.float32}, "TfLiteType 1 and 9"),
        (PACK, (1, 3), {"zero_point": 1}, "int8 input must have zero point 0"),
        (UNPACK, (1, 4), {"zero_point": -1}, "int8 output must have zero poin"),
        (PACK, (1, 3), {"data": b""}, "0 bytes, are no flexbuffer map"),
        (
            PACK,
            (1, 3),
            {"data": bytes(flexbuffers.Dumps({"version": 1}))},
            "`channels` is missing",
        ),
        (
            PACK,
            (1, 3),
            {"data": OPTIONS.to_bytes()},
            "`dilation_height` is unknown",
        ),
        (
            UNPACK,
            (1, 4),
            {"custom_code": "GxnorConv2D"},
            r"must have the inputs \[x, weights\]",
        ),
    ],
)
def test_wrong_pack_models(
    interpreter: Any,
    gxnor: Any,
    options: PackOptions | UnpackOptions,
    shape: tuple[int, ...],
    changes: dict[str, Any],
    text: str,
) -> None:
    with pytest.raises(RuntimeError, match=text):
        start(interpreter, pack_model(options, shape, **changes), gxnor)


def test_constant_output_is_refused(gxnor: Any) -> None:
    """The kernel would write into the file."""
    schema = load_schema()
    data = pack_model(PACK, (1, 3))
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    y = model.subgraphs[0].tensors[1]
    y.shape, y.shapeSignature, y.buffer = [1, 2], None, len(model.buffers)
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = np.zeros(8, np.uint8)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
    with pytest.raises(RuntimeError, match="'y': the output is a constant"):
        start(litert.Interpreter, bytes(builder.Output()), gxnor)


@RUNTIMES
@pytest.mark.parametrize("rows", [100, 100_000])
def test_tensor_of_two_writers(interpreter: Any, gxnor: Any, rows: int) -> None:
    """The kernel would write beyond a tensor that was made smaller."""
    schema = load_schema()
    builder = ModelBuilder()
    for i, shape in enumerate([(1, rows, 40), (1, 1, 32)]):
        x = builder.tensor(
            f"x{i}", shape, np.int8, quantization=Quantization(1 / 128)
        )
        y = builder.tensor(f"y{i}", (*shape[:-1], 2), np.int32)
        options = PackOptions(channels=shape[-1])
        builder.custom(options.custom_code, [x], [y], options.to_bytes())
    data = builder.finish({"x0": 0, "x1": 2}, {"y0": 1, "y1": 3})
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    graph = model.subgraphs[0]
    graph.operators[0].outputs = [3]
    graph.outputs = [3]
    model.signatureDefs = []
    damaged = flatbuffers.Builder()
    damaged.Finish(model.Pack(damaged), file_identifier=FILE_IDENTIFIER)
    started = start(interpreter, bytes(damaged.Output()), gxnor)
    with pytest.raises(RuntimeError, match="another op writes one of them"):
        started.invoke()


def two_op_model(first: helpers.Problem, units: np.ndarray) -> bytes:
    """A convolution, a fully connected op and a builtin op behind it."""
    builder = ModelBuilder()
    quantization = Quantization(1 / 128)
    shape = (None, *first.x.shape[1:])
    x = builder.tensor("x", shape, np.int8, quantization=quantization)
    hidden_shape = first.options.output_shape(first.x.shape, packed=True)
    hidden = builder.tensor("hidden", (None, *hidden_shape[1:]), np.int32)
    sums = builder.tensor("sums", (None, len(units)), np.int32)
    y = builder.tensor("y", (None, len(units)), np.float32)
    builder.custom(
        first.options.custom_code,
        [
            x,
            builder.constant("w1", packing.pack_weights(first.weights)),
            builder.constant("t1", first.thresholds),
        ],
        [hidden],
        first.options.to_bytes(),
    )
    options = FullyConnectedOptions(
        input_channels=first.options.output_channels,
        output_channels=len(units),
    )
    builder.custom(
        options.custom_code,
        [hidden, builder.constant("w2", packing.pack_weights(units)), None],
        [sums],
        options.to_bytes(),
    )
    builder.builtin(
        "CAST", [sums], [y], in_data_type="INT32", out_data_type="FLOAT32"
    )
    return builder.finish({"x": x}, {"y": y})


def two_ops(batch: int, seed: int) -> tuple[helpers.Problem, np.ndarray]:
    first = helpers.make_problem(OPTIONS, packed=False, batch=batch, seed=seed)
    shape = (10, *first.states.shape[1:])
    rng = np.random.default_rng(0)
    return first, rng.integers(-1, 2, shape).astype(np.int8)


def expected_of(first: helpers.Problem, units: np.ndarray) -> np.ndarray:
    states = first.states.astype(np.int32)
    return states.reshape(len(states), -1) @ units.reshape(10, -1).T


@RUNTIMES
def test_batch_is_resized(interpreter: Any, gxnor: Any) -> None:
    base, units = two_ops(batch=1, seed=0)
    started = start(interpreter, two_op_model(base, units), gxnor)
    index = started.get_input_details()[0]["index"]
    for batch in (4, 1, 7, 64, 2):
        x = np.random.default_rng(batch).integers(-128, 128, (batch, 6, 5, 3))
        first = dataclasses.replace(base, x=x.astype(np.int8))
        started.resize_tensor_input(index, x.shape)
        started.allocate_tensors()
        started.set_tensor(index, first.x)
        started.invoke()
        y = started.get_tensor(started.get_output_details()[0]["index"])
        np.testing.assert_array_equal(y, expected_of(first, units))
        np.testing.assert_array_equal(
            run(started, x=first.x), expected_of(first, units)
        )


@RUNTIMES
@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors")
@pytest.mark.parametrize(
    "resolver",
    ["AUTO", "BUILTIN", "BUILTIN_REF", "BUILTIN_WITHOUT_DEFAULT_DELEGATES"],
)
def test_every_resolver(interpreter: Any, gxnor: Any, resolver: str) -> None:
    first, units = two_ops(batch=3, seed=1)
    package = (
        litert if interpreter is litert.Interpreter else tf.lite.experimental
    )
    started = interpreter(
        model_content=two_op_model(first, units),
        experimental_delegates=[gxnor],
        experimental_op_resolver_type=getattr(package.OpResolverType, resolver),
        experimental_preserve_all_tensors=True,
        num_threads=2,
    )
    np.testing.assert_array_equal(
        run(started, x=first.x), expected_of(first, units)
    )


def test_delegate_outlives_its_name() -> None:
    first, units = two_ops(batch=2, seed=2)
    model = two_op_model(first, units)
    for _ in range(20):
        started = start(litert.Interpreter, model, delegate.load_delegate())
        np.testing.assert_array_equal(
            run(started, x=first.x), expected_of(first, units)
        )


def test_one_delegate_in_several_threads(gxnor: Any) -> None:
    results: list[bool] = []

    def work(seed: int) -> None:
        first, units = two_ops(batch=5, seed=seed)
        started = start(litert.Interpreter, two_op_model(first, units), gxnor)
        results.extend(
            np.array_equal(run(started, x=first.x), expected_of(first, units))
            for _ in range(20)
        )

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 80


def test_no_custom_op_is_fine(gxnor: Any) -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", (3,), np.float32)
    y = builder.tensor("y", (3,), np.float32)
    builder.builtin("RELU", [x], [y])
    started = start(
        litert.Interpreter, builder.finish({"x": x}, {"y": y}), gxnor
    )
    y = run(started, x=np.array([-1, 0, 2], np.float32))
    np.testing.assert_array_equal(y, [0, 0, 2])


def test_without_the_delegate() -> None:
    """The text that the documentation quotes."""
    problem = helpers.make_problem(OPTIONS, packed=True)
    with pytest.raises(
        RuntimeError, match="Encountered unresolved custom op: GxnorConv2D"
    ):
        litert.Interpreter(
            model_content=helpers.one_op_model(problem)
        ).allocate_tensors()


@RUNTIMES
@pytest.mark.parametrize(
    ("problem", "changes", "text"),
    [
        (
            PACKED,
            {"custom_code": "GxnorPool2D"},
            "GxnorPool2D.*does not know this op; update gxnor_tf",
        ),
        *wrong_models.CASES,
    ],
)
def test_wrong_models(
    interpreter: Any,
    gxnor: Any,
    problem: helpers.Problem,
    changes: dict[str, Any],
    text: str,
) -> None:
    model = helpers.one_op_model(problem, **changes)
    with pytest.raises(RuntimeError, match=text):
        start(interpreter, model, gxnor)


def test_resize_that_does_not_fit(gxnor: Any) -> None:
    started = start(litert.Interpreter, helpers.one_op_model(PACKED), gxnor)
    started.resize_tensor_input(0, [1, 2, 5, 2])
    with pytest.raises(RuntimeError, match="do not fit the input 2x5"):
        started.allocate_tensors()
    started.resize_tensor_input(0, PACKED.input.shape)
    started.allocate_tensors()
    np.testing.assert_array_equal(
        run(started, x=PACKED.input), packing.pack_activations(PACKED.states)
    )


def test_damaged_options_never_crash(gxnor: Any) -> None:
    data = np.frombuffer(OPTIONS.to_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    refused = 0
    for i in range(data.size):
        damaged = data.copy()
        damaged[i] ^= rng.integers(1, 256)
        model = helpers.one_op_model(PACKED, options=damaged.tobytes())
        try:
            start(litert.Interpreter, model, gxnor)
        except RuntimeError as error:
            assert "gxnor_tf: GxnorConv2D" in str(error)
            refused += 1
    assert refused > data.size / 2
