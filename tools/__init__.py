# SPDX-License-Identifier: Apache-2.0
"""Programs that write pages of the documentation."""
