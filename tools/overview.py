# SPDX-License-Identifier: Apache-2.0
"""Draws docs/overview.png: what a weight costs in training and on devices.

python -m tools.overview

All figures are read from what the benchmarks have left in the repository.
"""

import argparse
import dataclasses
import json
import math
import pathlib

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.mcu import published
from benchmarks.mcu.workloads import LAYERS
from gxnor_tf.files import replacing

ROOT = pathlib.Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "overview.png"

_RUNS = ROOT / "docs" / "learning" / "runs"
_HOST = ROOT / "docs" / "kernels" / "avx512.json"
_MCU = ROOT / "tests" / "mcu" / "budgets.json"

# The budgets were taken at this share of non-zero activations.
_DENSITY = 0.5
_OURS, _OTHERS = "#1f77b4", "#b8c0c8"


@dataclasses.dataclass(frozen=True)
class Panel:
    """Bars of one quantity.

    Attributes:
        title: What it is.
        unit: Its unit.
        bars: `(name, value, whether it is this library)`.
    """

    title: str
    unit: str
    bars: tuple[tuple[str, float, bool], ...]


def main() -> None:
    """Draws the picture."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    draw(panels(), PICTURE)
    print(PICTURE)


def panels() -> tuple[Panel, ...]:
    """What the picture shows."""
    return _training(), _microcontroller(), _host()


def description(shown: tuple[Panel, ...]) -> str:
    """The same as text, which the picture has inside.

    Args:
        shown: The panels.
    """
    return json.dumps([dataclasses.asdict(panel) for panel in shown])


def draw(shown: tuple[Panel, ...], path: pathlib.Path) -> None:
    """Draws panels side by side.

    Args:
        shown: The panels.
        path: The PNG file.
    """
    figure = Figure(figsize=(11, 2.7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(shown))
    for panel, area in zip(shown, axes, strict=True):
        names = [name for name, _, _ in panel.bars]
        values = [value for _, value, _ in panel.bars]
        colors = [_OURS if ours else _OTHERS for _, _, ours in panel.bars]
        bars = area.barh(names, values, color=colors)
        area.bar_label(bars, fmt="{:,.5g}", padding=3, fontsize=9)
        area.set_xlim(0, 1.25 * max(values))
        area.invert_yaxis()
        area.set_title(panel.title, fontsize=10, loc="left")
        area.set_xlabel(panel.unit, fontsize=9)
        area.tick_params(axis="y", length=0, labelsize=9)
        area.set_xticks([])
        area.spines[["top", "right", "bottom"]].set_visible(False)
    with replacing(path) as temporary:
        figure.savefig(
            temporary,
            format="png",
            dpi=120,
            metadata={"Description": description(shown)},
        )


def _training() -> Panel:
    measured = {}
    for path in sorted(_RUNS.glob("*.json")):
        record = json.loads(path.read_text("utf-8"))
        config = record["config"]
        if config["weight_n"] == 1 and config["moment_dtype"] == "int8":
            size = record["report"]["state_bytes_per_weight"]
            measured[config["training"]] = round(size, 1)
    return Panel(
        "Training state of a ternary weight",
        "bytes",
        (
            ("gxnor_tf", measured["dst"], True),
            ("float32 latent\nweight, Adam", measured["latent"], False),
        ),
    )


def _microcontroller() -> Panel:
    counted = json.loads(_MCU.read_text("utf-8"))["m4"]
    bars = []
    for name, label in (("fc_1024_512", "dense"), ("conv3_64_64", "3x3 conv")):
        layer, size = LAYERS[name]
        macs = math.prod(layer.conv_size(size, size)) * layer.depth
        macs *= layer.result_channels
        ours = counted[name]["instructions"] / macs
        int8 = published.INT8_PER_MAC[name]["m4"]
        bars += [
            (f"gxnor_tf,\n{label}", round(ours, 3), True),
            (f"CMSIS-NN int8,\n{label} (cited)", int8, False),
        ]
    return Panel(
        "Arm Cortex-M4", "instructions per multiply-accumulate", tuple(bars)
    )


def _host() -> Panel:
    rows = json.loads(_HOST.read_text("utf-8"))
    (row,) = (
        row
        for row in rows
        if (row["workload"], row["threads"], row["density"])
        == ("cifar10", 1, _DENSITY)
    )
    return Panel(
        "CIFAR-10 net, one thread, AVX-512",
        "microseconds",
        (
            ("gxnor_tf", round(row["gxnor_us"]), True),
            ("XNNPACK int8", round(row["xnnpack_int8_us"]), False),
            ("XNNPACK float32", round(row["xnnpack_float32_us"]), False),
        ),
    )


if __name__ == "__main__":
    main()
