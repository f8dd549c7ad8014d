# SPDX-License-Identifier: Apache-2.0
"""The C text of a model: its header and its source."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ..files import MARK
from ..names import free_name
from ..program import Affine, Program, SimpleOp
from . import kernels
from .arena import ALIGNMENT
from .calls import INPUT, OUTPUT, Call, Calls
from .layout import Layout

_PARAMS = {
    "gxnor_conv2d": "gxnor_conv2d_params",
    "gxnor_depthwise_conv2d": "gxnor_conv2d_params",
    "gxnor_max_pool2d": "gxnor_max_pool2d_params",
    "gxnor_unpack": "gxnor_pack_params",
}

# Kernels that take a buffer.
_BUFFERED = ("gxnor_conv2d_t2", "gxnor_conv2d_s8")


class ModelText:
    """Writes a model as C.

    Args:
        name: Begins every public name: a C identifier.
        program: What the model computes.
        calls: The same as calls of kernels.
        layout: Where its values lie.
    """

    def __init__(
        self, name: str, program: Program, calls: Calls, layout: Layout
    ) -> None:
        self.name = name
        self.upper = name.upper()
        self.program = program
        self.calls = calls
        self.layout = layout
        self._constants = _unique_names(call.layer for call in calls.calls)

    @property
    def result(self) -> str:
        """The name of the output."""
        return "states" if self.calls.gives_states else "logits"

    @property
    def result_type(self) -> str:
        """The type of the output's elements."""
        return "int8_t" if self.calls.gives_states else "int32_t"

    @property
    def has_scores(self) -> bool:
        """Whether there is a function that makes floats of the output."""
        return bool(self.calls.tail) or not self.calls.gives_states

    # The header.

    def header(self) -> str:
        """The text of the `.h`."""
        name, upper, program = self.name, self.upper, self.program
        scores = f"""
{self._scores_comment()}
{self._scores_declaration()};
"""
        return f"""\
/* {MARK}; the next export replaces this file.
 *
 * A network with ternary weights on packed ternary activations, integer
 * throughout. It allocates nothing and keeps no state: it may run in any
 * thread or interrupt that has an arena of its own. */
#ifndef {upper}_H_
#define {upper}_H_

#include <stddef.h>
#include <stdint.h>

#if defined(__cplusplus)
extern "C" {{
#endif

/* Elements of the input, {_shape(program.input.shape)}, channels last. */
#define {upper}_INPUTS {_elements(program.input.shape)}

/* Elements of the output, {_shape(program.output.shape)}. */
#define {upper}_OUTPUTS {self.calls.outputs}

/* Bytes of the arena, and what its address must be a multiple of. */
#define {upper}_ARENA_BYTES {self.layout.arena_bytes}
#define {upper}_ARENA_ALIGNMENT {ALIGNMENT}
extern const size_t {name}_arena_bytes;

/* Checks an arena; call it once before the first invocation.
 *
 * Returns: 0; -1 if the arena is NULL or not aligned; -2 if it is smaller than
 *          {upper}_ARENA_BYTES. */
int {name}_init(void* arena, size_t arena_bytes);

/* Computes the output for one input.
 *
{_comment_lines("in", self._input_comment())}
{_comment_lines(self.result, self._output_comment())}
{_comment_lines("arena", "one that init accepts; its content does not matter")}
 *
 * Returns: 0; -1 if a pointer is NULL or the arena is not aligned. */
{self._invoke_declaration()};
{scores if self.has_scores else ""}
#if defined(__cplusplus)
}}
#endif

#endif /* {upper}_H_ */
"""

    def _input_comment(self) -> str:
        unit = self.program.input.unit or 1.0
        factor = _short(1 / unit)
        image = " (image: pixel - 128)" if unit == 1 / 128 else ""
        return (
            f"{self.upper}_INPUTS numbers, x * {factor} for the x of Keras"
            f"{image}"
        )

    def _output_comment(self) -> str:
        if not self.calls.gives_states:
            return f"{self.upper}_OUTPUTS sums of the last layer, exact"
        end = self.calls.tail[0].inputs[0] if self.calls.tail else None
        unit = (end or self.program.output).unit or 1.0
        return (
            f"{self.upper}_OUTPUTS states -1, 0 and +1 of the last "
            f"activation, whose values are state * {_short(unit)}"
        )

    def _scores_comment(self) -> str:
        return (
            "/* Computes the output of the Keras model from that of the "
            "invocation, bit for\n * bit: the float32 steps behind the last "
            f"discrete layer. The largest of the\n * {self.upper}_OUTPUTS "
            "scores is the most likely class of a classifier. */"
        )

    def _scores_declaration(self) -> str:
        return (
            f"void {self.name}_scores(const {self.result_type}* {self.result}, "
            "float* scores)"
        )

    def _invoke_declaration(self) -> str:
        return (
            f"int {self.name}_invoke(const int8_t* in, {self.result_type}* "
            f"{self.result}, void* arena)"
        )

    # The source.

    def source(self) -> str:
        """The text of the `.c`."""
        invoke = self._invoke_text()
        parts = [
            f"/* {MARK}; the next export replaces this file. */\n"
            f'#include "{self.name}.h"\n',
            "".join(
                f'#include "{header}"\n'
                for header in sorted(
                    set(map(kernels.header_of, self.functions))
                )
            ),
            _ALIGNED,
            f"const size_t {self.name}_arena_bytes = "
            f"{self.upper}_ARENA_BYTES;\n",
            *self._constant_parts(),
            *(text for call, text in _HELPERS.items() if call in invoke),
            self._init_text(),
            invoke,
        ]
        if self.has_scores:
            parts.append(self._scores_text())
        return "\n".join(parts)

    @property
    def functions(self) -> set[str]:
        """The kernels that the model calls."""
        return {call.kernel for call in self.calls.calls if not call.places}

    def _constant_parts(self) -> Iterator[str]:
        for call, name in zip(self.calls.calls, self._constants, strict=True):
            text = f"/* {_plain(call.layer)} */\n"
            for constant in call.constants:
                ctype = "int32_t" if constant.signed else "uint32_t"
                words = constant.words.ravel()
                text += (
                    f"static const {ctype} {name}{constant.role.title()}"
                    f"[{words.size}] ALIGNED = {{\n"
                    f"{_array(words, constant.signed)}}};\n\n"
                )
            if call.params:
                fields = "".join(
                    f"    .{field} = {value},\n"
                    for field, value in call.params.items()
                )
                text += (
                    f"static const {_params_type(call.kernel)} {name}Params = "
                    f"{{\n{fields}}};\n"
                )
                yield text

    def _init_text(self) -> str:
        upper = self.upper
        return f"""\
static int is_misplaced(const void* arena) {{
  return arena == NULL || (uintptr_t)arena % {upper}_ARENA_ALIGNMENT != 0;
}}

int {self.name}_init(void* arena, size_t arena_bytes) {{
  if (is_misplaced(arena)) return GXNOR_ERR_ARG;
  return arena_bytes < {upper}_ARENA_BYTES ? GXNOR_ERR_SHAPE : GXNOR_OK;
}}
"""

    def _invoke_text(self) -> str:
        body = "".join(
            f"\n  /* {_plain(call.layer)} */\n{self._call_text(step, call)}"
            for step, call in enumerate(self.calls.calls)
        )
        words = "  uint32_t* const words = arena;\n"
        return (
            f"{self._invoke_declaration()} {{\n"
            f"{words if self.layout.arena.offsets else ''}"
            "  int status;\n"
            f"  if (in == NULL || {self.result} == NULL || "
            "is_misplaced(arena)) {\n    return GXNOR_ERR_ARG;\n  }\n"
            f"{body}  return GXNOR_OK;\n}}\n"
        )

    def _call_text(self, step: int, call: Call) -> str:
        if call.places:
            return self._place_text(call)
        name = self._constants[step]
        arguments = [f"&{name}Params", self._value(call.inputs[0])]
        arguments += [
            f"{name}{constant.role.title()}" for constant in call.constants
        ]
        if call.kernel.startswith(_BUFFERED):
            size = self.layout.scratch[step]
            arguments.append(self._words(step) if size else "NULL")
            arguments.append(str(size))
        arguments.append(self._value(call.output))
        return (
            _wrapped(f"  status = {call.kernel}(", arguments)
            + "  if (status != GXNOR_OK) return status;\n"
        )

    def _place_text(self, call: Call) -> str:
        held = self.calls.held[call.output]
        text = _wrapped("  clear(", [str(held.words), self._value(call.output)])
        offset = self.layout.arena.offsets[call.output] // ALIGNMENT
        for source, place in zip(call.inputs, call.places, strict=True):
            text += _wrapped(
                "  place(",
                [
                    self._value(source),
                    str(place.height),
                    str(place.width),
                    str(place.words),
                    str(place.column_step),
                    str(place.row_step),
                    str(place.shift),
                    _words(offset + place.first),
                ],
            )
        return text

    def _value(self, name: str) -> str:
        if name == INPUT:
            return "in"
        return self.result if name == OUTPUT else self._words(name)

    def _words(self, key: str | int) -> str:
        return _words(self.layout.arena.offsets[key] // ALIGNMENT)

    # The tail.

    def _scores_text(self) -> str:
        constants, steps = "", ""
        for number, op in enumerate(self.calls.tail):
            if op.affine is not None and not _is_uniform(op.affine):
                operand = op.affine.operand
                constants += (
                    f"static const float kTail{number}[{operand.size}] = {{\n"
                    f"{_float_array(operand)}}};\n\n"
                )
            steps += _step_text(op, f"kTail{number}")
        return f"""\
{constants}\
{self._scores_declaration()} {{
  for (size_t i = 0; i < {self.upper}_OUTPUTS; ++i) {{
    /* volatile: every step is rounded to float32, as Keras does, and no
     * compiler makes one of a multiplication and an addition. */
    volatile float x = (float){self.result}[i];
{steps}\
    scores[i] = x;
  }}
}}
"""


def _step_text(op: SimpleOp, name: str) -> str:
    if op.kind == "relu":
        return "    x = x < 0.0f ? 0.0f : x;\n"
    if op.kind == "dequantize":
        return f"    x = x * {_float(op.inputs[0].unit or 1.0)};\n"
    if op.affine is None:
        return ""  # A reshape leaves everything where it is.
    operator = {"multiply": "*", "add": "+", "divide": "/"}[op.affine.kind]
    operand = op.affine.operand
    factor = f"{name}[i % {operand.size}]"
    if _is_uniform(op.affine):
        factor = _float(operand[0])
    return f"    x = x {operator} {factor};\n"


_ALIGNED = """\
/* Kernels load a record of weights at once. */
#if defined(__GNUC__)
#define ALIGNED __attribute__((aligned(8)))
#else
#define ALIGNED
#endif
"""

_HELPERS = {
    "  clear(": """\
/* Sets words to states 0. */
static void clear(size_t count, uint32_t* words) {
  for (size_t i = 0; i < count; ++i) words[i] = 0;
}
""",
    "  place(": """\
/* Copies the positions of an image into a larger one that was cleared, their
 * channels `shift` bits further. */
static void place(const uint32_t* from, size_t height, size_t width,
                  size_t words, size_t column_step, size_t row_step,
                  uint32_t shift, uint32_t* to) {
  for (size_t y = 0; y < height; ++y) {
    for (size_t x = 0; x < width; ++x) {
      uint32_t* const position = to + y * row_step + x * column_step;
      for (size_t i = 0; i < words; ++i) {
        const uint32_t bits = *from++;
        /* The rest goes to the same plane of the next group, if there is one:
         * there are no bits beyond the last channel. */
        const uint32_t rest = shift == 0 ? 0 : bits >> (32 - shift);
        position[i] |= bits << shift;
        if (rest != 0) position[i + 2] |= rest;
      }
    }
  }
}
""",
}


def _words(offset: int) -> str:
    return f"words + {offset}" if offset else "words"


def _is_uniform(affine: Affine) -> bool:
    return bool((affine.operand == affine.operand[0]).all())


def _unique_names(layers: Iterable[str]) -> list[str]:
    """Names of constants like those of the layers."""
    names: list[str] = []
    for layer in layers:
        parts = re.findall(r"[A-Za-z0-9]+", layer)
        stem = "k" + "".join(part[0].upper() + part[1:] for part in parts)
        names.append(free_name(stem, names, "_"))
    return names


def _plain(text: str) -> str:
    """A name that is safe in a comment."""
    return re.sub(r"[^A-Za-z0-9_./#-]", "_", text)


def _array(values: npt.NDArray[np.int32], signed: bool) -> str:
    """The lines of an initializer."""
    if signed:
        return _lines([str(value) for value in values.tolist()])
    return _lines([f"0x{word:08x}" for word in values.view(np.uint32).tolist()])


def _float_array(values: npt.NDArray[np.float32]) -> str:
    return _lines([_float(value) for value in values])


def _float(value: np.float32 | float) -> str:
    """A literal that is this very float32."""
    digits, _, exponent = float(np.float32(value)).hex().partition("p")
    return f"{digits.rstrip('0').rstrip('.') or '0x0'}p{exponent}f"


def _lines(elements: Sequence[str], indent: str = "    ") -> str:
    """Elements and their commas in lines of 80 columns."""
    lines = [indent + elements[0]]
    for element in elements[1:]:
        lines[-1] += ","
        if len(lines[-1]) + 1 + len(element) < 80:
            lines[-1] += f" {element}"
        else:
            lines.append(indent + element)
    return "\n".join(lines) + "\n"


def _wrapped(begin: str, arguments: list[str]) -> str:
    """A statement that is a call, in lines of 80 columns."""
    arguments[-1] += ");"
    text = begin + ", ".join(arguments) + "\n"
    if len(text) <= 81:
        return text
    return f"{begin}\n{_lines(arguments, '      ')}"


def _comment_lines(name: str, text: str) -> str:
    return textwrap.fill(
        f"{name:<7} {text}",
        79,
        initial_indent=" * ",
        subsequent_indent=" *         ",
    )


def _params_type(kernel: str) -> str:
    return next(
        params
        for begin, params in _PARAMS.items()
        if kernel.startswith(f"{begin}_")
    )


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _elements(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape))


def _short(value: float) -> str:
    return f"{value:g}"
