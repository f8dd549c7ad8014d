# SPDX-License-Identifier: Apache-2.0
"""Training programs; run from a checkout, as in `python -m train.mnist`."""
