# SPDX-License-Identifier: Apache-2.0
"""The command line of the benchmark, on one core."""

import json
import pathlib
import re

import pytest

from benchmarks.mcu import __main__ as command
from benchmarks.mcu import workloads

pytestmark = [pytest.mark.mcu, pytest.mark.usefixtures("mcu_tools")]


def test_rows_have_the_keys_of_the_help(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.keras"
    workloads.mnist_model(0.5).save(model)
    status = command.main(
        [
            "--cores=m4",
            "--workloads=fc_1024_512,first3_3_32,mnist",
            "--densities=0.33,1",
            f"--model={model}",
            f"--json={tmp_path / 'rows.json'}",
        ]
    )
    printed = capsys.readouterr()
    assert status == 0, printed.err
    rows = json.loads((tmp_path / "rows.json").read_text())
    cases = [(row["workload"], row["density"]) for row in rows]
    assert cases[:-1] == [
        ("fc_1024_512", 0.33),
        ("fc_1024_512", 1),
        ("first3_3_32", 0.33),
        ("first3_3_32", 1),
    ]
    # Digits are other inputs than the noise which settled the net.
    assert cases[-1][0] == "mnist"
    assert 0.2 < cases[-1][1] < 0.9
    assert all(row["exact"] for row in rows)
    assert max(map(len, printed.out.splitlines())) < 80
    with pytest.raises(SystemExit, match="0"):
        command.main(["--help"])
    keys = capsys.readouterr().out.partition("keys of the rows")[2]
    for row in rows:
        assert list(row) == re.findall(r"^  (\w+)", keys, re.MULTILINE)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--cores=m9", "Received: m9"),
        ("--workloads=mnist,cifar", "Received: cifar"),
        ("--densities=half", "--densities"),
        ("--densities=1.5", "Received: 1.5"),
        ("--model=/nowhere.keras", "/nowhere.keras"),
    ],
)
def test_wrong_argument_is_an_error(
    argument: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(
            command.main(["--cores=m4", "--workloads=mnist", argument])
        )
    assert ended.value.code != 0
    assert message in capsys.readouterr().err
