# SPDX-License-Identifier: Apache-2.0
"""What a measurement says that it was made on."""

import platform

import pytest

from benchmarks import machine

CPUINFO = """\
processor\t: 0
model name\t: AMD EPYC
flags\t\t: fpu {flags} sse2
"""


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ("avx2 avx512f avx512_bf16", "AMD EPYC with AVX512_BF16"),
        ("avx2", "AMD EPYC with AVX2"),
        ("sse4_2", "AMD EPYC"),
    ],
)
def test_processor(monkeypatch, tmp_path, flags, name):
    path = tmp_path / "cpuinfo"
    path.write_text(CPUINFO.format(flags=flags))
    monkeypatch.setattr(machine, "_CPUINFO", path)
    assert machine.processor() == name


@pytest.mark.parametrize("text", [None, "processor: 0\n"])
def test_processor_that_has_no_name(monkeypatch, tmp_path, text):
    path = tmp_path / "cpuinfo"
    if text:
        path.write_text(text)
    monkeypatch.setattr(machine, "_CPUINFO", path)
    assert machine.processor() == platform.machine()
