# SPDX-License-Identifier: Apache-2.0
"""The command line, the files it reads and writes, and its table."""

import itertools
import os
import pathlib
import re
import stat
import time
import warnings

import flatbuffers
import keras
import numpy as np
import pytest

from export import __main__ as command_line
from export import conversion, files, inspection, tflite_reader
from export.flatbuffer_builder import (
    FILE_IDENTIFIER,
    ModelBuilder,
    load_schema,
)
from tests.export import nets


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    nets.paper_like(0).save(path)
    return path


def run(*arguments):
    return command_line.main([str(a) for a in arguments])


@pytest.mark.parametrize("ops", ["custom", "builtin"])
def test_exports_and_inspects(ops, model_path, tmp_path, capsys):
    output = tmp_path / "model.tflite"
    status = run(model_path, f"--output={output}", f"--ops={ops}", "--inspect")
    assert status == 0
    data = output.read_bytes()
    assert data == conversion.convert(files.load_model(model_path), ops)
    printed = capsys.readouterr().out
    assert f"{len(data):,} bytes" in printed
    assert ("GxnorConv2D" in printed) == (ops == "custom")
    assert all(len(line) <= 80 for line in printed.splitlines()[:-1])
    assert run(output, "--inspect") == 0
    assert capsys.readouterr().out in printed


def test_new_file_has_the_usual_rights(model_path, tmp_path):
    run(model_path, f"--output={tmp_path / 'a.tflite'}")
    (tmp_path / "plain").write_bytes(b"")
    modes = {
        stat.S_IMODE(os.stat(tmp_path / name).st_mode)
        for name in ("a.tflite", "plain")
    }
    assert len(modes) == 1


def test_include_dir(capsys):
    assert run("--include_dir") == 0
    folder = pathlib.Path(capsys.readouterr().out.strip())
    assert (folder / "gxnor" / "conv2d.h").is_file()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["{model}"], "--c_source, --c_array, --inspect or --html"),
        (["{model}", "--output=x", "--arena_limit=9"], "is for --c_source"),
        ([], "model file is needed"),
        (["{model}", "--output=x", "--ops=float"], "invalid choice"),
    ],
)
def test_usage_errors(arguments, text, model_path, capsys):
    with pytest.raises(SystemExit):
        run(*[a.format(model=model_path) for a in arguments])
    assert text in capsys.readouterr().err


def test_unwritable_outputs_fail_before_the_conversion(
    model_path, tmp_path, capsys, monkeypatch
):
    def never(*args, **kwargs):
        raise AssertionError("converted in vain")

    monkeypatch.setattr(command_line, "convert", never)
    assert run(model_path, f"--output={tmp_path / 'no' / 'm.tflite'}") == 1
    assert "does not exist. Create it first" in capsys.readouterr().err
    assert run(model_path, f"--output={tmp_path}") == 1
    assert "is a folder" in capsys.readouterr().err
    monkeypatch.setattr(os, "access", lambda *args: False)
    assert run(model_path, f"--output={tmp_path / 'm.tflite'}") == 1
    assert "is not writable" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("there_before", [False, True])
def test_failed_write_leaves_what_was_there(
    there_before, tmp_path, monkeypatch
):
    output = tmp_path / "model.tflite"
    if there_before:
        output.write_bytes(b"before")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        files.write_atomically(output, b"after")
    assert [p.name for p in tmp_path.iterdir()] == (
        ["model.tflite"] if there_before else []
    )
    if there_before:
        assert output.read_bytes() == b"before"


def test_failed_export_leaves_no_file(tmp_path, capsys):
    path = tmp_path / "plain.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(path)
    output = tmp_path / "plain.tflite"
    output.write_bytes(b"before")
    assert run(path, f"--output={output}") == 1
    assert "has real weights" in capsys.readouterr().err
    assert output.read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "text"])
