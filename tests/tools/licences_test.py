# SPDX-License-Identifier: Apache-2.0
"""What is installed may be used: the licences, and what would not pass."""

import email.message

import pytest

from tools import licences

NAMES = licences.locked_names(licences.LOCK.read_text("utf-8"))


def test_every_locked_package_has_an_accepted_licence():
    found = licences.installed(NAMES)
    assert {"tensorflow", "numpy", "pytest"} <= {one.package for one in found}
    assert [one for one in found if not one.accepted] == []


def test_no_exception_is_out_of_date():
    assert set(licences.LOOKED_UP) <= set(NAMES)


def metadata(**fields):
    message = email.message.Message()
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            message[name.replace("_", "-")] = one
    return message


@pytest.mark.parametrize(
    ("fields", "text", "accepted"),
    [
        ({"License_Expression": "MIT OR GPL-3.0"}, "MIT OR GPL-3.0", True),
        ({"License_Expression": "MIT AND LGPL-3.0-only"}, None, False),
        ({"License": "GPLv3"}, "GPLv3", False),
        ({"License": "MIT License\n\nCopyright"}, "MIT License", True),
        ({}, "", False),
        (
            {
                "Classifier": [
                    "License :: OSI Approved",
                    "License :: OSI Approved :: BSD License",
                    "License :: OSI Approved :: GNU Affero GPL",
                    "Topic :: Games",
                ]
            },
            "BSD License AND GNU Affero GPL",
            False,
        ),
    ],
)
def test_licences_are_judged_by_all_of_their_terms(fields, text, accepted):
    judged = licences.judge("some", metadata(**fields))
    assert judged == (text or judged[0], accepted)


def test_command_fails_for_an_unknown_licence(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["licences"])
    assert licences.main() == 0
    assert "tensorflow " in capsys.readouterr().out
    monkeypatch.setattr(licences, "PERMISSIVE", frozenset({"MIT"}))
    assert licences.main() == 1
    assert "<-- not known to be permissive" in capsys.readouterr().out
