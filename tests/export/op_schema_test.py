# SPDX-License-Identifier: Apache-2.0
import dataclasses
import pathlib
import re

import numpy as np
import pytest
from flatbuffers import flexbuffers
from hypothesis import given
from hypothesis import strategies as st

from export import op_options, op_schema, packing
from export.op_schema import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    FullyConnectedOptions,
    MaxPool2DOptions,
    PackOptions,
    UnpackOptions,
)
from tests.export import helpers

RUNTIME = pathlib.Path(op_schema.__file__).parent / "runtime"
CONV = Conv2DOptions(
    input_channels=3, output_channels=40, kernel_height=3, kernel_width=2
)
DEPTHWISE = DepthwiseConv2DOptions(channels=40, kernel_height=3, kernel_width=2)
MAX_POOL = MaxPool2DOptions(
    channels=40, pool_height=3, pool_width=2, stride_height=2, stride_width=1
)
FULLY_CONNECTED = FullyConnectedOptions(input_channels=40, output_channels=10)
PACK = PackOptions(channels=40)
UNPACK = UnpackOptions(channels=40)


@given(helpers.problems())
def test_options_survive_the_round_trip(problem: helpers.Problem) -> None:
    options = problem.options
    assert Conv2DOptions.from_bytes(options.to_bytes()) == options
    names = [field.name for field in dataclasses.fields(options)]
    assert flexbuffers.Loads(options.to_bytes()) == {
        "version": 1,
        **{name: getattr(options, name) for name in names},
    }


@given(st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1))
def test_fully_connected_options_survive_the_round_trip(
    inputs: int, outputs: int
) -> None:
    options = FullyConnectedOptions(
        input_channels=inputs, output_channels=outputs
    )
    assert FullyConnectedOptions.from_bytes(options.to_bytes()) == options


@pytest.mark.parametrize("kind", [PackOptions, UnpackOptions])
@given(channels=st.integers(1, 2**31 - 1))
def test_pack_options_survive_the_round_trip(
    kind: type[PackOptions | UnpackOptions], channels: int
) -> None:
    options = kind(channels=channels)
    assert kind.from_bytes(options.to_bytes()) == options
    assert flexbuffers.Loads(options.to_bytes()) == {
        "version": 1,
        "channels": channels,
    }


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 100))
def test_shapes_of_pack_and_unpack(leading: list[int], channels: int) -> None:
    unpacked = (*leading, channels)
    packed = packing.pack_activations(np.zeros(unpacked, np.int8)).shape
    assert PackOptions(channels=channels).output_shape(unpacked) == packed
    assert UnpackOptions(channels=channels).output_shape(packed) == unpacked


@pytest.mark.parametrize(
    ("options", "shape", "text"),
    [
        (PACK, (2, 3, 39), r"GxnorPack.*\(batch, ..., 40\) for channels=40"),
        (PACK, (40,), r"Received: input_shape=\(40,\)"),
        (UNPACK, (2, 3, 40), r"GxnorUnpack.*\(batch, ..., 4\)"),
        (UNPACK, (4,), r"Received: input_shape=\(4,\)"),
    ],
)
def test_wrong_shapes_of_pack_and_unpack(
    options: PackOptions | UnpackOptions, shape: tuple[int, ...], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        options.output_shape(shape)


@pytest.mark.parametrize("kind", [PackOptions, UnpackOptions])
@pytest.mark.parametrize(
    ("channels", "error", "text"),
    [
        (0, ValueError, "`channels` must be in 1.*Received: channels=0"),
        (2**31, ValueError, "Received: channels=2147483648"),
        (2.0, TypeError, "must be an int. Received: channels=2.0"),
    ],
)
def test_wrong_channels(
    kind: type[PackOptions | UnpackOptions],
    channels: int,
    error: type[Exception],
    text: str,
) -> None:
    with pytest.raises(error, match=f"{kind.custom_code}: .*{text}"):
        kind(channels=channels)


@pytest.mark.parametrize("kind", [PackOptions, UnpackOptions])
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"channels": 3}, "Received: version=None"),
        ({"channels": 3, "version": 2}, "Received: version=2"),
        ({"version": 1}, r"Missing: \['channels'\]. Unknown: \[\]"),
        (
            {"channels": 3, "input_channels": 3, "version": 1},
            r"Missing: \[\]. Unknown: \['input_channels'\]",
        ),
        ({"channels": 0, "version": 1}, "Received: channels=0"),
    ],
)
def test_wrong_bytes_of_pack_and_unpack(
    kind: type[PackOptions | UnpackOptions],
    options: dict[str, int],
    text: str,
) -> None:
    with pytest.raises(ValueError, match=f"{kind.custom_code}: .*{text}"):
        kind.from_bytes(bytes(flexbuffers.Dumps(options)))