def test_damaged_keras_files(damage, model_path, tmp_path, capsys):
    path = tmp_path / "damaged.keras"
    whole = model_path.read_bytes()
    content = {
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "text": b"this is no model\n" * 40,
    }
    if damage != "missing":
        path.write_bytes(content[damage])
    assert run(path, "--inspect") == 1
    error = capsys.readouterr().err
    assert str(path) in error
    assert ("no model file" in error) == (damage == "missing")


def test_damaged_tflite_files(tmp_path, capsys):
    whole = conversion.convert(nets.dense_only(0))
    path = tmp_path / "damaged.tflite"
    rng = np.random.default_rng(0)
    for size in (0, 3, 8, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert run(path, "--inspect") == 1
        assert "tflite" in capsys.readouterr().err
    for count in [1, 2, 3, 20] * 100:  # an error or a table, never a crash
        damaged = bytearray(whole)
        for position in rng.integers(8, len(whole), count):
            damaged[position] = rng.integers(256)
        path.write_bytes(bytes(damaged))
        assert run(path, "--inspect") in (0, 1)


def shared_lists(count: int) -> bytes:
    """A file whose lists share their elements, which are lists again."""
    schema = load_schema()
    builder = flatbuffers.Builder()

    def of_one(element: int) -> int:
        builder.StartVector(4, count, 4)
        for _ in range(count):
            builder.PrependUOffsetTRelative(element)
        return int(builder.EndVector())

    schema.DimensionMetadataStart(builder)
    axes = of_one(schema.DimensionMetadataEnd(builder))
    schema.SparsityParametersStart(builder)
    schema.SparsityParametersAddDimMetadata(builder, axes)
    sparsity = schema.SparsityParametersEnd(builder)
    schema.TensorStart(builder)
    schema.TensorAddSparsity(builder, sparsity)
    tensors = of_one(schema.TensorEnd(builder))
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, tensors)
    graphs = of_one(schema.SubGraphEnd(builder))
    schema.ModelStart(builder)
    schema.ModelAddSubgraphs(builder, graphs)
    builder.Finish(schema.ModelEnd(builder), file_identifier=FILE_IDENTIFIER)
    data = bytes(builder.Output())
    return data + b"\0" * (-len(data) % 64)


def test_lists_that_share_elements_take_no_time():
    """Unpacked, they would be 10^9 objects, and take hours."""
    data = shared_lists(1000)
    assert len(data) < 20_000
    before = time.monotonic()
    assert inspection.inspect(data) == []
    assert time.monotonic() - before < 5


def many_operators(count: int, custom_code: str) -> bytes:
    """A file whose operators all have the same constant as input."""
    builder = ModelBuilder()
    x = builder.constant("x", np.ones(100_000, np.int8))
    y = builder.tensor("y", (1,), np.int32)
    builder._check_order = lambda *_: None  # It writes no damaged files.
    for _ in range(count):
        builder.custom(custom_code, [x], [y], b"")
    return builder.finish({}, {"y": y})


def test_the_same_bytes_again_and_again():
    """As of a layer that is called often; but there is an end to it."""
    data = many_operators(1000, "Other")
    assert len(inspection.inspect(data)) == 1000
    reader = tflite_reader.TfliteReader(data)
    x = next(tensor for tensor in reader.tensors() if tensor.name == "x")
    assert all(len(reader.values(x)) == 100_000 for _ in range(200))
    with pytest.raises(ValueError, match="the same bytes again and again"):
        for _ in range(1000):
            reader.values(x)


