# SPDX-License-Identifier: Apache-2.0
"""The sizes of a model's exported files, asked of the exporter itself."""

import dataclasses
from typing import Any

import keras


@dataclasses.dataclass(frozen=True)
class ExportedSizes:
    """Both forms of a model's file.

    Attributes:
        custom: With gated-XNOR custom ops, a `gxnor_tf.export.sizes.FileSize`;
            None if the model cannot be exported.
        builtin: With builtin ops, likewise.
        note: What must be known about them; may be empty.
    """

    custom: Any
    builtin: Any
    note: str

    def of_layer(self, form: str, name: str) -> int | None:
        """Bytes of a layer's constants in a form."""
        size = getattr(self, form)
        return None if size is None else size.by_layer[name]

    def total(self, form: str) -> int | None:
        """Bytes of the file in a form."""
        size = getattr(self, form)
        return None if size is None else size.total


def exported_sizes(model: keras.Model) -> ExportedSizes:
    """Exports a model both ways and measures the files.

    Real layers are kept in float32, which the note says. A model that cannot
    be exported has no sizes; the note says why.

    Args:
        model: A built Keras model.
    """
    # Only the exporter knows its files. It is loaded here and not above, so
    # that nothing else of the library depends on it.
    from gxnor_tf.export import graph, sizes

    try:
        found = sizes.file_sizes(model)
        note = ""
    except graph.ExportError as error:
        note = str(error)
        try:
            found = sizes.file_sizes(model, float_layers="float32")
        except graph.ExportError as final:
            return ExportedSizes(None, None, f"No file: {final}")
        note = f'File sizes are those of float_layers="float32": {note}'
    return ExportedSizes(found["custom"], found["builtin"], note)
