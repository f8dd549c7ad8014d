# SPDX-License-Identifier: Apache-2.0
"""The error of everything that the person at the command line can cure."""


class UserError(ValueError):
    """A setting, a file or a folder is not as it must be.

    The message names it, says what was received and what to do. `main()`
    shows the message without a traceback.
    """


class DivergedError(UserError):
    """The loss of a run is no longer a number: its settings do not train."""
