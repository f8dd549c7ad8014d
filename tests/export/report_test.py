# SPDX-License-Identifier: Apache-2.0
"""The HTML report: what it says, and how a browser shows it."""

import re
import warnings

import flatbuffers
import keras
import numpy as np
import pytest
import tensorflow as tf

from export import __main__ as command_line
from export import (
    conversion,
    flatbuffer_builder,
    inspection,
    report,
    terminal_tables,
)
from tests import browser as browsers
from tests.export import nets

HOSTILE = (
    '</title></style><script>alert("x")</script><img src=x onerror=alert(1)>',
    "'\"><svg onload=alert(2)>&lt;script&gt;-->",
    "\x1b[2J\x00\u202edrow\n",
)


def changed(data, change):
    """A file whose schema objects `change` has been applied to."""
    schema = flatbuffer_builder.load_schema()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    change(model)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def hostile(data):
    """A file that says what it should not, wherever it can."""
    names = iter(HOSTILE * 100)

    def change(model):
        model.description = HOSTILE[0].encode()
        for tensor in model.subgraphs[0].tensors:
            tensor.name = next(names).encode() + b"\xff"
        schema = flatbuffer_builder.load_schema()
        for code in model.operatorCodes:
            if code.builtinCode == schema.BuiltinOperator.ADD:
                code.builtinCode = schema.BuiltinOperator.CUSTOM
                code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
                code.customCode = HOSTILE[0].encode()
        for op in model.subgraphs[0].operators:
            if model.operatorCodes[op.opcodeIndex].customCode is not None:
                op.builtinOptions, op.builtinOptionsType = None, 0

    return changed(data, change)


def convert_third_party(model, int8):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        samples = np.random.default_rng(0).random((4, 1, 9, 9, 1), np.float32)
        converter.representative_dataset = lambda: ([x] for x in samples)
        converter.inference_input_type = tf.int8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It warns of what it does itself.
        return converter.convert()


