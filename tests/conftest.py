# SPDX-License-Identifier: Apache-2.0
"""Settings of all tests."""

import hypothesis

# A first call that traces or compiles, or a busy machine, takes far longer
# than Hypothesis' 200 ms. The parent is its `ci` profile where CI is set,
# which tries the same examples every time.
hypothesis.settings.register_profile(
    "gxnor_tf", parent=hypothesis.settings.default, deadline=None
)
hypothesis.settings.load_profile("gxnor_tf")
