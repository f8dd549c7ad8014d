# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from export import flatbuffer_builder
from export.flatbuffer_builder import ModelBuilder, Quantization

SCHEMA = flatbuffer_builder.load_schema()


def run(model: bytes, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Runs a model by its signature."""
    interpreter = Interpreter(model_content=model)
    return interpreter.get_signature_runner()(**inputs)


def pool_and_conv(batch: int | None = None) -> ModelBuilder:
    """A builder with tensor 0 as input, tensor 5 as output."""
    builder = ModelBuilder("a test")
    unit = Quantization(1.0)
    x = builder.tensor("x", (batch, 4, 4, 1), np.int8, quantization=unit)
    p = builder.tensor("p", (batch, 2, 2, 1), np.int8, quantization=unit)
    scales = Quantization(np.array([1.0, 0.5, 0.25], np.float32), axis=0)
    w = builder.constant(
        "w", np.full((3, 1, 1, 1), 4, np.int8), quantization=scales
    )
    b = builder.constant("b", np.array([0, 4, 8], np.int32))
    builder.tensor("unused", (7,), np.float32)
    y = builder.tensor("y", (batch, 2, 2, 3), np.int8, quantization=unit)
    builder.builtin(
        "MAX_POOL_2D",
        [x],
        [p],
        version=2,
        padding="VALID",
        stride_h=2,
        stride_w=2,
        filter_height=2,
        filter_width=2,
    )
    builder.builtin(
        "CONV_2D",
        [p, w, b],
        [y],
        version=3,
        padding="SAME",
        stride_h=1,
        stride_w=1,
        fused_activation_function="RELU",
    )
    return builder


@pytest.mark.parametrize("batch", [1, 3])
def test_model_runs(batch: int) -> None:
    model = pool_and_conv().finish({"x": 0}, {"y": 5})
    rng = np.random.default_rng(0)
    x = rng.integers(-30, 30, (batch, 4, 4, 1)).astype(np.int8)
    pooled = x.reshape(batch, 2, 2, 2, 2).max((2, 4))[..., None]
    expected = (4 * pooled.astype(int) + [0, 4, 8]) * [1.0, 0.5, 0.25]
    y = run(model, x=x)["y"]
    np.testing.assert_array_equal(y, np.maximum(expected, 0))


def test_model_content() -> None:
    model = SCHEMA.ModelT.InitFromPackedBuf(
        pool_and_conv().finish({"image": 0}, {"label": 5})
    )
    assert model.version == 3
    assert model.description == b"a test"
    (subgraph,) = model.subgraphs
    assert [t.name for t in subgraph.tensors] == [
        b"x", b"p", b"w", b"b", b"unused", b"y",
    ]  # fmt: skip
    x, _, w, b = subgraph.tensors[:4]
    assert x.shape.tolist() == [1, 4, 4, 1]
    assert x.shapeSignature.tolist() == [-1, 4, 4, 1]
    assert x.quantization.scale.tolist() == [1.0]
    assert x.quantization.zeroPoint.tolist() == [0]
    assert w.quantization.scale.tolist() == [1.0, 0.5, 0.25]
    assert b.quantization is None
    assert b.shapeSignature is None
    assert subgraph.inputs.tolist() == [0]
    assert subgraph.outputs.tolist() == [5]
    codes = [
        (code.builtinCode, code.deprecatedBuiltinCode, code.version)
        for code in model.operatorCodes
    ]
    assert codes == [(17, 17, 2), (3, 3, 3)]
    options = subgraph.operators[1].builtinOptions
    assert isinstance(options, SCHEMA.Conv2DOptionsT)
    assert options.fusedActivationFunction == 1
    (signature,) = model.signatureDefs
    assert signature.signatureKey == b"serving_default"
    assert [(m.name, m.tensorIndex) for m in signature.inputs] == [
        (b"image", 0)
    ]
    assert [(m.name, m.tensorIndex) for m in signature.outputs] == [
        (b"label", 5)
    ]


def test_fixed_batch_has_no_signature_shape() -> None:
    model = SCHEMA.ModelT.InitFromPackedBuf(
        pool_and_conv(2).finish({"x": 0}, {"y": 5})
    )
    assert model.subgraphs[0].tensors[0].shape.tolist() == [2, 4, 4, 1]
    assert model.subgraphs[0].tensors[0].shapeSignature is None


def test_custom_operator_content() -> None:
    builder = ModelBuilder()
    x = builder.tensor("x", (1,), np.int32)
    y = builder.tensor("y", (1,), np.int32)
    z = builder.tensor("z", (1,), np.int32)
    builder.custom("Mine", [x, None], [y], b"\x01\x02\x03")
    builder.custom("Mine", [y], [z], b"\x04", version=2)
    model = SCHEMA.ModelT.InitFromPackedBuf(builder.finish({"x": x}, {"z": z}))
    assert [
        (code.builtinCode, code.customCode, code.version)
        for code in model.operatorCodes
    ] == [(32, b"Mine", 1), (32, b"Mine", 2)]
    first, second = model.subgraphs[0].operators
    assert first.inputs.tolist() == [0, -1]
    assert bytes(first.customOptions) == b"\x01\x02\x03"
    assert first.customOptionsFormat == SCHEMA.CustomOptionsFormat.FLEXBUFFERS
    assert second.opcodeIndex == 1


def buffers(model: bytes) -> list[tuple[int, bytes]]:
    """Position and content of each buffer of a model."""
    root = SCHEMA.Model.GetRootAs(model, 0)
    found = []
    for i in range(root.BuffersLength()):
        data = root.Buffers(i).DataAsNumpy()
        if isinstance(data, int):  # The generated code's "absent".
            found.append((0, b""))
            continue
        position = data.ctypes.data - np.frombuffer(model, "u1").ctypes.data
        found.append((position, data.tobytes()))
    return found


def test_constants_are_aligned_and_shared() -> None:
    builder = ModelBuilder()
    values = [
        np.arange(5, dtype=np.int8),
        np.arange(300, dtype=np.int32),
        np.arange(5, dtype=np.int8),
        np.array(7, ">i4"),
        np.array([2.5], np.float32),
    ]
    tensors = [
        builder.constant(f"c{i}", value) for i, value in enumerate(values)
    ]
    model = builder.finish({}, {f"c{i}": i for i in tensors})
    contents = buffers(model)
    assert contents[0] == (0, b"")
    assert [data for _, data in contents[1:]] == [
        values[0].tobytes(),
        values[1].astype("<i4").tobytes(),
        b"\7\0\0\0",
        values[4].tobytes(),
    ]
    for position, _ in contents[1:]:
        assert position % 64 == 0
    subgraph = SCHEMA.ModelT.InitFromPackedBuf(model).subgraphs[0]
    assert [t.buffer for t in subgraph.tensors] == [1, 2, 1, 3, 4]
    assert subgraph.tensors[3].shape is None or not len(
        subgraph.tensors[3].shape
    )


def test_same_model_gives_same_bytes() -> None:
    models = [pool_and_conv().finish({"x": 0}, {"y": 5}) for _ in range(2)]
    assert models[0] == models[1]


def two_tensors() -> ModelBuilder:
    builder = ModelBuilder()
    builder.tensor("a", (2, 3), np.float32)
    builder.tensor("b", (2, 3), np.float32)
    return builder


def relu_twice(builder: ModelBuilder) -> bytes:
    builder.builtin("RELU", [0], [1])
    builder.builtin("RELU", [0], [1])
    return builder.finish({"a": 0}, {"b": 1})


def relu_before(builder: ModelBuilder) -> bytes:
    builder.builtin("RELU", [0], [1])
    return builder.finish({}, {"b": 1})


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda b: b.tensor("a", (1,), np.int8), "Received twice: 'a'"),
        (lambda b: b.tensor("c", (0, 1), np.int8), r"shape=\(0, 1\)"),
        (
            lambda b: b.tensor("c", (1,), np.dtype("U3")),
            "enum TensorType. Received: 'STR96'",
        ),
        (
            lambda b: b.constant("c", np.zeros((0, 2), np.int8)),
            r"'c' must have elements. Received: shape=\(0, 2\)",
        ),
        (
            lambda b: b.tensor(
                "c", (4, 2), np.int8, quantization=Quantization([1, 2, 3])
            ),
            r"axis 0. Received: 3 scales, shape=\(4, 2\)",
        ),
        (
            lambda b: b.tensor(
                "c", (2,), np.int8, quantization=Quantization([1, 2], axis=1)
            ),
            "axis 1. Received: 2 scales",
        ),
        (lambda b: Quantization(0.0), "Received: scale=0.0"),
        (lambda b: Quantization([1.0, np.nan]), "finite and > 0"),
        (lambda b: Quantization(1e-60), "finite and > 0 in float32"),
        (
            lambda b: b.builtin("CONV2D", [0], [1]),
            "`operator` must be a name in the schema's enum BuiltinOperator. "
            "Received: 'CONV2D'",
        ),
        (
            lambda b: b.builtin("ADD", [0, 0], [1], padding="SAME"),
            "ADD has no option 'padding'",
        ),
        (
            lambda b: b.builtin("RELU", [0], [1], alpha=1),
            "RELU has no option 'alpha'",
        ),
        (
            lambda b: b.builtin(
                "ADD", [0, 0], [1], fused_activation_function="TAN"
            ),
            "ActivationFunctionType. Received: 'TAN'",
        ),
        (
            lambda b: b.builtin("ADD", [0, 2], [1]),
            "there are 2. Received: index 2",
        ),
        (
            lambda b: b.custom("Mine", [0], [-1], b""),
            "there are 2. Received: index -1",
        ),
        (lambda b: b.finish({}, {}), "must have an output"),
        (lambda b: b.finish({"a": 2}, {"b": 1}), "Received: index 2"),
        (lambda b: b.finish({"a": 0}, {"b": 1}), "'b' is written by no"),
        (relu_twice, "'b' is written although"),
        (relu_before, "'a' is read before it is written"),
    ],
)
def test_wrong_arguments(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call(two_tensors())


def test_schema_falls_back_to_tensorflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = []

    def import_module(name: str) -> Any:
        loaded.append(name)
        if name.startswith("ai_edge_litert"):
            raise ImportError(name)
        return SCHEMA

    monkeypatch.setattr(
        flatbuffer_builder.importlib, "import_module", import_module
    )
    assert flatbuffer_builder.load_schema() is SCHEMA
    assert loaded == [
        "ai_edge_litert.schema_py_generated",
        "tensorflow.lite.python.schema_py_generated",
    ]


def test_schema_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(
        flatbuffer_builder.importlib, "import_module", import_module
    )
    with pytest.raises(ImportError, match="Install one of the packages"):
        ModelBuilder()
