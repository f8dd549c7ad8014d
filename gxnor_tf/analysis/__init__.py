# SPDX-License-Identifier: Apache-2.0
"""What a model costs: its layers' calls, gates, operations, bytes.

`model_summary` puts the other modules' figures together.
"""
