# SPDX-License-Identifier: Apache-2.0
"""How well the nets learn: the studies behind docs/learning.md."""
