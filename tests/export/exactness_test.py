# SPDX-License-Identifier: Apache-2.0
"""Keras = NumPy oracle = builtin ops = custom ops, integer for integer."""

import hypothesis
import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import strategies as st

import gxnor_tf
from export import (
    delegate,
    fusion,
    inspection,
    lowering,
    reference,
    verification,
)
from export.program import DiscreteOp, Program, Tensor, Window
from tests.export import nets

SEEDS = range(3)


def assert_reference_equals_keras(model, program, result, x):
    expected = nets.keras_outputs(model, program.activations, x)
    for name, tensor in program.activations.items():
        states = verification.decode(result.values[tensor.name], tensor)
        value = verification.in_states(expected[name], tensor)
        assert (states == value.reshape(states.shape)).all(), name
    # The model itself, not the exporter's reading of it.
    (output,) = keras.tree.flatten(
        model(x.astype(np.float32) * nets.INPUT_SCALE, training=False)
    )
    output = verification.in_states(output, program.output)
    assert result.output.shape == output.shape
    # Bit for bit: the sums are exact and the tail is Keras' own formula.
    assert (result.output == output).all()


def run_litert(data, x, resolver=OpResolverType.AUTO, delegates=()):
    interpreter = Interpreter(
        model_content=data,
        experimental_op_resolver_type=resolver,
        experimental_delegates=list(delegates),
    )
    return run_interpreter(interpreter, x)


def run_interpreter(interpreter, x):
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, x)
    interpreter.invoke()
    signature = interpreter.get_signature_list()["serving_default"]
    details = interpreter.get_output_details()
    assert len(details) == len(signature["outputs"])
    return [interpreter.get_tensor(d["index"]) for d in details]


def assert_file_equals_reference(outputs, program, result):
    assert len(outputs) == len(program.named_outputs)
    for output, tensor in zip(
        outputs, program.named_outputs.values(), strict=True
    ):
        expected = verification.decode(result.values[tensor.name], tensor)
        found = verification.decode(output, tensor)
        assert found.dtype == expected.dtype
        assert (found.reshape(expected.shape) == expected).all(), tensor.name


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", nets.ALL)
def test_reference_equals_keras(make, seed):
    model = make(seed)
    program = fusion.fuse(model)
    x = nets.images(model, 20, seed)
    result = reference.run(program, x)
    assert_reference_equals_keras(model, program, result, x)


def test_nets_are_not_trivial():
    """The nets meet every state, negative scales and zero channels."""
    flipped = states = zero = 0
    for make in nets.ALL:
        for seed in SEEDS:
            model = make(seed)
            program = fusion.fuse(model)
            result = reference.run(program, nets.images(model, 20, seed))
            for tensor in program.activations.values():
                value = np.sign(result.values[tensor.name])
                states += np.array([(value == s).sum() for s in (-1, 0, 1)])
                if tensor.flipped is not None:
                    flipped += tensor.flipped.sum()
            zero += sum(
                (op.kernel == 0).all((1, 2, 3)).sum()
                for op in program.discrete_ops
            )
    assert (states / states.sum() > 0.1).all()
    assert flipped > 50
    assert zero > 20


@pytest.mark.parametrize(
    "resolver",
    [
        OpResolverType.AUTO,
        OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        OpResolverType.BUILTIN_REF,
    ],
)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", nets.ALL)
def test_builtin_ops_equal_reference(make, seed, resolver):
    model = make(seed)
    program = fusion.fuse(model)
    x = nets.images(model, 20, seed)
    outputs = run_litert(lowering.lower(program, "builtin", True), x, resolver)
    result = reference.run(program, x)
    assert_file_equals_reference(outputs, program, result)


@pytest.mark.parametrize(
    "resolver", [OpResolverType.AUTO, OpResolverType.BUILTIN_REF]
)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", nets.ALL)
def test_custom_ops_equal_reference(make, seed, resolver):
    model = make(seed)
    program = fusion.fuse(model)
    x = nets.images(model, 20, seed)
    outputs = run_litert(
        lowering.lower(program, "custom", True),
        x,
        resolver,
        delegates=[delegate.load_delegate()],
    )
    result = reference.run(program, x)
    assert_file_equals_reference(outputs, program, result)


@pytest.mark.parametrize("make", nets.ALL)
def test_interpreter_of_tensorflow(make):
    model = make(7)
    program = fusion.fuse(model)
    x = nets.images(model, 3, 7)
    result = reference.run(program, x)
    builtin = tf.lite.Interpreter(
        model_content=lowering.lower(program, "builtin", True)
    )
    assert_file_equals_reference(run_interpreter(builtin, x), program, result)


