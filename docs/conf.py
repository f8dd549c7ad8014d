# SPDX-License-Identifier: Apache-2.0
"""Builds the documentation: `make docs`.

The sources are the whole checkout, not `docs/` alone: links between pages are
then the same relative ones here and where the files are read as they are.
"""

import re
import tomllib
from pathlib import Path

import sphinx.application
from keras.layers import Layer
from keras.optimizers import Optimizer
from sphinx.util import inspect

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

project = PROJECT["name"]
author = PROJECT["authors"][0]["name"]
version = release = PROJECT["version"]
html_title = f"{project} {version}"
copyright = f"{author}, Apache-2.0"

root_doc = "docs/index"
include_patterns = ["*.md", "docs/**"]
exclude_patterns = [".*", "out", "dist", "docs/learning/runs"]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

# No page asks the network for anything.
html_theme = "furo"
html_extra_path = ["site"]
html_copy_source = False
html_show_sourcelink = False

# Links to headings, as GitHub names them.
myst_heading_anchors = 4

# The notebook is committed without outputs and run at each build, so what the
# page shows is what this checkout does.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
# TensorFlow tells there which processor it has found.
nb_output_stderr = "remove"

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Input shape", "Output shape"]
python_maximum_signature_line_length = 80


def rst_of_markdown(lines: list[str]) -> list[str]:
    """A docstring, which has Markdown's code and links, in Sphinx' markup.

    Args:
        lines: The docstring as it is.
    """
    text = "\n".join(
        # Bars mean absolute values; indented blocks may be literal.
        line if line.startswith((" ", ">")) else _escape_bars(line)
        for line in lines
    )
    text = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", text)
    text = re.sub(r"\[([^\]]+)\]\((https?://[^)\s]+)\)", r"`\1 <\2>`__", text)
    return text.split("\n")


def _escape_bars(line: str) -> str:
    parts = line.split("`")
    parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
    return "`".join(parts)


def process_docstring(
    app: sphinx.application.Sphinx,
    what: str,
    name: str,
    thing: object,
    options: object,
    lines: list[str],
) -> None:
    """Is called for each docstring."""
    lines[:] = rst_of_markdown(lines)


def process_signature(
    app: sphinx.application.Sphinx,
    what: str,
    name: str,
    thing: object,
    options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Gives a Keras class the arguments of its constructor.

    Keras' classes have a `__new__` that takes anything.
    """
    if what == "class" and issubclass(thing, (Layer, Optimizer)):
        arguments = inspect.signature(thing.__init__, bound_method=True)
        signature = inspect.stringify_signature(
            arguments.replace(return_annotation=arguments.empty),
            unqualified_typehints=True,
        )
    return signature, returns


def without_folder_links(
    app: sphinx.application.Sphinx, page: str, content: list[str]
) -> None:
    """Leaves only the text of a link to a folder, which has no page."""
    folder = (ROOT / page).parent

    def text(link: re.Match[str]) -> str:
        return link[1] if (folder / link[2]).is_dir() else link[0]

    content[0] = re.sub(r"\[([^\]]+)\]\(([^)#:]+)\)", text, content[0])


def setup(app: sphinx.application.Sphinx) -> None:
    """Connects the above, the docstrings before Napoleon reads them."""
    app.connect("autodoc-process-docstring", process_docstring, priority=400)
    app.connect("autodoc-process-signature", process_signature)
    app.connect("source-read", without_folder_links)
