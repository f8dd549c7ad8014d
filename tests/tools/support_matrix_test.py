# SPDX-License-Identifier: Apache-2.0
"""The support matrix says what the exporter does today."""

import pytest

from tools import support_matrix


@pytest.mark.slow
def test_page_is_up_to_date():
    assert support_matrix.PAGE.read_text(encoding="utf-8") == (
        support_matrix.page()
    ), "run `python -m tools.support_matrix` and look at what has changed"
