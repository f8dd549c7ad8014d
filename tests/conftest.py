# SPDX-License-Identifier: Apache-2.0
"""Settings of all tests."""

import gc
import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

from benchmarks.mcu import tools

if TYPE_CHECKING:
    from tests.browser import Browser

# Keras' channels_first convolutions, which ours are compared with, need it on
# a CPU, and some processors have it off by default. Before TensorFlow comes.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# A first call that traces or compiles, or a busy machine, takes far longer
# than Hypothesis' 200 ms. The parent is its `ci` profile where CI is set,
# which tries the same examples every time.
hypothesis.settings.register_profile(
    "gxnor_tf", parent=hypothesis.settings.default, deadline=None
)
hypothesis.settings.load_profile("gxnor_tf")

# A shell lets what it starts in the background ignore Ctrl-C; the programs that
# the tests start, and interrupt, would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Spares the garbage collector what stays: a million objects of imports.

    Keras collects often, and each time would look at all of them.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def mcu_tools() -> None:
    """Compilers and emulators of microcontrollers."""
    missing = tools.missing_packages()
    if missing:
        # Who has none of them may test the rest; CI must have them.
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"Debian packages are not installed: {' '.join(missing)}")


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """A headless browser."""
    # Loaded late: most tests need none.
    from tests.browser import Browser

    try:
        started = Browser()
    except FileNotFoundError as error:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(str(error))
    yield started
    started.close()
