# SPDX-License-Identifier: Apache-2.0
"""What a process of root must give up for a read-only folder to stop it."""

import os

# A command that runs what follows it; `setpriv` is in Debian's util-linux,
# which every system has.
WITHOUT_OVERRIDE = (
    ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
    if os.getuid() == 0
    else ()
)
