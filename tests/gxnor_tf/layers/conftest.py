# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of a conformance class on each of its examples."""


def pytest_generate_tests(metafunc):
    """Gives every test with an `example` all examples of its class."""
    if "example" in metafunc.fixturenames:
        metafunc.parametrize("example", metafunc.cls.examples, ids=repr)
