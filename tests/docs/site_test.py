# SPDX-License-Identifier: Apache-2.0
"""The pages that `make docs` has built: complete, linked, and shown."""

import ast
import importlib
import inspect
import json
import pathlib
import re
import zlib

import pytest

import gxnor_tf
from gxnor_tf import export
from tests import browser as browsers

pytestmark = pytest.mark.docs

ROOT = pathlib.Path(__file__).absolute().parents[2]
SITE = ROOT / "out" / "site"

# Modules whose public names a user may import, besides those of the packages.
PUBLIC_MODULES = (
    "gxnor_tf.activations",
    "gxnor_tf.callbacks",
    "gxnor_tf.initializers",
    "gxnor_tf.metrics",
    "gxnor_tf.moment_formats",
    "gxnor_tf.presets",
    "gxnor_tf.random_bits",
    "gxnor_tf.schedules",
    "gxnor_tf.step_rules",
    "gxnor_tf.transitions",
    "gxnor_tf.export.op_schema",
    "gxnor_tf.export.packing",
)
PAGES = (
    "docs/index",
    "docs/tutorial",
    "docs/api/gxnor_tf",
    "docs/api/export",
    "README",
)


@pytest.fixture(scope="module")
def documented():
    """Names of everything that has an entry in a page."""
    head, _, lines = (SITE / "objects.inv").read_bytes().partition(b"zlib.\n")
    assert head.startswith(b"# Sphinx inventory version 2\n")
    entries = [line.split() for line in zlib.decompress(lines).splitlines()]
    return {
        entry[0].decode() for entry in entries if entry[1].startswith(b"py:")
    }


def names_of_module(name):
    """The public functions and classes that a module defines."""
    tree = ast.parse(inspect.getsource(importlib.import_module(name)))
    return [
        node.name
        for node in tree.body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef))
        and not node.name.startswith("_")
    ]


def names_of_package(package):
    """The names in `__all__`, and those of its modules one by one."""
    for name in package.__all__:
        if not inspect.ismodule(getattr(package, name)):
            yield name


@pytest.mark.parametrize("package", [gxnor_tf, export])
def test_every_name_of_a_package_has_an_entry(package, documented):
    names = list(names_of_package(package))
    assert names
    for name in names:
        assert f"{package.__name__}.{name}" in documented
        assert inspect.getdoc(getattr(package, name))


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_every_name_of_a_module_has_an_entry(module, documented):
    names = names_of_module(module)
    assert names
    for name in names:
        thing = getattr(importlib.import_module(module), name)
        assert thing.__doc__, f"{module}.{name}"
        assert f"{module}.{name}" in documented


def test_modules_in_all_are_public_modules():
    modules = {
        f"gxnor_tf.{name}"
        for name in gxnor_tf.__all__
        if inspect.ismodule(getattr(gxnor_tf, name))
    }
    assert modules and modules <= set(PUBLIC_MODULES)


def test_methods_have_entries(documented):
    for name in ("DiscreteSpace.values", "DiscreteStateTransition.update_step"):
        assert f"gxnor_tf.{name}" in documented
    assert "gxnor_tf.export.CSource.write" in documented


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("width", browsers.WIDTHS)
def test_browser_shows_the_page(page, width, browser):
    with browser.page(SITE / f"{page}.html", width, root=SITE) as shown:
        browsers.assert_fits(shown)
        browsers.assert_drawn(shown)
        assert shown.locator("h1").first.is_visible()
        broken = shown.locator("img").evaluate_all(
            "pictures => pictures.filter(one => !one.naturalWidth).length"
        )
        assert broken == 0


def test_front_page_leads_to_the_documentation(browser):
    with browser.page(SITE / "index.html") as shown:
        shown.wait_for_url("**/docs/index.html")
        assert shown.locator("h1").inner_text().startswith("gxnor_tf")


def test_reference_shows_arguments_and_examples(browser):
    with browser.page(SITE / "docs/api/gxnor_tf.html", root=SITE) as shown:
        entry = shown.locator("dl.class").filter(
            has=shown.locator("[id='gxnor_tf.DiscreteConv2D']")
        )
        text = entry.text_content()
        assert "filters" in text and "weight_space" in text
        assert "Input shape" in text and ">>> " in text
        assert "](http" not in text and "``" not in text


def links(page):
    """The local targets of a page's links and pictures."""
    text = page.read_text("utf-8")
    for target in re.findall(r'(?:href|src)="([^"]*)"', text):
        path, _, fragment = target.partition("#")
        if not re.match(r"\w+:|//", target):
            yield (page.parent / path if path else page), fragment


def test_no_link_of_any_page_is_dead():
    pages = sorted(SITE.rglob("*.html"))
    assert len(pages) > 15
    identifiers = {
        page.resolve(): set(re.findall(r'id="([^"]+)"', page.read_text()))
        for page in pages
    }
    for page in pages:
        for target, fragment in links(page):
            target = pathlib.Path(str(target).partition("?")[0]).resolve()
            assert target.exists(), (page, target)
            if fragment and target.suffix == ".html":
                assert fragment in identifiers[target], (page, fragment)


def test_pages_ask_the_network_for_nothing():
    for page in SITE.rglob("*.html"):
        text = page.read_text("utf-8")
        loaded = re.findall(
            r"<(?:script|img|iframe)[^>]*src=\"([^\"]+)\"", text
        )
        loaded += re.findall(r'<link[^>]*rel="stylesheet"[^>]*>', text)
        assert not any("//" in one for one in loaded), page


def test_notebook_is_committed_without_outputs():
    notebook = json.loads((ROOT / "docs/tutorial.ipynb").read_text())
    for cell in notebook["cells"]:
        assert not cell.get("outputs") and not cell.get("execution_count")


def test_tutorial_has_run(browser):
    with browser.page(SITE / "docs/tutorial.html", root=SITE) as shown:
        text = shown.locator("article").inner_text()
        accuracy = float(re.search(r"test accuracy: ([\d.]+)%", text)[1])
        assert accuracy > 90
        for ops in ("custom", "builtin"):
            line = (
                rf"{ops}: [\d,]+ bytes, [\d,]+ activations compared, 0 differ"
            )
            assert re.search(rf"{line}; 0 of 397 outputs differ", text)
        assert "LiteRT and C give the same scores" in text
        assert shown.locator("article img").count() == 3
