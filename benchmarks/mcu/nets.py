# SPDX-License-Identifier: Apache-2.0
"""Whole nets as C source, what must come out, and images that run them."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from benchmarks.mcu import cores
from export import convert_to_c, fusion, reference
from export.c_source import CSource
from export.program import Int8Array

_RUNNER = pathlib.Path(__file__).absolute().with_name("run_net.c")


@dataclasses.dataclass(frozen=True)
class Net:
    """A net and some inputs of it.

    Attributes:
        source: The generated C.
        inputs: int8 `(count, ...)`.
        logits: int32 `(count, outputs)`, by the reference.
        scores: float32 `(count, outputs)`, by the reference.
        density: Share of packed activations that are not 0.
    """

    source: CSource
    inputs: Int8Array
    logits: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    density: float

    @property
    def macs(self) -> int:
        """Products of one inference, zeros and padding included."""
        return sum(row.macs for row in self.source.rows)

    @property
    def flash_bytes(self) -> int:
        """Bytes of weights and thresholds."""
        return sum(row.flash_bytes for row in self.source.rows)


@dataclasses.dataclass(frozen=True)
class Run:
    """What a net does on a core.

    Attributes:
        instructions: Of `model_invoke`, the most of all inputs.
        stack_bytes: The most stack of the image up to then.
        fault: What went wrong, or an empty text.
    """

    instructions: int
    stack_bytes: int
    fault: str


def from_keras(model: keras.Model, inputs: Int8Array) -> Net:
    """A net, with what the reference makes of the inputs.

    Raises:
        export.ExportError: If the model has no form in C.
    """
    program = fusion.fuse(model)
    result = reference.run(program, inputs)
    weighted = program.discrete_ops
    packed = [
        result.values[op.input.name] for op in weighted if op.input.peak == 1
    ]
    count = len(inputs)
    return Net(
        convert_to_c(model),
        inputs,
        result.values[weighted[-1].output.name]
        .reshape(count, -1)
        .astype(np.int32),
        result.output.reshape(count, -1),
        sum(map(np.count_nonzero, packed)) / sum(x.size for x in packed),
    )


def build_image(
    core: cores.Core,
    net: Net,
    objects: Sequence[pathlib.Path],
    image: pathlib.Path,
) -> pathlib.Path:
    """Builds an image that runs a net on its inputs.

    Args:
        core: The core.
        net: The net.
        objects: The kernels and the start-up code, compiled for the core.
        image: The file to make, in a folder that has none of this name with
            other suffixes.

    Returns:
        The object of `model.c`.

    Raises:
        cores.ImageError: If it cannot be built.
    """
    folder = image.with_suffix(".source")
    net.source.write(folder)
    data = image.with_suffix(".bin")
    data.write_bytes(np.ascontiguousarray(net.inputs).tobytes())
    made = cores.compile_c(
        core,
        [folder / "model.c", _RUNNER],
        image.with_suffix(".objects"),
        [
            *cores.WARNINGS,
            f"-I{folder}",
            f'-DINPUTS_FILE="{data}"',
            f"-DINPUTS_COUNT={len(net.inputs)}",
        ],
    )
    cores.link(core, [*made, *objects], image)
    return made[0]


def run_image(core: cores.Core, net: Net, image: pathlib.Path) -> Run:
    """Runs an image of `build_image`.

    Raises:
        cores.ImageError: If it does not run to its end.
    """
    lines = cores.run(core, image).splitlines()
    [nothing] = map(int, lines[0].split())
    numbers = np.array([line.split() for line in lines[1:]], np.int64)
    outputs = net.logits.shape[1]
    logits, bits = np.split(numbers[:, 3:].astype(np.uint32), [outputs], 1)
    faults = {
        "inputs without an output": len(net.inputs) - len(numbers),
        "wrong logits": _differing(logits, net.logits),
        "wrong scores": _differing(bits, net.scores),
        "words written outside the arena": int(numbers[:, 2].sum()),
    }
    return Run(
        max(core.instructions(int(t) - nothing) for t in numbers[:, 0]),
        int(numbers[:, 1].max()),
        ", ".join(f"{text}: {n}" for text, n in faults.items() if n),
    )


def _differing(words: npt.NDArray[np.uint32], values: npt.NDArray[Any]) -> int:
    """Words other than those of the values."""
    expected = np.ascontiguousarray(values).view(np.uint32)
    return int(np.count_nonzero(words != expected[: len(words)]))