def test_names_of_operators_do_not_control_the_terminal(tmp_path, capsys):
    path = tmp_path / "a.tflite"
    path.write_bytes(many_operators(1, "\x1b]0;title\x07" + "x" * 1000))
    assert run(path, "--inspect") == 0
    printed = capsys.readouterr().out
    assert "\ufffd]0;title\ufffdxxx" in printed
    assert max(map(len, printed.splitlines())) < 120
    assert all(line.isprintable() for line in printed.splitlines())


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_code_in_a_model_is_refused(suffix, tmp_path, capsys):
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Lambda(lambda x: x)]
    )
    path = tmp_path / f"a.{suffix}"
    with warnings.catch_warnings():  # HDF5 is Keras' old format.
        warnings.simplefilter("ignore")
        model.save(path)
    assert run(path, f"--output={tmp_path / 'a.tflite'}") == 1
    assert "unsafe" in capsys.readouterr().err
    assert not (tmp_path / "a.tflite").exists()


def test_tflite_is_not_exported_again(tmp_path, capsys):
    path = tmp_path / "a.tflite"
    path.write_bytes(conversion.convert(nets.dense_only(0)))
    assert run(path, f"--output={tmp_path / 'b.tflite'}") == 1
    assert "is exported already" in capsys.readouterr().err


def test_rows_of_both_forms_agree():
    model = nets.paper_like(3)
    layers = [x for x in model.layers if hasattr(x, "kernel")]
    zeros = [np.mean(x.kernel.numpy() == 0) for x in layers]
    # 5x5x2x9 over 10x9, 3x3x9x37 over 5x4, 2*2*37 * 33, 33 * 10.
    macs = [450 * 90, 2997 * 20, 148 * 33, 330]
    macs[2] = layers[2].kernel.shape[0] * 33
    for ops in ("custom", "builtin"):
        data = conversion.convert(model, ops)
        rows = inspection.inspect(data)
        rows = [row for row in rows if row.zero_share is not None]
        assert [row.zero_share for row in rows] == pytest.approx(zeros)
        found = [row.macs for row in rows]
        # The builtin form computes the last sums in saturating windows.
        assert found[:3] == macs[:3]
        assert found[3] % macs[3] == 0


def test_macs_of_float_and_depthwise_ops():
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(3, 3),
            layers.DepthwiseConv2D(2, depth_multiplier=2),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )
    data = conversion.convert(model, "builtin", float_layers="float32")
    macs = [row.macs for row in inspection.inspect(data) if row.macs]
    assert macs == [9 * 2 * 3 * 16, 4 * 6 * 9, 54 * 5]


@pytest.fixture(scope="module")
def float_path(tmp_path_factory):
    """A model with float layers, of which one has a real-valued input."""
    path = tmp_path_factory.mktemp("float") / "model.keras"
    keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, activation="relu"),
            keras.layers.Dense(3),
        ]
    ).save(path)
    return path


def test_float_layers_from_the_command_line(float_path, tmp_path, capsys):
    output = tmp_path / "model.tflite"
    assert run(float_path, f"--output={output}") == 1
    assert "pass --float_layers=float32 (" in capsys.readouterr().err
    arguments = (float_path, f"--output={output}", "--float_layers=float32")
    assert run(*arguments) == 0
    arguments = (float_path, f"--output={output}", "--float_layers=int8")
    assert run(*arguments) == 1
    assert "Pass --calibration=FILE.npy, some" in capsys.readouterr().err
    calibration = tmp_path / "calibration.npy"
    np.save(calibration, np.full((8, 4), 0.5, np.float32))
    assert run(*arguments, f"--calibration={calibration}") == 0
    model = files.load_model(float_path)
    assert output.read_bytes() == conversion.convert(
        model, float_layers="int8", calibration=np.full((8, 4), 0.5, np.float32)
    )


@pytest.mark.parametrize(
    "damage", ["missing", "text", "cut", "objects", "header"]
)
def test_calibration_files_that_hold_no_numbers(
    damage, float_path, tmp_path, capsys
):
    path = tmp_path / "calibration.npy"
    if damage == "text":
        path.write_text("no array")
    elif damage == "header":  # NumPy's tokenizer has an error of its own.
        path.write_bytes(b"\x93NUMPY\x01\x00\x03\x00(1,")
    elif damage == "objects":
        np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    elif damage == "cut":
        np.save(path, np.full((8, 4), 0.5, np.float32))
        path.write_bytes(path.read_bytes()[:140])
    output = tmp_path / "model.tflite"
    status = run(
        float_path,
        f"--output={output}",
        "--float_layers=int8",
        f"--calibration={path}",
    )
    assert status == 1
    assert str(path) in capsys.readouterr().err
    assert not output.exists()


