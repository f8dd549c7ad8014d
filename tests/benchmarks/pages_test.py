# SPDX-License-Identifier: Apache-2.0
import pytest

from benchmarks import pages
from train.errors import UserError

DOCUMENT = """\
# Title

<!-- study: a -->

## a

old

<!-- study: b -->
<!-- study: c -->
"""


def test_replaced_section():
    new = pages.replaced(DOCUMENT, "study", "a", "## a\n\nnew\n")
    assert new == DOCUMENT.replace("old", "new")
    assert pages.replaced(new, "study", "a", "## a\n\nold\n") == DOCUMENT
    for study in "bc":
        longer = pages.replaced(DOCUMENT, "study", study, "text\n")
        assert longer.replace("\ntext\n\n", "").replace("\ntext\n", "") in (
            DOCUMENT
        )


def test_document_without_a_place_is_refused():
    with pytest.raises(
        UserError, match="must have the line '<!-- study: d -->"
    ):
        pages.replaced(DOCUMENT, "study", "d", "text\n")