@pytest.fixture(scope="module")
def file_contents():
    """Files of this library and of TensorFlow's converter, by name."""
    model = nets.paper_like(0)
    layers = keras.layers
    third = keras.Sequential(
        [
            keras.Input((9, 9, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.DepthwiseConv2D(3),
            layers.Conv2DTranspose(2, 3, strides=2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5),
        ]
    )
    custom = conversion.convert(model)
    return {
        "custom": custom,
        "builtin": conversion.convert(model, "builtin"),
        "levels": conversion.convert(nets.multi_level(0)),
        "float": convert_third_party(third, int8=False),
        "int8": convert_third_party(third, int8=True),
        "hostile": hostile(custom),
    }


NAMES = ("custom", "builtin", "levels", "float", "int8", "hostile")


@pytest.fixture
def written(file_contents, tmp_path):
    def write(name):
        path = tmp_path / f"{name}.html"
        contents = inspection.contents(file_contents[name])
        title = HOSTILE[0] if name == "hostile" else f"{name}.tflite"
        path.write_text(report.html_report(contents, title), "utf-8")
        return path

    return write


@pytest.mark.parametrize("name", NAMES)
def test_bytes_add_up(name, file_contents):
    data = file_contents[name]
    contents = inspection.contents(data)
    assert contents.file_bytes == len(data)
    parts = (
        contents.weight_bytes,
        contents.offset_bytes,
        contents.other_bytes,
        contents.rest_bytes,
    )
    assert min(parts) >= 0 and sum(parts) == len(data)
    for row in contents.rows:
        if row.weights is not None:
            bins = row.weights.bins
            assert sum(one.count for one in bins) == row.weights.count
            assert 8 * row.weight_bytes >= row.weights.bits * row.weights.count
        assert row.weight_bytes + row.offset_bytes <= row.constant_bytes


def test_levels_of_weights():
    model = nets.paper_like(0)
    kernels = [
        layer.kernel.numpy()
        for layer in model.layers
        if hasattr(layer, "kernel")
    ]
    for ops, gain, bits in (("custom", 1, 2), ("builtin", 64, 8)):
        rows = inspection.inspect(conversion.convert(model, ops))
        found = [row.weights for row in rows if row.weights is not None]
        # The builtin form computes the last sums with weights of one.
        gains = [gain] * (len(kernels) - 1) + [1]
        for kernel, one_gain, weights in zip(
            kernels, gains, found, strict=True
        ):
            assert weights.bits == bits
            assert weights.count == kernel.size
            counts = {one.low: one.count for one in weights.bins}
            assert all(one.low == one.high for one in weights.bins)
            # A falling channel has its weights negated.
            assert counts[0] == weights.zeros == np.sum(kernel == 0)
            assert set(counts) == {-one_gain, 0, one_gain}


def test_thresholds_are_those_of_the_program():
    model = nets.paper_like(0)
    program = conversion.fusion.fuse(model)
    expected = [
        (t.steps.min(), t.steps.max())
        for t in (getattr(op, "thresholds", None) for op in program.ops)
        if t is not None
    ]
    rows = inspection.inspect(conversion.convert(model))
    found = [(row.offsets.low, row.offsets.high) for row in rows if row.offsets]
    assert found == expected and len(expected) == 3


def test_third_party_numbers(file_contents):
    rows = inspection.inspect(file_contents["float"])
    by_op = {row.op: row for row in rows}
    assert by_op["CONV_2D"].macs == 9 * 4 * 49
    assert by_op["DEPTHWISE_CONV_2D"].macs == 9 * 4 * 25
    assert by_op["TRANSPOSE_CONV"].macs == 9 * 2 * 4 * 25
    assert by_op["FULLY_CONNECTED"].macs == 10
    assert {row.weights.bits for row in rows if row.weights} == {32}
    rows = inspection.inspect(file_contents["int8"])
    assert {row.weights.bits for row in rows if row.weights} == {8}


def with_weights(name, values, shape, zero_point=0):
    """A file whose weights have another type."""
    builder = flatbuffer_builder.ModelBuilder()
    x = builder.tensor("x", (1, shape[1]), np.float32)
    y = builder.tensor("y", (1, shape[0]), np.float32)
    w = builder.constant("w", np.asarray(values, np.uint8))
    builder.builtin(
        "FULLY_CONNECTED", [x, w], [y], fused_activation_function="NONE"
    )
    schema = flatbuffer_builder.load_schema()

    def change(model):
        tensor = model.subgraphs[0].tensors[w]
        tensor.type = getattr(schema.TensorType, name)
        tensor.shape = np.array(shape, np.int32)
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.zeroPoint = np.array([zero_point], np.int64)

    return changed(builder.finish({"x": x}, {"y": y}), change)


@pytest.mark.parametrize(
    ("type_name", "stored", "shape", "zero_point", "bits", "counts"),
    [
        ("INT4", [0xF1, 0x08], (1, 3), 0, 4, {-8: 1, -1: 1, 1: 1}),
        ("UINT4", [0xF1], (1, 2), 1, 4, {0: 1, 14: 1}),
        ("INT2", [0b11100100], (1, 4), 0, 2, {-2: 1, -1: 1, 0: 1, 1: 1}),
        ("UINT8", [3, 128, 128], (1, 3), 128, 8, {-125: 1, 0: 2}),
        ("FLOAT16", [0, 0x3C, 0, 0x7C], (1, 2), 0, 16, {1.0: 1}),
    ],
)
def test_other_types_of_weights(
    type_name, stored, shape, zero_point, bits, counts
):
    data = with_weights(type_name, stored, shape, zero_point)
    [row] = inspection.inspect(data)
    assert row.weights.bits == bits
    assert {one.low: one.count for one in row.weights.bins} == counts
    assert row.weights.count == shape[1]  # That which is no number, too.


def test_unreadable_weights_are_none_and_wrong_ones_an_error():
    [row] = inspection.inspect(with_weights("BFLOAT16", [0, 0], (1, 1)))
    assert row.weights is None and row.weight_bytes == 2
    with pytest.raises(ValueError, match="constant 'w', INT8 of shape"):
        inspection.inspect(with_weights("INT8", [0, 0], (1, 3)))


def test_constants_behind_the_rest(file_contents):
    plain = inspection.contents(file_contents["float"])
    index = {}

    def change(model):
        graph = model.subgraphs[0]
        tensor = graph.tensors[graph.operators[0].inputs[1]]
        buffer = model.buffers[tensor.buffer]
        index["data"] = bytes(buffer.data)
        buffer.offset, buffer.size = 10_000, len(buffer.data)
        buffer.data = None

    data = changed(file_contents["float"], change).ljust(10_000, b"\0")
    contents = inspection.contents(data + index["data"])
    assert contents.weight_bytes == plain.weight_bytes
    assert [row.weights for row in contents.rows] == [
        row.weights for row in plain.rows
    ]
    with pytest.raises(ValueError, match="cut off: a constant ends at byte"):
        inspection.contents(data + index["data"][:-1])


@pytest.mark.parametrize("what", ["operand", "opcode", "buffer"])
def test_wrong_indices(what, file_contents):
    def change(model):
        graph = model.subgraphs[0]
        if what == "operand":
            graph.operators[0].inputs = np.array([len(graph.tensors)])
        elif what == "opcode":
            graph.operators[0].opcodeIndex = 99
        else:
            graph.tensors[graph.operators[0].inputs[1]].buffer = 999

    data = changed(file_contents["float"], change)
    with pytest.raises(ValueError, match="damaged: it refers to item"):
        inspection.contents(data)


@pytest.mark.parametrize("name", NAMES)
def test_browser_shows_the_report(name, written, file_contents, browser):
    rows = inspection.inspect(file_contents[name])
    for width in browsers.WIDTHS:
        with browser.page(written(name), width) as page:
            browsers.assert_fits(page)
            browsers.assert_drawn(page)
            lines = page.locator(".ops tbody tr")
            assert lines.count() == len(rows)
            for number, row in enumerate(rows):
                line = lines.nth(number)
                assert line.is_visible()
                assert line.locator(".name").text_content() == row.name
                pictures = line.locator("svg.histogram rect")
                bins = row.weights.bins if row.weights else ()
                assert pictures.count() == len(bins)
            shares = page.locator(".memory rect").evaluate_all(
                "bars => bars.map(bar => bar.getBoundingClientRect().width)"
            )
            bar = page.locator(".memory").bounding_box()["width"]
            assert sum(shares) == pytest.approx(bar, abs=1)
            assert page.locator("script, img, link, iframe").count() == 0


def test_browser_shows_hostile_names_as_text(written, browser):
    with browser.page(written("hostile")) as page:
        assert page.title() == HOSTILE[0]
        assert page.locator("h1").text_content() == HOSTILE[0]
        names = page.locator(".name").all_text_contents()
        assert HOSTILE[0] + "\ufffd" in names
        assert "\ufffd[2J\ufffd\ufffddrow\ufffd\ufffd" in names
        text = page.locator("body").inner_text()
        assert f"The custom ops {HOSTILE[0]}, which" in text


def test_terminal_table_of_a_hostile_file(file_contents):
    rows = inspection.inspect(file_contents["hostile"])
    table = terminal_tables.format_rows(rows, 1)
    assert all(c.isprintable() for c in table.replace("\n", ""))


def test_report_is_dark_where_the_reader_is(written, browser):
    colours = []
    for dark in (False, True):
        with browser.page(written("custom"), dark=dark) as page:
            colours.append(
                page.evaluate("getComputedStyle(document.body).backgroundColor")
            )
    assert colours == ["rgb(255, 255, 255)", "rgb(21, 24, 27)"]


def test_report_prints(written, browser):
    with browser.page(written("int8"), dark=True) as page:
        pdf = page.pdf(format="A4")
        page.emulate_media(media="print")
        assert (
            page.evaluate("getComputedStyle(document.body).backgroundColor")
            == "rgb(255, 255, 255)"
        )
    assert pdf[:5] == b"%PDF-"
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 3


def test_says_which_runtime_needs_what(file_contents):
    def needs(name):
        contents = inspection.contents(file_contents[name])
        page = report.html_report(contents, name)
        rows = re.findall(r'<th scope="row">([^<]*)</th><td>([^<]*)</td>', page)
        return dict(rows)

    custom = needs("custom")
    assert "load_delegate()" in custom["LiteRT, TensorFlow Lite"]
    assert "AddGxnorOps" in custom["TensorFlow Lite Micro"]
    assert "CAST, MUL, ADD" in custom["TensorFlow Lite Micro"]
    assert "Cannot run it: GxnorConv2D" in custom["Edge TPU"]
    builtin = needs("builtin")
    assert builtin["LiteRT, TensorFlow Lite"] == "Nothing else."
    assert "Gxnor" not in builtin["TensorFlow Lite Micro"]
    assert "maps int8 ops" in builtin["Edge TPU"]
    third = needs("float")["LiteRT, TensorFlow Lite"]
    assert re.fullmatch(r"TensorFlow \d+\.\d+\.\d+ or newer\.", third)


def test_custom_op_with_the_name_of_a_builtin_one():
    def change(model):
        for code in model.operatorCodes:
            code.customCode = b"FULLY_CONNECTED"

    data = changed(with_weights("INT8", [1, 2], (1, 2)), change)
    contents = inspection.contents(data)
    [row] = contents.rows
    assert row.is_custom and row.weights is None and row.macs == 0
    page = report.html_report(contents, "x")
    assert "The custom ops FULLY_CONNECTED, which" in page


def run(*arguments):
    return command_line.main([str(argument) for argument in arguments])


def test_command_line(file_contents, tmp_path, capsys):
    path = tmp_path / "model.tflite"
    path.write_bytes(file_contents["int8"])
    page = tmp_path / "model.html"
    assert run(path, f"--html={page}") == 0
    assert f"{page}: a report on model.tflite" in capsys.readouterr().out
    first = page.read_text("utf-8")
    assert first == report.html_report(
        inspection.contents(file_contents["int8"]), "model.tflite"
    )
    # The next report replaces it.
    path.write_bytes(file_contents["builtin"])
    assert run(path, f"--html={page}", "--inspect") == 0
    assert "CONV_2D" in capsys.readouterr().out
    assert page.read_text("utf-8") != first


def test_report_on_what_is_exported(tmp_path):
    nets.dense_only(0).save(tmp_path / "model.keras")
    output, page = tmp_path / "out.tflite", tmp_path / "out.html"
    status = run(
        tmp_path / "model.keras", f"--output={output}", f"--html={page}"
    )
    assert status == 0
    assert page.read_text("utf-8") == report.html_report(
        inspection.contents(output.read_bytes()), "out.tflite"
    )


def test_report_replaces_nothing_else(file_contents, tmp_path, capsys):
    path = tmp_path / "model.tflite"
    path.write_bytes(file_contents["custom"])
    notes = tmp_path / "notes.html"
    notes.write_text("<p>mine")
    for target in (notes, path):
        before = target.read_bytes()
        assert run(path, f"--html={target}") == 1
        assert "was not written by an export" in capsys.readouterr().err
        assert target.read_bytes() == before
    new = tmp_path / "new"
    model = tmp_path / "model.keras"
    nets.dense_only(0).save(model)
    assert run(model, f"--output={new}", f"--html={new}") == 1
    assert "--html must not be the file of --output" in capsys.readouterr().err
    assert not new.exists()
