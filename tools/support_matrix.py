# SPDX-License-Identifier: Apache-2.0
"""Writes docs/support_matrix.md: what can be exported, found by exporting it.

python -m tools.support_matrix

Every row is a small random net that is exported and compared with Keras on
random inputs, so the page cannot say more than what works.
"""

import argparse
import pathlib
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

import gxnor_tf
from gxnor_tf.export import (
    convert,
    fusion,
    inspection,
    reference,
    verification,
)
from gxnor_tf.export.graph import ExportError

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "support_matrix.md"

L = keras.layers
Network = Callable[[Any], Any]

_HEADER = """\
# What can be exported

This page is written by `python -m tools.support_matrix`; a test compares it
with what the exporter does. Every row is a random net that was exported and
compared with Keras on random inputs. *exact* means that all discrete
activations and all outputs were equal, bit for bit; *rounded* that they are
float32 numbers whose last bits depend on the order of sums.
"""

_FLOAT = """
## Layers with real weights or inputs

They cannot be exact, so they are an error unless `float_layers` says what they
shall become: `"float32"` ops, or `"int8"` (weights rounded to int8 per output
channel; a real-valued input of such a layer is rounded to the range that it
has on the `calibration` set). The integers of an `"int8"` export are the same
in every runtime; Keras differs from them by the rounding.
"""


