# SPDX-License-Identifier: Apache-2.0
"""Command line: `python -m export MODEL.keras --output=MODEL.tflite`.

`--c_source=DIR` writes the model as C source, `--html=FILE` a report.
"""

import argparse
import fractions
import os
import pathlib
import re
import sys

import keras

from . import c_source, files, inspection, interpreter, report, terminal_tables
from .c_source import table, tflite_array
from .conversion import convert, convert_to_c
from .delegate import get_include


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description="Exports a trained .keras model to .tflite or to C source, "
        "exactly.",
    )
    parser.add_argument(
        "model",
        nargs="?",
        help="a .keras file, or with --inspect, --html and --c_array a .tflite "
        "file",
    )
    parser.add_argument("--output", help="the .tflite file to write")
    parser.add_argument(
        "--ops",
        choices=("custom", "builtin"),
        default="custom",
        help="gated-XNOR custom ops, or ordinary int8 ops (default: custom)",
    )
    parser.add_argument(
        "--input_scale",
        type=_scale,
        default=1 / 128,
        help="value of the int8 input 1, a power of two (default: 1/128)",
    )
    parser.add_argument(
        "--float_layers",
        choices=("refuse", "float32", "int8"),
        default="refuse",
        help="what becomes of layers with real weights or inputs, which cannot "
        "be exact: an error, float32 ops, or int8 (default: refuse)",
    )
    parser.add_argument(
        "--calibration",
        help="for --float_layers=int8, an .npy file of model inputs "
        "(samples, ...), as Keras takes them",
    )
    parser.add_argument(
        "--c_source",
        metavar="DIR",
        help="the folder to write C source to: the model, the kernels it "
        "needs, and an example",
    )
    parser.add_argument(
        "--c_array",
        metavar="DIR",
        help="the folder to write the .tflite to as a C array",
    )
    parser.add_argument(
        "--c_name",
        default="model",
        help="begins the names in C: NAME.c, NAME_invoke, NAME_tflite "
        "(default: model)",
    )
    parser.add_argument(
        "--arena_limit",
        type=int,
        metavar="BYTES",
        help="for --c_source, the most memory that the model may use; less "
        "makes it slower (default: what is fastest)",
    )
    parser.add_argument(
        "--inspect",
        action="store_true",
        help="print a table of the file's operators",
    )
    parser.add_argument(
        "--html",
        metavar="FILE",
        help="the file to write a report to, of what --inspect prints and "
        "more, to be looked at in a browser; only a report is replaced",
    )
    parser.add_argument(
        "--include_dir",
        action="store_true",
        help="print the folder of the C headers and exit",
    )
    options = parser.parse_args(arguments)
    if options.include_dir:
        print(get_include())
        return 0
    if options.model is None:
        parser.error("a model file is needed")
    if not (_wants_tflite(options) or options.c_source):
        parser.error(
            "give --output, --c_source, --c_array, --inspect or --html"
        )
    if options.arena_limit is not None and options.c_source is None:
        parser.error("--arena_limit is for --c_source")
    if not _wants_tflite(options) and (
        (options.ops, options.float_layers) != ("custom", "refuse")
        or options.calibration is not None
    ):
        parser.error(
            "--ops, --float_layers and --calibration are for .tflite files"
        )
    try:
        _run(options)
    except (OSError, ValueError) as error:
        print(f"error: {_with_flags(str(error))}", file=sys.stderr)
        return 1
    return 0


def _with_flags(text: str) -> str:
    """An error in whose cure arguments of Python are flags."""
    text = re.sub(r'\b(ops|float_layers)="(\w+)"', r"--\1=\2", text)
    return text.replace("Pass `calibration`", "Pass --calibration=FILE.npy")


def _scale(text: str) -> float:
    try:
        return float(fractions.Fraction(text))
    except (ValueError, ArithmeticError) as error:
        raise argparse.ArgumentTypeError(
            f"must be a power of two such as 1/128. Received: {text!r}"
        ) from error


