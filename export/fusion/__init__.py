# SPDX-License-Identifier: Apache-2.0
"""Turns a trained Keras model into an integer program."""

from .builder import FloatLayers as FloatLayers
from .walk import HANDLERS as HANDLERS
from .walk import fuse as fuse
