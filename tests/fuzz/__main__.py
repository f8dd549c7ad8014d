# SPDX-License-Identifier: Apache-2.0
"""Fuzzes everything that reads bytes: `python -m tests.fuzz --seconds=60`.

Builds the C targets with Clang, makes inputs of real models, and runs all
targets for so many seconds altogether; building and starting come on top. All
that is found stays in `--folder`, and a later run goes on from there.
"""

import argparse
import pathlib
import subprocess
import sys

from tests.fuzz import driver, tools

ROOT = pathlib.Path(__file__).absolute().parents[2]
BUILD = ROOT / ".cmake" / "fuzz"

# No input may make a target take longer, in seconds, or allocate more, in
# MiB: the process altogether, and C at once. 450 of the process are what
# AddressSanitizer keeps; Python's are TensorFlow's, before the first input.
C_LIMITS = ("-timeout=10", "-rss_limit_mb=1024", "-malloc_limit_mb=64")
PYTHON_LIMITS = ("-timeout=30", "-rss_limit_mb=2048")

C_TARGETS = {"options": 1024, "kernels": 256, "delegate": 4096}
PYTHON_TARGETS = {
    "tflite": 16384,
    "arrays": 4096,
    "packed": 65536,
    "keras": 65536,
}
"""The most bytes of an input, by target."""


def main(arguments: list[str] | None = None) -> int:
    """Runs all targets, and returns 1 if one of them crashed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--folder", type=pathlib.Path, default="out/fuzz")
    options = parser.parse_args(arguments)
    if options.seconds < 1:
        parser.error(f"--seconds must be >= 1. Received: {options.seconds}")
    clang = tools.find_clang()
    if clang is None:
        print(
            "Clang with libFuzzer is needed: apt-get install "
            + " ".join(tools.missing_packages()),
            file=sys.stderr,
        )
        return 2
    _build(clang)
    _run("-m", "tests.fuzz.seeds", str(options.folder / "seeds"))
    targets = _targets()
    results = []
    seconds = driver.shares(options.seconds, len(targets))
    for target, share in zip(targets, seconds, strict=True):
        result = driver.run(target, share, options.folder)
        results.append(result)
        print(
            f"{result.name}: {result.executions:,} executions, "
            f"{result.edges:,} edges, {'CRASH' if result.crashes else 'ok'}",
            flush=True,
        )
    print(driver.format_table(results))
    for target, result in zip(targets, results, strict=True):
        if not driver.has_run(result):
            print(f"{result.name}: nothing was tried; see {result.log}")
        elif result.crashes:
            print(driver.explain(result, target))
    return int(any(r.crashes or not driver.has_run(r) for r in results))


def _build(clang: str) -> None:
    """Builds the C targets."""
    subprocess.run(
        [
            *("cmake", "-G", "Ninja", "-B", str(BUILD)),
            *("-S", str(ROOT / "export" / "runtime"), "--log-level=WARNING"),
            *(f"-DCMAKE_C_COMPILER={clang}", "-DCMAKE_BUILD_TYPE=Release"),
            *("-DGXNOR_SANITIZE=ON", "-DGXNOR_BUILD_FUZZERS=ON"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    subprocess.run(
        ["cmake", "--build", str(BUILD), "--", "--quiet"], check=True
    )


def _run(*arguments: str) -> None:
    """Runs Python in the checkout."""
    subprocess.run([sys.executable, *arguments], check=True, cwd=ROOT)


def _targets() -> list[driver.Target]:
    return [
        driver.Target(
            name,
            (str(BUILD / f"{name}_fuzz"),),
            (*C_LIMITS, f"-max_len={length}", "-len_control=0"),
        )
        for name, length in C_TARGETS.items()
    ] + [
        driver.Target(
            name,
            (sys.executable, "-m", f"tests.fuzz.{name}_fuzz"),
            (*PYTHON_LIMITS, f"-max_len={length}"),
        )
        for name, length in PYTHON_TARGETS.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
