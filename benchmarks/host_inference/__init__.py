# SPDX-License-Identifier: Apache-2.0
"""Inference on a host: this project's custom ops beside TFLite's builtin."""
