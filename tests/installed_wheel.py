# SPDX-License-Identifier: Apache-2.0
"""Uses the installed package as a stranger would; `make test-oldest` runs it.

It sees nothing of the checkout: it runs in another folder, with `python -I`.
"""

import pathlib
import sys
import tempfile

import keras
import numpy as np

import gxnor_tf
from gxnor_tf import export


def main() -> None:
    """Trains a step, exports in all forms, and compares."""
    for module in (gxnor_tf, export):
        path = pathlib.Path(module.__file__)
        assert path.is_relative_to(sys.prefix), path
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            gxnor_tf.DiscreteConv2D(32, 3),
            keras.layers.BatchNormalization(),
            gxnor_tf.DiscreteActivation(),
            keras.layers.Flatten(),
            gxnor_tf.DiscreteDense(4),
            keras.layers.BatchNormalization(),
        ]
    )
    q = np.random.default_rng(0).integers(-128, 128, (16, 8, 8, 1), np.int8)
    model.compile(optimizer=gxnor_tf.DiscreteStateTransition(), loss="mse")
    model.fit(q.astype(np.float32) / 128, np.ones((16, 4)), verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        model.save(pathlib.Path(folder) / "model.keras")
        model = keras.models.load_model(pathlib.Path(folder) / "model.keras")
        export.convert_to_c(model).write(folder)
    for ops in ("custom", "builtin"):
        result = export.compare(model, q, ops)
        assert result.differing_samples == 0
        assert not any(result.differing_activations.values())
    print("The installed wheel trains, exports, and gives the same integers.")


if __name__ == "__main__":
    main()