def _wants_tflite(options: argparse.Namespace) -> bool:
    return bool(
        options.output or options.c_array or options.inspect or options.html
    )


def _run(options: argparse.Namespace) -> None:
    path = pathlib.Path(options.model)
    model = None
    if path.suffix == ".tflite":
        for flag in ("output", "c_source"):
            if getattr(options, flag) is not None:
                raise ValueError(
                    f"`{path}` is exported already; --{flag} takes a .keras "
                    "model."
                )
        _check_outputs(options, path)
        data = files.read_tflite(path)
        try:
            inspection.inspect(data)  # Refuses what is none.
        except ValueError as error:
            raise ValueError(
                f"`{path}`: {error} Export the model again."
            ) from error
    else:
        _check_outputs(options, path)
        model = files.load_model(path)
        data = _converted(options, model) if _wants_tflite(options) else b""
    source = None
    if model is not None and options.c_source is not None:
        source = convert_to_c(
            model,
            name=options.c_name,
            input_scale=options.input_scale,
            arena_limit=options.arena_limit,
        )
    if options.output is not None:
        files.write_atomically(options.output, data)
    if options.html is not None:
        _write_report(options, data)
    if options.inspect:
        rows = inspection.inspect(data)
        print(terminal_tables.format_rows(rows, len(data)))
    if options.output is not None:
        ops = f"{options.ops} ops"
        if options.ops == "custom" and not interpreter.uses_custom_ops(data):
            ops = "builtin ops (there is nothing for custom ones)"
        print(f"{options.output}: {len(data):,} bytes, {ops}")
    if options.c_array is not None:
        _write_array(options, data)
    if source is not None:
        _write_source(options, source)


def _check_outputs(options: argparse.Namespace, path: pathlib.Path) -> None:
    """Raises an error for what could not be written after the conversion."""
    if options.output is not None:
        files.check_writable(options.output)
        output = pathlib.Path(options.output)
        if output.exists() and path.exists() and output.samefile(path):
            raise ValueError(
                f"--output must not be the model itself. Received: {output}"
            )
        if output.suffix == ".keras":
            raise ValueError(
                "--output is the .tflite file to write, and must not end in "
                f".keras. Received: {output}"
            )
    if options.html is not None:
        files.check_replaceable(options.html)
        if options.output is not None and (
            pathlib.Path(options.html).resolve()
            == pathlib.Path(options.output).resolve()
        ):
            raise ValueError(
                "--html must not be the file of --output. Received: "
                f"{options.html}"
            )
    for folder in (options.c_source, options.c_array):
        if folder is not None:
            files.check_folder(folder)
            c_source.check_name(options.c_name)


def _converted(options: argparse.Namespace, model: keras.Model) -> bytes:
    return convert(
        model,
        options.ops,
        input_scale=options.input_scale,
        float_layers=options.float_layers,
        calibration=(
            None
            if options.calibration is None
            else files.read_npy(options.calibration)
        ),
    )


def _write_report(options: argparse.Namespace, data: bytes) -> None:
    title = pathlib.Path(options.output or options.model).name
    page = report.html_report(inspection.contents(data), title)
    files.write_atomically(options.html, page.encode())
    print(f"{options.html}: a report on {title}")


def _write_array(options: argparse.Namespace, data: bytes) -> None:
    name = f"{options.c_name}_tflite"
    texts = tflite_array.array_files(data, name)
    files.write_folder(options.c_array, texts, (), files.MARK)
    print(f"{options.c_array}: {name}.c and .h, {len(data):,} bytes")


def _write_source(
    options: argparse.Namespace, source: c_source.CSource
) -> None:
    kept = source.write(options.c_source)
    print(table.format_source(source))
    name = options.c_name
    print(
        f"{options.c_source}: {name}.c, {name}.h, the kernels, and an example, "
        "main.c and Makefile"
    )
    if kept:
        print(f"kept, for an export did not write them: {', '.join(kept)}")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(main())
