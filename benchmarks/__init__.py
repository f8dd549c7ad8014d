# SPDX-License-Identifier: Apache-2.0
"""Measurements: `python -m benchmarks.NAME [--json=FILE]`."""
