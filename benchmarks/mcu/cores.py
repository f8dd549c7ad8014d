# SPDX-License-Identifier: Apache-2.0
"""The cores: how to build an image for one, and how to run it in QEMU."""

import concurrent.futures
import dataclasses
import os
import pathlib
import subprocess
from collections.abc import Mapping, Sequence

from export.delegate import get_include

BOARD = (
    pathlib.Path(__file__).absolute().parents[2]
    / "examples"
    / "mcu_mnist"
    / "board"
)
"""Start-up code, linker script and the table of cores."""

KERNELS = tuple(sorted((get_include().parent / "src").rglob("*.c")))
"""Source files of the kernels."""

WARNINGS = (
    *("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion"),
    *("-Wshadow", "-Wvla", "-Werror"),
)
"""Language and warnings of all C files."""

# An instruction takes 2^7 ns of the emulated time.
_ICOUNT_SHIFT = 7


class ImageError(Exception):
    """An image could not be built, or did not run to its end."""


@dataclasses.dataclass(frozen=True)
class Core:
    """A row of `cores.txt`, which explains the columns."""

    name: str
    start: str
    tools: str
    emulator: str
    machine: str
    clock_hz: int
    flash: int
    flash_kib: int
    ram: int
    ram_kib: int
    flags: tuple[str, ...]

    def instructions(self, ticks: int) -> int:
        """Instructions that pass while so many ticks do."""
        ticks_each = (self.clock_hz << _ICOUNT_SHIFT) / 10**9
        return round(ticks / ticks_each)


def _parse(line: str) -> Core:
    words = line.split()
    name, start, tools, emulator, machine = words[:5]
    clock_hz, flash, flash_kib, ram, ram_kib = (
        int(word, 0) for word in words[5:10]
    )
    return Core(
        name=name,
        start=start,
        tools=tools,
        emulator=emulator,
        machine=machine,
        clock_hz=clock_hz,
        flash=flash,
        flash_kib=flash_kib,
        ram=ram,
        ram_kib=ram_kib,
        flags=tuple(words[10:]),
    )


CORES: Mapping[str, Core] = {
    core.name: core
    for core in (
        _parse(line)
        for line in (BOARD / "cores.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
}
"""All cores by name."""


def compile_c(
    core: Core,
    sources: Sequence[pathlib.Path],
    folder: pathlib.Path,
    flags: Sequence[str] = WARNINGS,
) -> list[pathlib.Path]:
    """Compiles C files for a core, several at a time.

    Args:
        core: The core.
        sources: The files, with different names.
        folder: Where the objects go; made if it is not there.
        flags: Options beside those of the core and the optimization.

    Returns:
        The objects, in the order of the sources.

    Raises:
        ImageError: If the compiler finds fault with a file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    objects = [folder / f"{source.stem}.o" for source in sources]

    def run(source: pathlib.Path, target: pathlib.Path) -> None:
        _run(
            [f"{core.tools}-gcc", *core.flags, *flags]
            + ["-O2", "-ffreestanding", "-ffunction-sections"]
            + ["-fdata-sections", f"-I{get_include()}", f"-I{BOARD}"]
            + ["-c", str(source), "-o", str(target)]
        )

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(run, sources, objects))
    return objects


def compile_board(core: Core, folder: pathlib.Path) -> list[pathlib.Path]:
    """Compiles the start-up code of a core; see `compile_c`."""
    sources = [BOARD / "board.c", BOARD / f"start_{core.start}.c"]
    return compile_c(core, sources, folder)


@dataclasses.dataclass(frozen=True)
class Bench:
    """A core with what all its images have in common.

    Attributes:
        core: The core.
        kernels: Objects of the kernels.
        board: Objects of the start-up code.
        folder: Where images go.
    """

    core: Core
    kernels: tuple[pathlib.Path, ...]
    board: tuple[pathlib.Path, ...]
    folder: pathlib.Path

    @property
    def objects(self) -> tuple[pathlib.Path, ...]:
        """What an image is linked with."""
        return (*self.kernels, *self.board)


def set_up(core: Core, folder: pathlib.Path) -> Bench:
    """Compiles what all images of a core have in common.

    Raises:
        ImageError: If the compiler finds fault with a file.
    """
    return Bench(
        core,
        tuple(compile_c(core, KERNELS, folder / "kernels")),
        tuple(compile_board(core, folder / "board")),
        folder,
    )


def link(
    core: Core, objects: Sequence[pathlib.Path], image: pathlib.Path
) -> None:
    """Links objects to an image; what nothing uses is left out.

    Raises:
        ImageError: If a symbol is missing, or the memory is too small.
    """
    memory = {
        "FLASH": core.flash,
        "FLASH_KIB": core.flash_kib,
        "RAM": core.ram,
        "RAM_KIB": core.ram_kib,
    }
    _run(
        [f"{core.tools}-gcc", *core.flags, "-nostdlib"]
        + [f"-Wl,--defsym={name}={value}" for name, value in memory.items()]
        + ["-Wl,--gc-sections", "-Wl,--fatal-warnings"]
        + ["-T", str(BOARD / "image.ld"), *map(str, objects)]
        + ["-lgcc", "-o", str(image)]
    )


def run(core: Core, image: pathlib.Path, timeout_s: float = 120) -> str:
    """Runs an image in QEMU.

    Args:
        core: The core.
        image: The image.
        timeout_s: Seconds after which the emulator is ended.

    Returns:
        What the image prints.

    Raises:
        ImageError: If its status is not 0, or it does not end in time.
    """
    command = [
        *(core.emulator, "-M", core.machine, "-nographic", "-bios", "none"),
        *("-monitor", "none", "-serial", "none"),
        *("-icount", f"shift={_ICOUNT_SHIFT},align=off,sleep=off"),
        *("-semihosting-config", "enable=on,target=native"),
        *("-kernel", str(image)),
    ]
    try:
        return _run(command, timeout_s)
    except subprocess.TimeoutExpired as error:
        raise ImageError(
            f"{' '.join(command)}\ndid not end within {timeout_s} s."
        ) from error


def linked_bytes(
    core: Core,
    objects: Sequence[pathlib.Path],
    functions: Sequence[str],
    folder: pathlib.Path,
) -> int:
    """Bytes of code and constants that some functions bring into an image.

    Args:
        core: The core.
        objects: Among them those that have the functions.
        functions: What is called.
        folder: For the file in which they are joined.
    """
    joined = _joined(
        core,
        objects,
        ["-Wl,--gc-sections", *(f"-Wl,-u,{name}" for name in functions)],
        folder,
    )
    lines = _run([f"{core.tools}-size", str(joined)]).splitlines()
    return int(lines[1].split()[0])


def undefined_symbols(
    core: Core, objects: Sequence[pathlib.Path], folder: pathlib.Path
) -> list[str]:
    """What objects need that none of them has."""
    joined = _joined(core, objects, [], folder)
    return _run([f"{core.tools}-nm", "-u", str(joined)]).split()[1::2]


def _joined(
    core: Core,
    objects: Sequence[pathlib.Path],
    flags: Sequence[str],
    folder: pathlib.Path,
) -> pathlib.Path:
    """One object of several."""
    joined = folder / "joined.o"
    _run(
        [f"{core.tools}-gcc", *core.flags, "-nostdlib", "-r", *flags]
        + [*map(str, objects), "-o", str(joined)]
    )
    return joined


def _run(command: Sequence[str], timeout_s: float = 120) -> str:
    """What a command prints; an ImageError with all of it if it fails."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
    )
    if done.returncode:
        raise ImageError(
            f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}"
        )
    return done.stdout
