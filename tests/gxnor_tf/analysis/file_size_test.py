# SPDX-License-Identifier: Apache-2.0
import pytest

from gxnor_tf.analysis.file_size import FileSize


def test_equal_data_is_stored_once():
    size = FileSize()
    size.constant("a", 6400, data="kernel")
    first = size.by_layer["a"]
    assert 6400 < first < 6400 + 256
    size.constant("b", 6400, data="kernel")
    assert 0 < size.by_layer["b"] < 256
    size.constant("c", 6400, data="other")
    size.constant("d", 6400)
    size.constant("e", 6400)
    assert all(size.by_layer[name] == first for name in "cde")


def test_scales_take_twelve_bytes_each():
    plain, scaled = FileSize(), FileSize()
    plain.constant("a", 10)
    scaled.constant("a", 10, scales=7)
    assert scaled.by_layer["a"] - plain.by_layer["a"] == 7 * 12


def test_a_kind_of_operator_is_declared_once():
    size = FileSize()
    size.operator("a", "DIV")
    size.operator("b", "DIV")
    size.operator("c", "MUL")
    assert size.by_layer["a"] == size.by_layer["c"] > size.by_layer["b"]
    assert size.operators == {"DIV": 2, "MUL": 1}


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_files_end_at_a_multiple_of_the_alignment(count):
    size = FileSize()
    for _ in range(count):
        size.operator("a", "DIV", states=True)
    rest = size.total - size.by_layer["a"]
    assert size.total % 64 == 0 and 400 < rest < 700
