# SPDX-License-Identifier: Apache-2.0
"""The benchmark of microcontrollers without emulators: rows and budgets."""

import pathlib

import numpy as np
import pytest

from benchmarks.mcu import (
    budgets,
    cores,
    layers,
    published,
    tables,
    tools,
    workloads,
)
from benchmarks.mcu.measure import Row

ROOT = pathlib.Path(__file__).parents[2]


def row(**changes: object) -> Row:
    return {
        "core": "m4",
        "workload": "fc_1024_512",
        "density": 0.5,
        "instructions": 1000,
        "macs": 4000,
        "instructions_per_mac": 0.25,
        "int8_instructions_per_mac": 1.92,
        "exact": True,
        "fault": "",
        "flash_bytes": 132736,
        "code_bytes": 3000,
        "buffer_bytes": 2056,
        "arena_bytes": None,
        "stack_bytes": None,
        "ram_bytes": None,
    } | changes


def test_budgets_are_read_as_written(tmp_path: pathlib.Path) -> None:
    rows = [row(), row(core="m3"), row(workload="conv3_64_64")]
    budgets.write(tmp_path / "budgets.json", rows)
    read = budgets.read(tmp_path / "budgets.json")
    assert read == budgets.from_rows(rows)
    assert budgets.excesses(rows, read) == []


@pytest.mark.parametrize("key", ["instructions", "code_bytes"])
def test_growth_is_found(key: str) -> None:
    recorded = budgets.from_rows([row(instructions=1000, code_bytes=1000)])
    counts = {"instructions": 1000, "code_bytes": 1000}
    within = row(**counts | {key: 1030})
    assert budgets.excesses([within], recorded) == []
    beyond = row(**counts | {key: 1031})
    assert budgets.excesses([beyond], recorded) == [
        f"m4 fc_1024_512: {key} 1031, 3.1% above 1000"
    ]


def test_row_without_budget_and_budget_without_row_are_found() -> None:
    recorded = budgets.from_rows([row()])
    other = budgets.from_rows([row(workload="conv3_64_64")])
    assert len(budgets.excesses([], recorded)) == 2
    assert len(budgets.excesses([row()], {})) == 2
    assert len(budgets.excesses([row()], other)) == 4


def test_recorded_budgets_are_complete() -> None:
    path = pathlib.Path(__file__).parents[1] / "mcu" / "budgets.json"
    recorded = budgets.read(path)
    assert list(recorded) == list(cores.CORES)
    for counts in recorded.values():
        assert list(counts) == [*workloads.LAYERS, *workloads.NETS]


def test_tables_fit_a_terminal() -> None:
    net = {"arena_bytes": 5300, "stack_bytes": 900, "ram_bytes": 6200}
    rows = [
        row(core=core, **case)
        for core in cores.CORES
        for case in (
            {},
            {"workload": "conv3_128_128", "exact": False},
            {"workload": "keyword_random", "instructions": 12345678} | net,
        )
    ]
    text = tables.tables(rows)
    assert max(map(len, text.splitlines())) < 80
    assert "0.250!" in text
    assert "12.35" in text
    assert published.SOURCE.split()[0] in text


def test_figures_from_elsewhere_are_of_these_layers_and_cores() -> None:
    assert published.INT8_PER_MAC.keys() == workloads.LAYERS.keys()
    for figures in published.INT8_PER_MAC.values():
        assert figures.keys() == cores.CORES.keys()


def test_ticks_are_instructions() -> None:
    # 128 ns are 3.2 ticks of 25 MHz, and 128 of 1 / ns.
    assert cores.CORES["m4"].instructions(32) == 10
    assert cores.CORES["rv32imc"].instructions(128) == 1


@pytest.mark.parametrize("name", workloads.LAYERS)
def test_layers_have_the_density_asked_for(name: str) -> None:
    layer = workloads.layer(name, 0.33)
    options, size = workloads.LAYERS[name]
    positions = options.conv_size(size, size)
    assert layer.macs == (
        positions[0] * positions[1] * options.depth * options.output_channels
    )
    if layer.kernel == layers.Kernel.CONV2D_S8_T2:
        assert np.count_nonzero(layer.input) == layer.input.size
    else:
        bits = np.unpackbits(layer.input.view(np.uint8)).sum()
        inputs = size * size * options.input_channels
        assert bits / inputs == pytest.approx(0.33, abs=0.001)
    # A state that never occurs would hide a mistake.
    assert np.any(layer.expected[..., 0::2])
    assert np.any(layer.expected[..., 1::2])


def test_missing_tools_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert tools.print_missing(tools.missing_packages()) == 1
    assert capsys.readouterr().out.split() == [
        "gcc-arm-none-eabi",
        "gcc-riscv64-unknown-elf",
        "qemu-system-arm",
        "qemu-system-misc",
        "libnewlib-arm-none-eabi",
        "picolibc-riscv64-unknown-elf",
    ]


def test_tools_are_those_of_the_cores() -> None:
    assert tools.PACKAGES.keys() == {
        tool
        for core in cores.CORES.values()
        for tool in (f"{core.tools}-gcc", core.emulator)
    }


@pytest.mark.parametrize("page", ["README.md", "docs/microcontrollers.md"])
def test_tables_in_the_documentation_are_the_recorded_counts(page: str) -> None:
    """Columns of README are a selection of the cores."""
    recorded = budgets.read(ROOT / "tests" / "mcu" / "budgets.json")
    shown = {"README.md": ("m0plus", "m4", "m55", "rv32imc")}
    columns = shown.get(page, tuple(cores.CORES))
    lines = (ROOT / page).read_text("utf-8").splitlines()
    found = 0
    for line in lines:
        name = line.removeprefix("| `").partition("`")[0]
        if name in workloads.LAYERS:
            macs = workloads.layer(name, budgets.DENSITY).macs
            texts = {
                core: f"{counts[name]['instructions'] / macs:.3f}"
                for core, counts in recorded.items()
            }
        elif name in workloads.NETS:
            texts = {
                core: f"{counts[name]['instructions'] / 1e6:.2f}"
                for core, counts in recorded.items()
            }
        else:
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 1 + len(columns):
            continue  # A row of another table, that of hosts.
        assert cells[1:] == [texts[core] for core in columns], name
        found += 1
    assert found >= 2
