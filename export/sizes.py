# SPDX-License-Identifier: Apache-2.0
"""How large the files of a model are, and which layers the bytes belong to."""

import dataclasses
from collections import Counter

import keras

from . import fusion, graph, inspection, lowering
from .fusion import FloatLayers
from .lowering import Ops


@dataclasses.dataclass(frozen=True)
class FileSize:
    """The size of a `.tflite` file.

    Attributes:
        total: Bytes of the file.
        by_layer: Bytes of the constants of each layer, by the layer's name,
            behind those of the models that it lies in. The rest of the file
            are names, shapes and operators.
    """

    total: int
    by_layer: Counter[str]


def file_sizes(
    model: keras.Model, float_layers: FloatLayers = "refuse"
) -> dict[Ops, FileSize]:
    """The sizes of both forms of a model, from files that are made for it.

    Args:
        model: A model that `convert` takes.
        float_layers: As for `convert`.

    Raises:
        ExportError: If the model cannot be exported.
    """
    program = fusion.fuse(model, float_layers=float_layers)
    calls = [node.output for node in graph.read_graph(model).nodes]
    forms: tuple[Ops, ...] = ("custom", "builtin")
    sizes: dict[Ops, FileSize] = {}
    for ops in forms:
        data = lowering.lower(program, ops)
        by_layer: Counter[str] = Counter()
        for name, size in inspection.stored_bytes(data).items():
            owners = [call for call in calls if name.startswith(f"{call}/")]
            if owners:
                # A layer that is called again is told apart by a number.
                by_layer[max(owners, key=len).partition("#")[0]] += size
        sizes[ops] = FileSize(len(data), by_layer)
    return sizes
