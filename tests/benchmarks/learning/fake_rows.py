# SPDX-License-Identifier: Apache-2.0
"""Rows of studies without training anything."""

import zlib

import numpy as np

from benchmarks.learning import rows
from benchmarks.learning.runner import Outcome


def outcome(accuracy=0.98, **report):
    """How a run ended; validation is `accuracy`, test a little less."""
    content = {
        "validation_accuracy": accuracy,
        "test_accuracy": accuracy - 0.001,
        "final_test_accuracy": accuracy - 0.002,
        "zero_share": {
            "weights": {"conv1": 0.2, "dense1": 0.4},
            "activations": {"activation1": 0.5},
        },
        "state_bytes_per_weight": 5.0,
        "seconds": 12.0,
        "dataset": {"sha256": "0" * 64},
        "versions": {
            "python": "3.11.7",
            "gxnor_tf": "0.1.0",
            "tensorflow": "2.21.0",
            "keras": "3.15.0",
            "numpy": "2.4.0",
        },
    }
    return Outcome(content | report, {"processor": "a processor"})


def rows_of(name, planned, seeds=3):
    """Rows with accuracies that look like those of a real study."""
    settings = rows.all_settings(case for case, _ in planned)
    made = []
    for case, config in planned:
        draw = np.random.default_rng(zlib.crc32(repr(case).encode()))
        level = 1 - np.exp(draw.uniform(-4.6, -3.5))
        share = float(draw.uniform(0.2, 0.9))
        shares = {
            "weights": {"conv1": share / 2},
            "activations": {"activation1": share},
        }
        outcomes = [
            outcome(float(level + draw.normal(0, 0.001)), zero_share=shares)
            for _ in range(seeds)
        ]
        made.append(rows.row(name, case, config, outcomes, settings))
    return made
