# SPDX-License-Identifier: Apache-2.0
"""Instructions and bytes on microcontrollers, beside CMSIS-NN int8."""