def main() -> None:
    """Writes the page."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)


def page() -> str:
    """The text of the page."""
    keras.utils.set_random_seed(0)
    return "\n".join(
        [
            _HEADER,
            "## Weights and activations",
            "",
            "n is that of `DiscreteSpace`. Ops of a Conv2D between two",
            "activations, beside RESHAPE and the like.",
            "",
            *_table(
                ("weights", "activations", '`ops="custom"`', '`ops="builtin"`'),
                _spaces(),
            ),
            "",
            "## Layers between discrete activations",
            "",
            *_table(("layer", '`ops="custom"`', '`ops="builtin"`'), _layers()),
            _FLOAT,
            *_table(("net", '`float_layers="float32"`', '`"int8"`'), _floats()),
            "",
            "## What stays out",
            "",
            "Exporting a model with one of these is an error that names the",
            "layer. A layer of your own, or a subclass of a supported one, is",
            "refused as well: it may compute something else.",
            "",
            _names("Of this library", _missing(gxnor_tf)),
            _names("Of Keras", _missing(L)),
            "- Models with more than one input or output, subclassed models,",
            "  inputs that are not floating or whose size is unknown, layers",
            "  that compute in another dtype than float32 or with",
            "  `channels_first`, layers quantised by Keras, operations of",
            "  `keras.ops` other than `+`, values of rank 4 and more.",
            "- A `half_range` that is no power of two before a layer with",
            "  weights; sums that can reach 2^24.",
            "- `ReLU` with arguments; activations by name other than relu,",
            "  softmax and linear; `BatchNormalization`, `Softmax` and",
            "  `Concatenate` over another axis than the last; `Add` of",
            "  different shapes.",
            "- `AveragePooling` of states with padding (exactly; it is float32",
            "  with `float_layers`), `DiscreteSeparableConv2D` with real",
            "  weights or inputs, or with a product of both kernels beyond",
            "  int8; `DiscreteConv2DTranspose` with an `output_padding` that",
            "  ends within the last stride.",
            "",
        ]
    )


def _spaces() -> Iterable[tuple[str, ...]]:
    for weight_n in (0, 1, 2, 5, 6, 7):
        for activation_n in (0, 1, 2, 7):

            def net(
                x: Any, weight_n: int = weight_n, n: int = activation_n
            ) -> Any:
                for _ in range(2):
                    x = gxnor_tf.DiscreteConv2D(
                        8, 3, padding="same", weight_space=weight_n
                    )(x)
                    x = L.BatchNormalization()(x)
                    x = gxnor_tf.DiscreteActivation(n)(x)
                return x

            yield (
                _space(weight_n),
                _space(activation_n),
                _cell(net, "custom"),
                _cell(net, "builtin"),
            )


def _space(n: int) -> str:
    return {0: "0, binary", 1: "1, ternary"}.get(n, f"{n}, {2**n + 1} levels")


def _layers() -> Iterable[tuple[str, ...]]:
    d = gxnor_tf
    rows: dict[str, Network] = {
        "DiscreteDense": lambda x: d.DiscreteDense(5)(L.Flatten()(x)),
        "DiscreteDense at every position": d.DiscreteDense(5),
        "DiscreteConv2D": d.DiscreteConv2D(5, 3),
        'DiscreteConv2D, strides, `"same"`': d.DiscreteConv2D(
            5, 3, strides=2, padding="same"
        ),
        "DiscreteConv2D, `dilation_rate`": d.DiscreteConv2D(
            5, 2, dilation_rate=2
        ),
        "DiscreteConv2D, `groups`": d.DiscreteConv2D(8, 3, groups=2),
        "DiscreteConv2D, `scale`, `use_bias`": d.DiscreteConv2D(
            5, 3, scale="channel", use_bias=True
        ),
        "DiscreteConv1D": lambda x: d.DiscreteConv1D(5, 3, padding="causal")(
            L.Reshape((36, 8))(x)
        ),
        "DiscreteDepthwiseConv2D": d.DiscreteDepthwiseConv2D(3),
        "DiscreteConv2DTranspose": d.DiscreteConv2DTranspose(5, 3, strides=2),
        "DiscreteSeparableConv2D": d.DiscreteSeparableConv2D(5, 3),
        "MaxPooling2D": lambda x: L.MaxPooling2D(2)(d.DiscreteConv2D(5, 3)(x)),
        "AveragePooling2D": L.AveragePooling2D(2),
        "GlobalAveragePooling2D": L.GlobalAveragePooling2D(),
        "Add": lambda x: L.Add()([x, x]),
        "Concatenate": lambda x: L.Concatenate()([x, x]),
        "ZeroPadding2D": lambda x: d.DiscreteConv2D(5, 3)(
            L.ZeroPadding2D(1)(x)
        ),
        "Flatten": L.Flatten(),
        "Reshape": L.Reshape((36, 8)),
        "Dropout and other layers of training": L.Dropout(0.5),
        "ReLU": lambda x: L.ReLU()(d.DiscreteConv2D(5, 3)(x)),
        "BatchNormalization": L.BatchNormalization(),
    }
    for name, layer in rows.items():

        def net(x: Any, layer: Network = layer) -> Any:
            return gxnor_tf.DiscreteActivation()(layer(_ternary(x)))

        yield name, *_cells(net)

    def residual(x: Any) -> Any:
        x = _ternary(x)
        y = L.BatchNormalization()(gxnor_tf.DiscreteConv2D(8, 1)(x))
        return gxnor_tf.DiscreteActivation()(L.Add()([x, y]))

    yield "Add of a BatchNormalization", *_cells(residual)

    def last(x: Any) -> Any:
        x = gxnor_tf.DiscreteDense(3)(L.Flatten()(_ternary(x)))
        return L.BatchNormalization()(x)

    yield "the last layer's sums", *_cells(last)

    def softmax(x: Any) -> Any:
        return L.Softmax()(last(x))

    yield "Softmax at the end", *_cells(softmax)


def _floats() -> Iterable[tuple[str, ...]]:
    d = gxnor_tf
    rows: dict[str, Network] = {
        "Conv2D first": lambda x: d.DiscreteActivation()(L.Conv2D(5, 3)(x)),
        "Dense last": lambda x: L.Dense(3)(L.Flatten()(_ternary(x))),
        "DepthwiseConv2D": lambda x: d.DiscreteActivation()(
            L.DepthwiseConv2D(3)(_ternary(x))
        ),
        "ternary weights, ReLU": lambda x: d.DiscreteConv2D(5, 3)(
            L.ReLU()(L.BatchNormalization()(d.DiscreteConv2D(5, 3)(x)))
        ),
        "binary weights, ReLU": lambda x: d.DiscreteConv2D(
            5, 3, weight_space=0
        )(L.ReLU()(d.DiscreteConv2D(5, 3, weight_space=0)(x))),
        "`weight_space=None`": lambda x: d.DiscreteConv2D(
            5, 3, weight_space=None
        )(x),
        "GlobalAveragePooling2D of reals": lambda x: L.GlobalAveragePooling2D()(
            L.BatchNormalization()(d.DiscreteConv2D(5, 3)(x))
        ),
    }
    for name, net in rows.items():
        yield (
            name,
            _cell(net, "builtin", "float32"),
            _cell(net, "builtin", "int8"),
        )


def _cells(net: Network) -> tuple[str, str]:
    """Both forms of a net that starts with `_ternary`, which is one op."""
    return _cell(net, "custom", leading=1), _cell(net, "builtin", leading=1)


def _ternary(x: Any) -> Any:
    """Ternary activations, as a block before has them."""
    x = gxnor_tf.DiscreteConv2D(8, 1)(x)
    return gxnor_tf.DiscreteActivation()(L.BatchNormalization()(x))


def _cell(
    net: Network,
    ops: Any,
    float_layers: fusion.FloatLayers = "refuse",
    leading: int = 0,
) -> str:
    """What becomes of a net, and the operators behind the `leading` first."""
    model = _random(net)
    rng = np.random.default_rng(1)
    x = rng.integers(-128, 128, (20, 6, 6, 8)).astype(np.int8)
    options: dict[str, Any] = {"float_layers": float_layers}
    if float_layers == "int8":
        options["calibration"] = x.astype(np.float32) / 128
    try:
        data = convert(model, ops, **options)
        result = verification.compare(model, x, ops, data=data, **options)
    except ExportError as error:
        return f"no: {error}"
    different = sum(result.differing_activations.values())
    if result.exact:
        assert different == 0 and result.differing_samples == 0, net
        how = "exact"
    elif float_layers == "int8":
        how = "int8"
        # The oracle's integers, and Keras' numbers but for the rounding.
        expected = reference.run(fusion.fuse(model, **options), x).output
        assert np.allclose(
            result.outputs, expected.reshape(result.outputs.shape), atol=1e-5
        ), net
        spread = np.ptp(result.keras_outputs)
        middle = np.median(np.abs(result.outputs - result.keras_outputs))
        assert middle < 0.05 * spread, net
    else:
        how = "rounded"
        assert result.largest_difference < 1e-4, net
    operators = [row.op for row in inspection.inspect(data)][leading:]
    plain = {"CAST", "DEQUANTIZE", "MUL", "PAD", "QUANTIZE", "RESHAPE"}
    names = [name for name in dict.fromkeys(operators) if name not in plain]
    return f"{how}: {', '.join(names) or 'a change of shape'}"


def _random(net: Network) -> keras.Model:
    """The net with random statistics, of either sign."""
    inputs = keras.Input((6, 6, 8))
    model = keras.Model(inputs, net(inputs))
    rng = np.random.default_rng(0)
    for variable in model.variables:
        shape = tuple(variable.shape)
        if variable.name in ("gamma", "beta", "moving_mean", "bias", "scale"):
            variable.assign(rng.normal(size=shape))
        elif variable.name == "moving_variance":
            variable.assign(rng.uniform(0.5, 10, shape))
    return model


def _missing(module: Any) -> list[str]:
    """The layers of a module that cannot be exported."""
    kinds = {
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, L.Layer)
    }
    unseen = {L.InputLayer, L.Layer, L.Wrapper}
    return sorted(
        kind.__name__ for kind in kinds - unseen - fusion.HANDLERS.keys()
    )


def _names(title: str, names: list[str]) -> str:
    return textwrap.fill(
        f"- {title}: {', '.join(names) or 'nothing'}.",
        width=80,
        subsequent_indent="  ",
    )


def _table(
    header: tuple[str, ...], rows: Iterable[tuple[str, ...]]
) -> list[str]:
    lines = [header, tuple("---" for _ in header), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


if __name__ == "__main__":
    main()