@given(helpers.problems())
def test_output_shape_is_that_of_the_convolution(
    problem: helpers.Problem,
) -> None:
    options, shape = problem.options, problem.x.shape
    assert options.conv_size(*shape[1:3]) == problem.sums.shape[1:3]
    states = problem.states
    assert options.output_shape(shape, packed=False) == states.shape
    words = op_schema.packed_size(options.output_channels)
    assert options.output_shape(shape, packed=True) == (
        *states.shape[:-1],
        words,
    )


def test_runtime_has_the_same_options() -> None:
    source = (RUNTIME / "ops" / "op_options.c").read_text()
    shared = re.search(r"#define WINDOW_AND_POOL(.*?)\n\n", source, re.S)
    assert shared is not None
    for table, options in (
        ("kConv2dOptions", CONV),
        ("kDepthwiseOptions", DEPTHWISE),
        ("kMaxPoolOptions", MAX_POOL),
        ("kFullyConnectedOptions", FULLY_CONNECTED),
        ("kPackOptions", PACK),
        ("kPackOptions", UNPACK),
    ):
        text = re.search(rf"{table}\[\] = {{(.*?)}};", source, re.S)
        assert text is not None
        entries = text[1].replace("WINDOW_AND_POOL", shared[1])
        found = {
            name: 0 if kind == "PAD" else 1
            for kind, name in re.findall(r"(SIZE|PAD)\((\w+)\)", entries)
        }
        found |= {
            name: int(least)
            for name, least in re.findall(r'{"(\w+)",[^}]*, (\d)}', entries)
        }
        fields = [field.name for field in dataclasses.fields(options)]
        assert found == {name: 0 if "pad_" in name else 1 for name in fields}
    assert f"kVersion = {op_options.VERSION}" in source


def test_runtime_has_the_same_ops() -> None:
    source = (RUNTIME / "ops" / "op_options.c").read_text()
    table = re.search(r"kNames\[\] = {(.*?)};", source, re.S)
    assert table is not None
    names = re.findall(r'"(\w+)"', table[1])
    assert sorted(names) == sorted(op_schema.CUSTOM_CODES)
    micro = (RUNTIME / "tflite_micro" / "gxnor_ops.h").read_text()
    added = re.findall(r'AddCustom\("(\w+)"', micro)
    assert sorted(added) == sorted(op_schema.CUSTOM_CODES)
    kinds = (CONV, DEPTHWISE, FULLY_CONNECTED, MAX_POOL, PACK, UNPACK)
    codes = [options.custom_code for options in kinds]
    assert sorted(codes) == sorted(op_schema.CUSTOM_CODES)


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"stride_width": 0}, ValueError, "`stride_width` must be in 1..2"),
        ({"pad_left": -1}, ValueError, "Received: pad_left=-1"),
        ({"pad_left": 2**31}, ValueError, "Received: pad_left=2147483648"),
        ({"pool_width": True}, TypeError, "Received: pool_width=True"),
        ({"pool_width": 2.0}, TypeError, "Received: pool_width=2.0"),
        (
            {"pool_height": 2, "pool_pad_top": 2},
            ValueError,
            "pool_pad_top=2, pool_height=2",
        ),
        ({"pool_pad_right": 1}, ValueError, "pool_pad_right=1, pool_width=1"),
        (
            {"input_channels": 2**24 // 6 + 1},
            ValueError,
            r"must be <= 16777215.*3 \* 2 \* 2796203 = 16777218",
        ),
    ],
)
def test_wrong_options(
    changes: dict[str, int], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        dataclasses.replace(CONV, **changes)


@given(problem=helpers.problems(packed=True))
def test_depthwise_options(problem: helpers.Problem) -> None:
    values = dataclasses.asdict(problem.options)
    channels = values.pop("input_channels")
    del values["output_channels"]
    options = DepthwiseConv2DOptions(channels=channels, **values)
    assert DepthwiseConv2DOptions.from_bytes(options.to_bytes()) == options
    assert options.depth * channels == problem.options.depth
    full = dataclasses.replace(problem.options, output_channels=channels)
    for packed in (False, True):
        assert options.output_shape(
            problem.input.shape, packed=packed
        ) == full.output_shape(problem.input.shape, packed=packed)


@given(problem=helpers.problems(packed=True))
def test_max_pool_options(problem: helpers.Problem) -> None:
    options = helpers.max_pool_options(problem.options)
    assert MaxPool2DOptions.from_bytes(options.to_bytes()) == options
    height, width = problem.sums.shape[1:3]
    assert options.output_shape((2, height, width, 4)) == (
        2,
        *problem.states.shape[1:3],
        4,
    )


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"channels": 0}, ValueError, "`channels` must be in 1..2"),
        ({"pad_top": 3}, ValueError, "pad_top=3, pool_height=3"),
        ({"pad_right": -1}, ValueError, "Received: pad_right=-1"),
        ({"stride_width": 1.0}, TypeError, "Received: stride_width=1.0"),
    ],
)
def test_wrong_max_pool_options(
    changes: dict[str, int], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=f"GxnorMaxPool2D: .*{text}"):
        dataclasses.replace(MAX_POOL, **changes)


