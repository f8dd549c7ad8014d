# SPDX-License-Identifier: Apache-2.0
"""Neural networks whose weights are small integers, in Keras.

Layers hold int8 states of a discrete space, `DiscreteStateTransition` trains
them in place, and `gxnor_tf.export` writes them as `.tflite`.
"""

import importlib
from typing import Any

from gxnor_tf import callbacks as callbacks
from gxnor_tf import initializers as initializers
from gxnor_tf import metrics as metrics
from gxnor_tf import presets as presets
from gxnor_tf.analysis.model_summary import summary as summary
from gxnor_tf.callbacks import RandomJump as RandomJump
from gxnor_tf.discrete_space import DiscreteSpace as DiscreteSpace
from gxnor_tf.discrete_space import get_space as get_space
from gxnor_tf.discrete_variable import DiscreteVariable as DiscreteVariable
from gxnor_tf.layers import DiscreteActivation as DiscreteActivation
from gxnor_tf.layers import DiscreteConv1D as DiscreteConv1D
from gxnor_tf.layers import DiscreteConv2D as DiscreteConv2D
from gxnor_tf.layers import DiscreteConv2DTranspose as DiscreteConv2DTranspose
from gxnor_tf.layers import DiscreteDense as DiscreteDense
from gxnor_tf.layers import DiscreteDepthwiseConv2D as DiscreteDepthwiseConv2D
from gxnor_tf.layers import DiscreteSeparableConv2D as DiscreteSeparableConv2D
from gxnor_tf.layers import MaxPooling2D as MaxPooling2D
from gxnor_tf.layers.bfloat16_products import (
    enable_bfloat16_products as enable_bfloat16_products,
)
from gxnor_tf.optimizers import (
    DiscreteStateTransition as DiscreteStateTransition,
)
from gxnor_tf.packed.packed_model import load_packed as load_packed
from gxnor_tf.packed.packed_model import save_packed as save_packed

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name != "export":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return importlib.import_module(f"{__name__}.export")
    except ModuleNotFoundError as error:
        raise ImportError(
            "gxnor_tf.export is not here: this is the folder `gxnor_tf` of a "
            "checkout, which hides the installed package. Run Python in "
            "another folder, or install the checkout editable (`make venv`). "
            f"({error})"
        ) from error


__all__ = [
    "DiscreteActivation",
    "DiscreteConv1D",
    "DiscreteConv2D",
    "DiscreteConv2DTranspose",
    "DiscreteDense",
    "DiscreteDepthwiseConv2D",
    "DiscreteSeparableConv2D",
    "DiscreteSpace",
    "DiscreteStateTransition",
    "DiscreteVariable",
    "MaxPooling2D",
    "RandomJump",
    "callbacks",
    "enable_bfloat16_products",
    "get_space",
    "initializers",
    "load_packed",
    "metrics",
    "presets",
    "save_packed",
    "summary",
]