def test_tail_of_sums_covers_its_range():
    """The saturating windows give every sum, the extreme ones included."""
    kernel = np.ones((2, 1, 1, 700), np.int8)
    kernel[1, ..., :350] = -1
    source = Tensor("x", (700,), unit=1.0, peak=1)
    output = Tensor("last", (2,))
    op = DiscreteOp(
        name="last",
        input=source,
        output=output,
        kernel=kernel,
        window=Window((1, 1)),
        fully_connected=True,
    )
    rng = np.random.default_rng(0)
    counts = np.concatenate([np.arange(0, 701, 7), [700]])
    x = np.zeros((2 * len(counts), 700), np.int8)
    for row, count in enumerate(counts):
        x[2 * row, rng.permutation(700)[:count]] = 1
        x[2 * row + 1, rng.permutation(700)[:count]] = -1
    data = lowering.lower(Program(source, (op,), output), "builtin")
    operators = [row.op for row in inspection.inspect(data)]
    assert operators == ["FULLY_CONNECTED", "DEQUANTIZE", "FULLY_CONNECTED"]
    expected = x.astype(np.int64) @ kernel.reshape(2, 700).T.astype(np.int64)
    assert expected.max() == 700 and expected.min() == -700
    for resolver in (OpResolverType.AUTO, OpResolverType.BUILTIN_REF):
        (output,) = run_litert(data, x, resolver)
        assert (output == expected).all()


@st.composite
def random_specs(draw):
    """Geometry of a random chain of blocks; `build` makes the net."""
    blocks = [
        {
            "filters": draw(st.sampled_from([1, 5, 31, 32, 33, 65])),
            "kernel_size": draw(st.integers(1, 3)),
            "strides": draw(st.integers(1, 2)),
            "padding": draw(st.sampled_from(["valid", "same"])),
            "use_bias": draw(st.booleans()),
            "weight_n": draw(st.sampled_from([0, 1, 1, 2, 3, 5, 6])),
            "activation_n": draw(st.sampled_from([0, 1, 1, 2, 4])),
            "zero_window": draw(st.sampled_from([0.0, 0.5, 0.75])),
            "pool_place": draw(st.sampled_from([None, 0, 1, 2])),
            "pool_size": draw(st.integers(1, 2)),
            "pool_strides": draw(st.integers(1, 2)),
            "pool_padding": draw(st.sampled_from(["valid", "same"])),
        }
        for _ in range(draw(st.integers(1, 2)))
    ]
    return {
        "shape": (
            draw(st.integers(5, 11)),
            draw(st.integers(5, 11)),
            draw(st.sampled_from([1, 2, 3, 33])),
        ),
        "blocks": blocks,
        "norm_last": draw(st.booleans()),
        "seed": draw(st.integers(0, 2**31)),
    }


def build(spec):
    layers = [keras.Input(spec["shape"])]
    size = spec["shape"][:2]
    for block in spec["blocks"]:
        conv = gxnor_tf.DiscreteConv2D(
            block["filters"],
            min(block["kernel_size"], *size),
            strides=block["strides"],
            padding=block["padding"],
            use_bias=block["use_bias"],
            weight_space=block["weight_n"],
        )
        size = conv.compute_output_shape((None, *size, 1))[1:3]
        rest = [
            keras.layers.BatchNormalization(epsilon=1e-4),
            gxnor_tf.DiscreteActivation(
                block["activation_n"],
                zero_window=block["zero_window"]
                if block["activation_n"]
                else 0,
            ),
        ]
        if min(size) >= 2 and block["pool_place"] is not None:
            pool = keras.layers.MaxPooling2D(
                block["pool_size"],
                strides=block["pool_strides"],
                padding=block["pool_padding"],
            )
            rest.insert(block["pool_place"], pool)
            size = pool.compute_output_shape((None, *size, 1))[1:3]
        layers += [conv, *rest]
    layers += [keras.layers.Flatten(), gxnor_tf.DiscreteDense(4)]
    if spec["norm_last"]:
        layers.append(keras.layers.BatchNormalization())
    return nets.randomise(keras.Sequential(layers), spec["seed"])


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(random_specs())
def test_random_nets(spec):
    model, seed = build(spec), spec["seed"]
    program = fusion.fuse(model)
    x = nets.images(model, 4, seed)
    result = reference.run(program, x)
    assert_reference_equals_keras(model, program, result, x)
    custom = run_litert(
        lowering.lower(program, "custom", True),
        x,
        delegates=[delegate.load_delegate()],
    )
    assert_file_equals_reference(custom, program, result)
    builtin = run_litert(lowering.lower(program, "builtin", True), x)
    assert_file_equals_reference(builtin, program, result)