def test_unknown_ops():
    with pytest.raises(ValueError, match="ops='float'"):
        conversion.convert(nets.dense_only(0), "float")


def test_output_is_not_the_model_itself(model_path, capsys):
    before = model_path.read_bytes()
    assert run(model_path, f"--output={model_path}") == 1
    assert "must not be the model itself" in capsys.readouterr().err
    assert model_path.read_bytes() == before


def test_output_is_no_model(model_path, tmp_path, capsys):
    assert run(model_path, f"--output={tmp_path / 'other.keras'}") == 1
    assert "must not end in .keras" in capsys.readouterr().err
    assert not (tmp_path / "other.keras").exists()


def test_what_is_no_tflite_file_is_named(tmp_path, capsys):
    (tmp_path / "x.tflite").write_bytes(b"PK" * 50)
    assert run(tmp_path / "x.tflite", "--inspect") == 1
    error = capsys.readouterr().err
    assert str(tmp_path / "x.tflite") in error and "Export the model" in error


def test_special_files_stay(model_path, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    assert run(model_path, f"--output={tmp_path / 'pipe'}") == 1
    assert "no regular file" in capsys.readouterr().err
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)


def test_links_are_followed(model_path, tmp_path):
    (tmp_path / "real").write_bytes(b"before")
    (tmp_path / "link").symlink_to("real")
    assert run(model_path, f"--output={tmp_path / 'link'}") == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes()[4:8] == b"TFL3"


def test_scale_may_be_a_fraction(model_path, tmp_path):
    written = []
    for scale in ("1/128", "0.0078125"):
        path = tmp_path / "a.tflite"
        assert (
            run(model_path, f"--output={path}", f"--input_scale={scale}") == 0
        )
        written.append(path.read_bytes())
    assert written[0] == written[1]


def test_missing_tflite(tmp_path, capsys):
    assert run(tmp_path / "none.tflite", "--inspect") == 1
    assert "There is no file" in capsys.readouterr().err


def test_inspect_takes_content():
    with pytest.raises(TypeError, match="read_bytes.*Received: str"):
        inspection.inspect("model.tflite")


def test_c_source(model_path, tmp_path, capsys):
    folder = tmp_path / "firmware"
    status = run(
        model_path, f"--c_source={folder}", "--c_name=net", "--arena_limit=500"
    )
    assert status == 0
    source = conversion.convert_to_c(
        files.load_model(model_path), name="net", arena_limit=500
    )
    assert source.arena_bytes <= 500
    written = {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert written == source.files
    printed = capsys.readouterr().out
    assert f"arena: {source.arena_bytes} bytes" in printed
    assert "net.c, net.h, the kernels, and an example" in printed
    assert "* less than is fastest" in printed
    flash = sum(row.flash_bytes for row in source.rows)
    macs = sum(row.macs for row in source.rows)
    assert re.search(rf"total +{flash:,} +{macs:,}\n", printed)
    assert all(len(line) <= 80 for line in printed.splitlines()[:-1])


def test_c_source_keeps_a_changed_example(model_path, tmp_path, capsys):
    arguments = (model_path, f"--c_source={tmp_path}")
    assert run(*arguments) == 0
    with (tmp_path / "main.c").open("a") as file:
        file.write("/* Mine. */\n")
    (tmp_path / "Makefile").write_text("all:\n")
    (tmp_path / "notes.txt").write_text("mine")
    model = (tmp_path / "model.c").read_text()
    (tmp_path / "model.c").write_text(model.partition("\n")[0])
    capsys.readouterr()
    assert run(*arguments) == 0
    printed = capsys.readouterr().out
    assert "kept, for an export did not write them: main.c, Makefile" in printed
    assert (tmp_path / "main.c").read_text().endswith("/* Mine. */\n")
    assert (tmp_path / "Makefile").read_text() == "all:\n"
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "model.c").read_text() == model


