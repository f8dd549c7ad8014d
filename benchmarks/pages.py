# SPDX-License-Identifier: Apache-2.0
"""Documents of which a program writes some sections."""

from train.errors import UserError


def replaced(document: str, kind: str, name: str, text: str) -> str:
    """A document with another section.

    Args:
        document: Markdown in which every section of a kind follows a line
            `<!-- KIND: NAME -->` and ends at the next such line.
        kind: What the sections are about.
        name: Name of the section.
        text: The new section.

    Raises:
        UserError: If the document has no place for the section.
    """
    mark = f"<!-- {kind}: {name} -->\n"
    before, found, after = document.partition(mark)
    if not found:
        raise UserError(
            f"`page` must have the line {mark.strip()!r}, behind which the "
            "section goes. Received a file without it."
        )
    _, following, rest = after.partition(f"<!-- {kind}: ")
    return f"{before}{found}\n{text}\n{following}{rest}"
