# SPDX-License-Identifier: Apache-2.0
"""A program to begin with, and how to build it."""

from collections.abc import Iterable

from ..files import MARK
from .model_text import ModelText

_KEEP = "The next export replaces it, unless it was changed."


def main_text(text: ModelText) -> str:
    """The text of `main.c`: reads one input, prints the output."""
    name, upper, result = text.name, text.upper, text.result
    memory = f"static {text.result_type} {result}[{upper}_OUTPUTS];"
    compute, line, values = "", "%ld", f"(long){result}[i]"
    if text.has_scores:
        memory += f"\nstatic float scores[{upper}_OUTPUTS];"
        compute = f"  {name}_scores({result}, scores);\n"
        line += " %.9g"
        values += ", (double)scores[i]"
    return f"""\
/* {MARK}. {_KEEP}
 *
 * Reads the {upper}_INPUTS bytes of an input from its standard input and
 * prints a line for each output. */
#include <stdio.h>

#include "{name}.h"

/* Words, for their alignment. */
static uint32_t arena[{upper}_ARENA_BYTES / sizeof(uint32_t)];

static int8_t in[{upper}_INPUTS];
{memory}

int main(void) {{
  int status = {name}_init(arena, sizeof arena);
  if (status != 0) {{
    fprintf(stderr, "{name}_init: %d\\n", status);
    return 1;
  }}
  if (fread(in, 1, sizeof in, stdin) != sizeof in) {{
    fprintf(stderr, "An input has %d bytes.\\n", (int)sizeof in);
    return 1;
  }}
  status = {name}_invoke(in, {result}, arena);
  if (status != 0) {{
    fprintf(stderr, "{name}_invoke: %d\\n", status);
    return 1;
  }}
{compute}\
  for (size_t i = 0; i < {upper}_OUTPUTS; ++i) {{
    printf("{line}\\n", {values});
  }}
  return 0;
}}
"""


def makefile_text(name: str, paths: Iterable[str]) -> str:
    """The text of the `Makefile`.

    Args:
        name: The model's.
        paths: The files of the kernels.
    """
    sources, headers = (
        " \\\n\t".join(path for path in paths if path.endswith(suffix))
        for suffix in (".c", ".h")
    )
    return f"""\
# {MARK}. {_KEEP}
#
# make               the example, for this computer
# make CC=... CFLAGS=... LDFLAGS=...   for another one
CFLAGS ?= -O2
# GNU's linker: -Wl,--gc-sections leaves out what the model does not call.
LDFLAGS ?=

SOURCES := main.c {name}.c \\
\t{sources}
HEADERS := {name}.h \\
\t{headers}

{name}_example: $(SOURCES) $(HEADERS)
\t$(CC) -std=c99 -Iinclude $(CFLAGS) -ffunction-sections -fdata-sections \\
\t\t$(SOURCES) $(LDFLAGS) -o $@

.PHONY: clean
clean:
\trm -f {name}_example
"""