def test_c_source_replaces_no_foreign_file(model_path, tmp_path, capsys):
    (tmp_path / "model.c").write_text("int mine;\n")
    assert run(model_path, f"--c_source={tmp_path}") == 1
    error = capsys.readouterr().err
    assert f"`{tmp_path / 'model.c'}` was not written by an export" in error
    assert [path.name for path in tmp_path.iterdir()] == ["model.c"]
    assert (tmp_path / "model.c").read_text() == "int mine;\n"


@pytest.mark.parametrize("there_before", [False, True])
def test_failed_c_source_leaves_what_was_there(
    there_before, model_path, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "firmware"
    if there_before:
        assert run(model_path, f"--c_source={folder}", "--c_name=a") == 0
    before = {
        path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.[ch]")
    }
    number = itertools.count()

    def full(self, *args):
        if next(number) == 5:
            raise OSError(28, "No space left on device")
        return written(self, *args)

    written = pathlib.Path.write_text
    monkeypatch.setattr(pathlib.Path, "write_text", full)
    assert run(model_path, f"--c_source={folder}", "--c_name=a") == 1
    error = capsys.readouterr().err
    assert f"`{folder}/" in error
    assert "cannot be written (No space left on device). Make room" in error
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.[ch]")}
    assert after == before
    if not there_before:
        assert not folder.exists()


def test_unusable_folders_fail_before_the_conversion(
    model_path, tmp_path, capsys, monkeypatch
):
    def never(*args, **kwargs):
        raise AssertionError("loaded in vain")

    monkeypatch.setattr(files, "load_model", never)
    (tmp_path / "file").write_text("")
    for flag in ("c_source", "c_array"):
        for place, text in (
            ("file/inside", "is no folder. Choose another path"),
            ("file", "is no folder"),
        ):
            assert run(model_path, f"--{flag}={tmp_path / place}") == 1
            assert text in capsys.readouterr().err
        assert run(model_path, f"--{flag}={tmp_path}", "--c_name=1") == 1
        assert "must be an identifier" in capsys.readouterr().err
    monkeypatch.setattr(os, "access", lambda *args: False)
    assert run(model_path, f"--c_source={tmp_path / 'new'}") == 1
    assert "is not writable" in capsys.readouterr().err


def test_c_source_of_what_has_none(tmp_path, capsys):
    path = tmp_path / "levels.keras"
    nets.multi_level(0).save(path)
    assert run(path, f"--c_source={tmp_path / 'c'}") == 1
    assert "has weights of more levels" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("ops", ["custom", "builtin"])
def test_c_array(ops, model_path, tmp_path, capsys):
    tflite = tmp_path / "m.tflite"
    status = run(
        model_path,
        f"--output={tflite}",
        f"--c_array={tmp_path}",
        "--c_name=net",
        f"--ops={ops}",
    )
    assert status == 0
    data = tflite.read_bytes()
    assert (
        f"net_tflite.c and .h, {len(data):,} bytes" in capsys.readouterr().out
    )
    text = (tmp_path / "net_tflite.c").read_text()
    # The same from the file itself.
    (tmp_path / "again").mkdir()
    assert run(tflite, f"--c_array={tmp_path / 'again'}", "--c_name=net") == 0
    assert (tmp_path / "again" / "net_tflite.c").read_text() == text


def test_an_exported_file_has_no_c_source(model_path, tmp_path, capsys):
    tflite = tmp_path / "m.tflite"
    run(model_path, f"--output={tflite}")
    assert run(tflite, f"--c_source={tmp_path}") == 1
    assert "--c_source takes a .keras model" in capsys.readouterr().err
