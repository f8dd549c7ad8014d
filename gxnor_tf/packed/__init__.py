# SPDX-License-Identifier: Apache-2.0
"""Models in files of one or two bits per discrete weight."""
