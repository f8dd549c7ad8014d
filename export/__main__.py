# SPDX-License-Identifier: Apache-2.0
"""Command line: `python -m export MODEL.keras --output=MODEL.tflite`."""

import argparse
import fractions
import os
import pathlib
import sys

from . import files, inspection, interpreter
from .conversion import convert
from .delegate import get_include


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    parser = argparse.ArgumentParser(
        description="Exports a trained .keras model to .tflite, exactly.",
    )
    parser.add_argument(
        "model",
        nargs="?",
        help="a .keras file, or with --inspect also a .tflite file",
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
        "--inspect",
        action="store_true",
        help="print a table of the file's operators",
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
    if options.output is None and not options.inspect:
        parser.error("give --output, --inspect or both")
    try:
        _run(options)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _scale(text: str) -> float:
    try:
        return float(fractions.Fraction(text))
    except (ValueError, ArithmeticError) as error:
        raise argparse.ArgumentTypeError(
            f"must be a power of two such as 1/128. Received: {text!r}"
        ) from error


def _run(options: argparse.Namespace) -> None:
    path = pathlib.Path(options.model)
    if path.suffix == ".tflite":
        if options.output is not None:
            raise ValueError(
                f"`{path}` is exported already; --output takes a .keras model."
            )
        data = files.read_tflite(path)
    else:
        if options.output is not None:
            files.check_writable(options.output)
            output = pathlib.Path(options.output)
            if output.exists() and path.exists() and output.samefile(path):
                raise ValueError(
                    f"--output must not be the model itself. Received: {output}"
                )
        data = convert(
            files.load_model(path),
            options.ops,
            input_scale=options.input_scale,
            float_layers=options.float_layers,
            calibration=(
                None
                if options.calibration is None
                else files.read_npy(options.calibration)
            ),
        )
    if options.output is not None:
        files.write_atomically(options.output, data)
    if options.inspect:
        print(inspection.format_rows(inspection.inspect(data), len(data)))
    if options.output is not None:
        ops = options.ops
        if ops == "custom" and not interpreter.uses_custom_ops(data):
            ops = "builtin (there is nothing for custom ones)"
        print(f"{options.output}: {len(data):,} bytes, {ops} ops")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(main())
