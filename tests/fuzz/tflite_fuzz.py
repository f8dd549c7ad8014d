# SPDX-License-Identifier: Apache-2.0
"""`python -m export FILE.tflite --inspect --html=...`, without the file."""

from tests.fuzz import python_fuzzer

with python_fuzzer.load():
    from export import inspection, report, terminal_tables


def one_input(data: bytes, folder: str) -> None:
    """Lists the operators of a file."""
    # The shortest of checks need no help of a fuzzer.
    data = data[:4] + b"TFL3" + data[8:] + b"\0" * (-max(len(data), 8) % 64)
    try:
        contents = inspection.contents(data)
    except ValueError:
        return
    text = terminal_tables.format_rows(contents.rows, len(data))
    assert all(line.isprintable() for line in text.splitlines()), text
    assert "<script" not in report.html_report(contents, "model.tflite")


if __name__ == "__main__":
    python_fuzzer.run(one_input)
