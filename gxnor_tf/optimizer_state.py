# SPDX-License-Identifier: Apache-2.0
"""The saved state of an optimizer, and whether it fits another one.

Keras saves an optimizer's variables as a numbered list. Beside them goes, as
JSON, the layout: what decides which variables there are and what they mean.
"""

import json
import warnings
from typing import Any

import keras
import numpy as np

from gxnor_tf.shared_variable import MomentView

_KEY = "layout"


def describe(store: Any, layout: dict[str, Any]) -> None:
    """Writes the layout beside the variables.

    Args:
        store: What Keras gives `save_own_variables()`.
        layout: Names of settings and their values, JSON-like. `"built"` is
            whether there are variables yet; None is not known before. A
            list has an element for each variable that is trained.
    """
    store[_KEY] = np.frombuffer(json.dumps(layout).encode(), np.uint8)


def load(
    optimizer: keras.optimizers.Optimizer, store: Any, layout: dict[str, Any]
) -> None:
    """Reads the variables, if they are those of such an optimizer.

    The state of one that was not built is left alone. That of one which
    trained other variables is, too, with a warning.

    Args:
        optimizer: Where to.
        store: What Keras gives `load_own_variables()`.
        layout: Of `optimizer`.

    Raises:
        ValueError: If it is the state of another kind of optimizer, or of
            one with another layout. Nothing is changed then.
    """
    keys = set(store.keys())
    kind = type(optimizer).__name__
    if _KEY not in keys:
        raise ValueError(
            f"This is no saved state of {kind}. "
            "`keras.models.load_model(path, compile=False)` loads the weights "
            "alone."
        )
    saved = json.loads(np.asarray(store[_KEY]).tobytes().decode())
    if not saved["built"]:
        return
    if saved.keys() != layout.keys():
        raise ValueError(
            f"The saved state of {kind} was written by another version of "
            "gxnor_tf. `keras.models.load_model(path, compile=False)` loads "
            "the weights alone."
        )
    for name, value in layout.items():
        if name == "built" or value is None:
            continue
        if isinstance(value, list) and len(value) != len(saved[name]):
            continue  # Other variables are trained, of which more below.
        if saved[name] != value:
            raise ValueError(
                f"The saved state belongs to an optimizer whose `{name}` is "
                f"{saved[name]}. Make it with the same. Received: "
                f"{name}={value}"
            )
    if not optimizer.built:
        _warn_of_new_start(kind, "it is not built")
        return
    wanted = {str(i): v for i, v in enumerate(optimizer.variables)}
    found = {k: np.asarray(store[k]) for k in keys - {_KEY}}
    shapes = {k: tuple(v.shape) for k, v in wanted.items()}
    if {k: v.shape for k, v in found.items()} != shapes:
        _warn_of_new_start(
            kind,
            f"it is that of {len(found)} variables and this optimizer has "
            f"{len(wanted)}, or of other shapes: other variables are trained "
            "now, as after freezing a layer",
        )
        return
    for key, variable in wanted.items():
        if isinstance(variable, MomentView):
            variable.check(found[key])
    for key, variable in wanted.items():
        variable.assign(found[key])


def _warn_of_new_start(kind: str, reason: str) -> None:
    warnings.warn(
        f"The state of {kind} is not loaded, because {reason}. It starts anew.",
        stacklevel=4,
    )
