# SPDX-License-Identifier: Apache-2.0
"""Lists the licences of what `make venv` installs.

python -m tools.licences

Exits with 1 if one is not known to be permissive. What is listed is what the
packages say of themselves.
"""

import argparse
import dataclasses
import importlib.metadata
import pathlib
import re
import sys
from collections.abc import Iterable

LOCK = pathlib.Path(__file__).parents[1] / "requirements.lock.txt"

# As packages write them: names of SPDX, of PyPI's classifiers, and others.
PERMISSIVE = frozenset(
    {
        "0BSD",
        "3-Clause BSD License",
        "Apache 2.0",
        "Apache License 2.0",
        "Apache Software License",
        "Apache-2.0",
        "BSD License",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "ISC License (ISCL)",
        "MIT",
        "MIT License",
        "MIT-CMU",
        "PSF-2.0",
        "Python Software Foundation License",
        "Zlib",
    }
)
# Not permissive, but it binds only those who change the files themselves, and
# none of them is part of this project's packages.
FILE_WISE = frozenset({"MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"})
# Packages whose metadata do not tell.
LOOKED_UP = {
    "atheris": "Apache-2.0, says the file LICENSE in its wheel",
    "docutils": "in the public domain and BSD; GPL is a file for Emacs that is "
    "not in the wheel",
    "namex": "Apache-2.0, says the file LICENSE in its wheel",
    "tflite-micro": "Apache-2.0, say the sources in its wheel",
}


@dataclasses.dataclass(frozen=True)
class Licence:
    """What a package says of its licence.

    Attributes:
        package: Name of the package.
        version: Its version.
        text: Its licence in its own words, or why it is known.
        accepted: Whether it is known to be permissive, or file-wise.
    """

    package: str
    version: str
    text: str
    accepted: bool


def main() -> int:
    """Prints the list and returns the exit status."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    found = installed(locked_names(LOCK.read_text("utf-8")))
    for one in found:
        mark = "" if one.accepted else "   <-- not known to be permissive"
        print(f"{one.package:<32} {one.version:<20} {one.text}{mark}")
    return int(not all(one.accepted for one in found))


def locked_names(lock: str) -> list[str]:
    """The packages in a lock file.

    Args:
        lock: Its content.
    """
    names = re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)
    return sorted(set(map(_normal, names)))


def installed(names: Iterable[str]) -> list[Licence]:
    """The licences of those of some packages that are installed.

    Args:
        names: Names of packages; those for other platforms are left out.
    """
    wanted = set(names)
    found = {}
    for distribution in importlib.metadata.distributions():
        name = _normal(distribution.name)
        if name in wanted:
            text, accepted = judge(name, distribution.metadata)
            found[name] = Licence(name, distribution.version, text, accepted)
    return [found[name] for name in sorted(found)]


def judge(
    name: str, metadata: importlib.metadata.PackageMetadata
) -> tuple[str, bool]:
    """The licence of a package, and whether it is accepted.

    Args:
        name: Its name.
        metadata: Its metadata.
    """
    if name in LOOKED_UP:
        return LOOKED_UP[name], True
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License ::")
    ]
    field = (metadata.get("License") or "").strip()
    # The field may hold a whole licence. Its first line is then its name.
    text = (
        metadata.get("License-Expression")
        or " AND ".join(c for c in classifiers if c != "OSI Approved")
        or field.partition("\n")[0]
    )
    return text, is_accepted(text)


def is_accepted(expression: str) -> bool:
    """Whether the terms of a licence expression are accepted.

    Args:
        expression: Names joined by AND, of which all must be accepted, or by
            OR, of which one.

    Example:
    >>> is_accepted("MIT AND Zlib"), is_accepted("GPL-3.0 OR MIT")
    (True, True)
    >>> is_accepted("MIT AND GPL-3.0"), is_accepted("")
    (False, False)
    >>> is_accepted("(MIT OR Zlib OR 0BSD) AND GPL-3.0-only")
    False
    """
    if "(" in expression.replace("(ISCL)", "").replace("(MPL 2.0)", ""):
        return False  # None has needed brackets so far.
    known = PERMISSIVE | FILE_WISE
    return any(
        all(name.strip() in known for name in choice.split(" AND "))
        for choice in expression.split(" OR ")
    )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
