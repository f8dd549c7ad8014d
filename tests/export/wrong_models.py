# SPDX-License-Identifier: Apache-2.0
"""Models of one op that every runtime must refuse, and why."""

import dataclasses
from typing import Any

import numpy as np
from flatbuffers import flexbuffers

from export import packing
from export.op_schema import Conv2DOptions
from tests.export import helpers

OPTIONS = Conv2DOptions(
    input_channels=3, output_channels=33, kernel_height=3, kernel_width=2
)


def encoded(**changes: object) -> bytes:
    """The options with changes; None removes one."""
    values = {"version": 1, **dataclasses.asdict(OPTIONS), **changes}
    return bytes(
        flexbuffers.Dumps({k: v for k, v in values.items() if v is not None})
    )


def with_bits(array: np.ndarray, index: tuple[int, ...], bits: int) -> Any:
    array = array.copy()
    array[index] |= np.array(bits, np.uint32).view(np.int32)
    return array


PACKED = helpers.make_problem(OPTIONS, packed=True)
PLAIN = helpers.make_problem(OPTIONS, packed=False)
WEIGHTS = packing.pack_weights(PACKED.weights)
REVERSED = np.ascontiguousarray(PLAIN.thresholds[:, ::-1])

CASES: list[tuple[helpers.Problem, dict[str, Any], str]] = [
    (PACKED, {"options": encoded(version=2)}, "`version` is 2, but"),
    (PACKED, {"options": encoded(version=None)}, "`version` is missing"),
    (PACKED, {"options": encoded(pad_top=None)}, "`pad_top` is missing"),
    (PACKED, {"options": encoded(groups=1)}, "`groups` is unknown"),
    (PACKED, {"options": encoded(stride_width=0)}, "`stride_width` is 0"),
    (PACKED, {"options": encoded(pad_left=2**40)}, "`pad_left` is 10995"),
    (PACKED, {"options": encoded(pad_left=0.5)}, "is no integer"),
    (PACKED, {"options": b""}, "0 bytes, are no flexbuffer map"),
    (PACKED, {"options": b"\x00" * 9}, "9 bytes, are no flexbuffer map"),
    (
        PACKED,
        {"options": encoded(pool_pad_top=1)},
        "pool 1x1 .padding 1, 0, 0, 0. do not fit",
    ),
    (
        PACKED,
        {"options": encoded(output_channels=2**31 - 1)},
        r"more than 2\^31 - 1 elements.*output channels 2147483647",
    ),
    (
        PACKED,
        {"input_shape": (1, 2, 5, 2)},
        "kernel 3x2 .*do not fit the input 2x5",
    ),
    (
        PACKED,
        {"input_shape": (1, 6, 5, 3)},
        r"must be 2, for option `input_channels` is 3 and the input "
        r"packed; received \(1, 6, 5, 3\)",
    ),
    (
        PLAIN,
        {"input_shape": (1, 6, 5, 2)},
        "must be 3, for option `input_channels` is 3 and the input int8",
    ),
    (PACKED, {"input_shape": (6, 10)}, r"received \(6, 10\)"),
    (
        PACKED,
        {"input_dtype": np.float32},
        "the input must be int8, or int32.*received TfLiteType 1",
    ),
    (PLAIN, {"zero_point": -128}, "zero point 0; received -128"),
    (PACKED, {"output_dtype": np.int8}, "TfLiteType 2, 2 and 9"),
    (
        PACKED,
        {"weights": WEIGHTS.astype(np.int64)},
        "TfLiteType 4, 2 and 2",
    ),
    (
        PACKED,
        {"weights": WEIGHTS[:, 1:].copy()},
        r"weights must have the shape \(2, 19, 2\); "
        r"received \(2, 18, 2\)",
    ),
    (PACKED, {"weights_as_input": True}, "weights must be a constant"),
    (
        PACKED,
        {"weights": with_bits(WEIGHTS, (1, 3), 1 << 31)},
        "record 3 of weight group 1 is {0x8000000[01], 0x",
    ),
    (
        PACKED,
        {"weights": with_bits(WEIGHTS, (0, 18, 0), 1)},
        "group 0 does not end with the null record",
    ),
    (
        PACKED,
        {"thresholds": PLAIN.thresholds},
        r"thresholds must have the shape \(2, 6, 2\); "
        r"received \(33, 2\)",
    ),
    (
        PACKED,
        {"thresholds": with_bits(PACKED.thresholds, (0, 5, 1), 2)},
        "lane 1 of threshold group 0 has high -?[0-9]+ and low",
    ),
    (
        PLAIN,
        {"thresholds": PACKED.thresholds},
        r"thresholds must have the shape \(33, 2\)",
    ),
    (
        PLAIN,
        {"thresholds": REVERSED},
        "channel 0 has high threshold -?[0-9]+ and low threshold -?[0-9]+",
    ),
    (
        PACKED,
        {"ternary": False, "options": encoded(pool_width=2)},
        "a pool needs thresholds; received pool 1x2",
    ),
]
"""Problems, changes for `helpers.one_op_model`, patterns of the message."""
