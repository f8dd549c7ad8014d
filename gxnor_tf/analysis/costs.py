# SPDX-License-Identifier: Apache-2.0
"""The numbers of a model summary, and the table that shows them."""

import dataclasses
import json
import textwrap
from collections.abc import Sequence
from typing import Any

_NAME_WIDTH = 20
_SECOND_WIDTH = 9
_NUMBER_WIDTH = 7
_LINE_WIDTH = 80


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """What a layer or a whole model costs. Operations are means per sample.

    Bytes of a file are those with `float_layers="float32"`, where that is
    needed; they are None if the model cannot be exported.

    Attributes:
        weights: Elements of the kernels.
        bits_per_weight: Bits that a weight needs: 1 binary, 2 ternary, n + 1
            for n >= 2, 32 for float; their mean, None without weights.
        other_parameters: Elements of all other variables.
        custom_bytes: A layer's constants in a `.tflite` file with custom ops,
            or the size of the file.
        builtin_bytes: The same with builtin ops.
        training_bytes: The variables, with the optimizer's moments of the
            discrete weights.
        macs: Products of an input and a weight, those with zeros and with
            padding included.
        multiplies: Multiplications.
        accumulates: Additions of products.
        xnors: Gated XNORs with an open gate.
        bit_counts: Sums of XNORs with an open gate.
        activation_bytes: Input and output of a call in float32, in a model
            those of the largest.
        packed_activation_bytes: The same of the exported operator of the
            layer: ternary and binary values in 2 bits, groups of 32 channels;
            the model's input and other states in 8; sums in 32. None if the
            model cannot be exported.
    """

    weights: int
    bits_per_weight: float | None
    other_parameters: int
    custom_bytes: int | None
    builtin_bytes: int | None
    training_bytes: int
    macs: int
    multiplies: float
    accumulates: float
    xnors: float
    bit_counts: float
    activation_bytes: int
    packed_activation_bytes: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerCost(Cost):
    """What one layer costs, in all of its calls for a sample.

    Attributes:
        name: Name of the layer, `"model/layer"` in a nested model or layer.
        kind: Its class.
        calls: How often it runs for a sample.
        output_shape: Shape of its last output for one sample.
        weight_zero_share: Share of zeros among discrete weights, or None.
        open_share: Share of the products, without padding, that count; None
            without products.
    """

    name: str
    kind: str
    calls: int
    output_shape: tuple[int, ...]
    weight_zero_share: float | None
    open_share: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSummary(Cost):
    """What a model costs. `str()` of it is a table of 80 columns.

    Attributes:
        model: Name of the model.
        samples: Samples that the operations were counted on; 0 if they are
            expected values and not measured.
        layers: All layers that run, in the order of their first call.
        notes: What the numbers do not say.
    """

    model: str
    samples: int
    layers: tuple[LayerCost, ...]
    notes: tuple[str, ...]

    @property
    def measured(self) -> bool:
        """Whether operations were counted on inputs."""
        return self.samples > 0

    def to_dict(self) -> dict[str, Any]:
        """All numbers as a dict that JSON can hold."""
        return dataclasses.asdict(self) | {"measured": self.measured}

    def to_json(self, indent: int | None = 2) -> str:
        """All numbers as JSON text.

        Args:
            indent: As in `json.dumps`.
        """
        return json.dumps(self.to_dict(), indent=indent)

    def __str__(self) -> str:
        lines = [
            *textwrap.wrap(f"Model `{self.model}`", _LINE_WIDTH),
            "",
            *_size_lines(self),
            "",
            *_operation_lines(self),
            "",
        ]
        memory = (
            "Activation memory, the largest input and output of a layer for "
            f"one sample: {self.activation_bytes:,} bytes in float32"
        )
        packed = self.packed_activation_bytes
        memory += "." if packed is None else f", {packed:,} packed."
        for text in (memory, *self.notes):
            lines += textwrap.wrap(text, _LINE_WIDTH)
        return "\n".join(lines)


def _size_lines(cost: ModelSummary) -> list[str]:
    header = ["weights", "bits", "others", "custom", "builtin", "train"]
    lines = [
        "Weights and bytes: of a .tflite file with custom or builtin ops, in "
        "training",
        _line("layer", "output", header),
    ]
    for layer in cost.layers:
        if layer.weights or layer.other_parameters or layer.builtin_bytes:
            shape = "x".join(map(str, layer.output_shape)) or "1"
            lines.append(_line(layer.name, shape, _sizes(layer)))
    if cost.custom_bytes is not None and cost.builtin_bytes is not None:
        rest = [
            _number(total - sum(part or 0 for part in parts))
            for total, parts in (
                (cost.custom_bytes, [c.custom_bytes for c in cost.layers]),
                (cost.builtin_bytes, [c.builtin_bytes for c in cost.layers]),
            )
        ]
        lines.append(_line("names and operators", "", ["", "", "", *rest]))
    return [*lines, _line("total", "", _sizes(cost))]


def _sizes(cost: Cost) -> list[str]:
    bits = cost.bits_per_weight
    return [
        _number(cost.weights),
        "" if bits is None else f"{bits:.3g}",
        _number(cost.other_parameters),
        _number(cost.custom_bytes),
        _number(cost.builtin_bytes),
        _number(cost.training_bytes),
    ]


def _operation_lines(cost: ModelSummary) -> list[str]:
    how = (
        f"measured, mean of {cost.samples} samples"
        if cost.measured
        else "NOT MEASURED: expected for uniform activations"
    )
    header = ["zero", "open", "mult", "accum", "XNOR", "bitcnt"]
    lines = [f"Operations per sample ({how})", _line("layer", "MACs", header)]
    for layer in cost.layers:
        if layer.macs:
            shares = [
                "" if share is None else f"{share:.1%}"
                for share in (layer.weight_zero_share, layer.open_share)
            ]
            numbers = [*shares, *_operations(layer)]
            lines.append(_line(layer.name, _number(layer.macs), numbers))
    numbers = ["", "", *_operations(cost)]
    return [*lines, _line("total", _number(cost.macs), numbers)]


def _operations(cost: Cost) -> list[str]:
    return [
        _number(count)
        for count in (
            cost.multiplies,
            cost.accumulates,
            cost.xnors,
            cost.bit_counts,
        )
    ]


def _line(name: str, second: str, numbers: Sequence[str]) -> str:
    if len(name) > _NAME_WIDTH:
        half = _NAME_WIDTH // 2
        name = f"{name[: half - 1]}..{name[1 - half :]}"
    columns = [f"{name:<{_NAME_WIDTH}}", f"{second:>{_SECOND_WIDTH}}"]
    columns += [f"{number:>{_NUMBER_WIDTH}}" for number in numbers]
    return " ".join(columns).rstrip()


def _number(value: float | None) -> str:
    """A number in at most 7 characters: all digits, or four of them."""
    if value is None:
        return "-"
    text = f"{value:,.0f}"
    if len(text) <= _NUMBER_WIDTH:
        return text
    for suffix in "kMGTP":
        value /= 1000
        if value < 999.95:
            return f"{value:.4g}{suffix}"
    return f"{value:.1e}"