def test_wrong_depthwise_options() -> None:
    with pytest.raises(ValueError, match=r"must be <= .*5000 \* 5000 \* 1 = "):
        dataclasses.replace(DEPTHWISE, kernel_height=5000, kernel_width=5000)
    with pytest.raises(ValueError, match="pool_pad_left=1, pool_width=1"):
        dataclasses.replace(DEPTHWISE, pool_pad_left=1)
    with pytest.raises(ValueError, match="the pool window must fit"):
        MAX_POOL.output_shape((1, 2, 2, 4))


def test_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="the kernel must fit.*3 over 2"):
        CONV.output_size(2, 9)
    with pytest.raises(ValueError, match="the pool window must fit.*4 over 2"):
        dataclasses.replace(CONV, pool_height=4).output_size(4, 9)


def encoded(**changes: object) -> bytes:
    """The options of CONV with changes; None removes one."""
    values = {"version": 1, **dataclasses.asdict(CONV), **changes}
    return bytes(
        flexbuffers.Dumps({k: v for k, v in values.items() if v is not None})
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (encoded(version=2), "`version` must be 1.*Received: version=2"),
        (encoded(version=None), "Received: version=None"),
        (encoded(pad_top=None), r"Missing: \['pad_top'\]. Unknown: \[\]"),
        (encoded(groups=2), r"Missing: \[\]. Unknown: \['groups'\]"),
        (encoded(pad_top=0.5), "'pad_top' is there twice or is no integer"),
        (encoded(pad_top="1"), "'pad_top' is there twice or is no integer"),
        (encoded(pad_top=-1), "Received: pad_top=-1"),
        (encoded(pad_top=2**40), "Received: pad_top=1099511627776"),
        (b"", "not a flexbuffer map.*Received 0 bytes"),
        (bytes(flexbuffers.Dumps([1, 2])), "the root is not a map"),
        (encoded()[:-1], "not a flexbuffer map"),
    ],
)
def test_wrong_bytes(data: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Conv2DOptions.from_bytes(data)


def read_or_refuse(data: bytes) -> None:
    """Any bytes are options or a ValueError."""
    try:
        options = Conv2DOptions.from_bytes(data)
    except ValueError:
        return
    assert Conv2DOptions.from_bytes(options.to_bytes()) == options


@given(st.binary(max_size=80))
def test_random_bytes_are_refused(data: bytes) -> None:
    # A map's type byte at the end lets the reader go on.
    for width in (1, 2, 4, 8):
        read_or_refuse(data + bytes([9 << 2 | width & 3, width]))
    read_or_refuse(data)


def test_damaged_bytes_are_refused() -> None:
    data = np.frombuffer(encoded(), np.uint8)
    for i in range(data.size):
        for flip in (1, 4, 0x80, 0xFF):
            damaged = data.copy()
            damaged[i] ^= flip
            read_or_refuse(damaged.tobytes())
        read_or_refuse(data[:i].tobytes())
