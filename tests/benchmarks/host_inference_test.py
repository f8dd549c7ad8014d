# SPDX-License-Identifier: Apache-2.0
"""The benchmark of inference, for its rows and not its times."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

from benchmarks.host_inference import __main__ as program
from benchmarks.host_inference import plot, tables
from tests.benchmarks import in_process

ROOT = pathlib.Path(__file__).absolute().parents[2]
DOCS = ROOT / "docs"
RECORDS = sorted((DOCS / "kernels").glob("*.json"))


@pytest.mark.slow
def test_rows(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n<!-- host_inference: portable -->\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.host_inference"),
            "--workloads=fc_1024,conv_56_64,mnist,cifar10",
            *("--width=0.1", "--rounds=1", "--threads=1,2"),
            *("--densities=0.5,1", "--kernels=portable"),
            f"--json={tmp_path / 'rows.json'}",
            f"--plot={tmp_path / 'rows.png'}",
            f"--page={page}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())
    cases = [(r["workload"], r["threads"], r["density"]) for r in rows]
    assert cases == [
        (workload, threads, density)
        for workload in ("fc_1024", "conv_56_64", "mnist", "cifar10")
        for threads in (1, 2)
        for density in (0.5, 1.0)
    ]
    assert len({frozenset(row) for row in rows}) == 1
    for row in rows:
        assert row["kernels"] == "portable"
        assert row["gxnor_us"] > 0 and row["xnnpack_int8_us"] > 0
        assert row["gxnor_packed_bytes"] > 0
        has_narrow = row["workload"] == "fc_1024"
        assert (row["xnnpack_int2_us"] is not None) == has_narrow
    [layer] = {r["gxnor_constant_bytes"] for r in rows if r["macs"] == 2**20}
    assert layer <= 0.27 * 2**20
    assert (tmp_path / "rows.png").stat().st_size > 1000
    assert "| conv_56_64 | 2 |" in page.read_text()
    assert "fc_1024" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--workloads=fc_7"], "choose from conv_14_256.*Received: fc_7"),
        (["--densities=0"], r"numbers > 0.*Received: 0"),
        (["--densities=0.5,1.5"], r"must be in \(0, 1\].*1.5"),
        (["--threads=two"], "numbers > 0.*Received: two"),
        (["--kernels=mmx"], "invalid choice: 'mmx'"),
        (["--workloads="], "choose from conv_14_256.*Received:$"),
        (["--rounds=0"], "must be >= 1.*rounds=0"),
        (["--width=0"], "width > 0.*width=0.0"),
        (["--json=/nowhere/x.json"], "`/nowhere` does not exist. Create it"),
        (["--page=/nowhere/x.md"], "No such file"),
        (["--page=README.md"], "must have the line '<!-- host_inference: "),
        (["--rows=/nowhere/x.json"], "No such file"),
        (["--rows=README.md"], "`README.md` must have rows"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    done = in_process.run(program.main, *arguments)
    assert done.returncode in (1, 2)
    assert re.search(text, " ".join(done.stderr.split()))


def test_there_are_records() -> None:
    assert {path.stem for path in RECORDS} == {"avx512", "avx2"}


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_page_says_what_the_records_say(
    path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text((DOCS / "kernels.md").read_text("utf-8"), "utf-8")
    done = in_process.run(
        program.main,
        *(f"--rows={path}", f"--page={page}"),
        f"--plot={tmp_path / 'rows.png'}",
    )
    assert done.returncode == 0, done.stderr
    assert page.read_text("utf-8") == (DOCS / "kernels.md").read_text("utf-8")


def test_readme_says_what_the_records_say() -> None:
    """Of one thread at density 0.5."""
    rows = {
        row["workload"]: row
        for row in json.loads((DOCS / "kernels" / "avx512.json").read_text())
        if row["threads"] == 1 and row["density"] == 0.5
    }
    text = (ROOT / "README.md").read_text("utf-8")
    section = text.partition("\n## Speed on a host\n")[2].partition("\n## ")[0]
    table = re.findall(
        r"^\| `(\w+)`.*?\| ([\d.,]+) \| ([\d.,]+) \| ([\d.]+) \|",
        section,
        re.MULTILINE,
    )
    assert {name for name, *_ in table} == {
        *("mnist", "cifar10", "conv_14_256", "fc_1024", "fc_4096")
    }
    for name, own, other, ratio in table:
        row = rows[name]
        for text, value in (
            (own, row["gxnor_us"]),
            (other, row["xnnpack_int8_us"]),
            (ratio, row["ratio_xnnpack_int8"]),
        ):
            places = len(text.partition(".")[2])
            assert f"{value:,.{places}f}" == text, name


def test_plot_of_the_records(tmp_path: pathlib.Path) -> None:
    for path in RECORDS:
        rows = json.loads(path.read_text())
        plot.draw(rows, tmp_path / "rows.png")
        assert tables.markdown(rows, "").count("\n| ") == 2 + len(
            {(row["workload"], row["threads"]) for row in rows}
        )
