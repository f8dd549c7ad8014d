# SPDX-License-Identifier: Apache-2.0
"""What is in a `.tflite` file, as one HTML page without outside resources.

The page is a tree of elements until it is written, so no name from a file can
become markup.
"""

import math
from collections.abc import Sequence
from xml.etree import ElementTree

from .files import MARK
from .inspection import Bin, Contents, OpRow, Weights
from .op_schema import CUSTOM_CODES

_MAX_NAME = 120
_MAX_LABELS = 9

# No script and no request, even if a browser found a reason for one.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1c2024; --soft: #5a636e; --line: #d9dee3; --page: #fff;
  --weight: #2f6fb3; --offset: #c2701c; --other: #7b5ea7; --rest: #a3abb4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e9ec; --soft: #a2abb5; --line: #3a4149; --page: #15181b;
    --weight: #6ba6e6; --offset: #e29a52; --other: #ab93d6; --rest: #6d7680;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 76rem; padding: 1.5rem 1rem 3rem;
  background: var(--page); color: var(--ink);
  font: 0.95rem/1.45 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1 { font-size: 1.5rem; margin: 0 0 0.25rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; }
p { margin: 0.25rem 0 0.75rem; }
.soft { color: var(--soft); font-size: 0.85em; }
table { border-collapse: collapse; width: 100%; }
th, td {
  border-bottom: 1px solid var(--line); padding: 0.45rem 0.6rem;
  text-align: left; vertical-align: top;
}
thead th { color: var(--soft); font-size: 0.85em; vertical-align: bottom; }
thead th, .runtimes th { overflow-wrap: normal; }
.name { font-weight: 400; }
.number { text-align: right; font-variant-numeric: tabular-nums;
  overflow-wrap: normal; }
tbody th { font-weight: 600; }
tfoot td, tfoot th { border-bottom: 0; border-top: 2px solid var(--line);
  font-weight: 600; }
svg { display: block; max-width: 100%; }
.histogram { width: 11rem; height: 3.6rem; }
.histogram text { fill: var(--soft); font-size: 9px; }
.histogram rect { fill: var(--weight); }
.memory { width: 100%; height: 1.75rem; }
.memory .weight, .key.weight { fill: var(--weight);
  background: var(--weight); }
.memory .offset, .key.offset { fill: var(--offset);
  background: var(--offset); }
.memory .other, .key.other { fill: var(--other); background: var(--other); }
.memory .rest, .key.rest { fill: var(--rest); background: var(--rest); }
.key { display: inline-block; width: 0.8em; height: 0.8em;
  margin-right: 0.5em; }
.narrow { width: auto; }
@media screen and (min-width: 60rem) { .ops tbody th { min-width: 13rem; } }
@media screen and (max-width: 60rem) {
  .ops thead { display: none; }
  .ops, .ops tbody, .ops tfoot, .ops tr, .ops th, .ops td {
    display: block; width: 100%; }
  .ops tr { border-bottom: 1px solid var(--line); padding: 0.6rem 0; }
  .ops th, .ops td { border: 0; padding: 0.1rem 0; text-align: left; }
  .ops td:empty, .ops td[data-label="#"] { display: none; }
  .ops td[data-label]::before { content: attr(data-label) ": ";
    color: var(--soft); }
}
@media print {
  :root {
    --ink: #000; --soft: #444; --line: #bbb; --page: #fff;
    --weight: #2f6fb3; --offset: #c2701c; --other: #7b5ea7; --rest: #a3abb4;
  }
  body { font-size: 8pt; max-width: none; padding: 0; }
  th, td { padding: 0.2rem 0.3rem; }
  .histogram { width: 8rem; }
  tr, svg { break-inside: avoid; }
  h2 { break-after: avoid; }
  svg, .key { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

_HEAD = (
    "#",
    "operator",
    "shapes",
    "bits",
    "weight bytes",
    "zero",
    "weights",
    "thresholds, bias",
    "MACs",
)


def html_report(contents: Contents, title: str) -> str:
    """A page on a file.

    Args:
        contents: What `inspection.contents` gave.
        title: What the page calls the file, its name for example.

    Returns:
        The page. The same file and title give the same text.
    """
    page = ElementTree.Element("html", lang="en")
    head = _add(page, "head")
    _add(head, "meta", charset="utf-8")
    _add(
        head,
        "meta",
        {"http-equiv": "Content-Security-Policy", "content": _POLICY},
    )
    _add(
        head, "meta", name="viewport", content="width=device-width, "
        "initial-scale=1",
    )  # fmt: skip
    _add(head, "title", text=_short(title))
    _add(head, "style", text=_STYLE)
    body = _add(page, "body")
    _add(body, "h1", text=_short(title))
    _add_totals(body, contents)
    _add_memory(body, contents)
    _add_runtimes(body, contents)
    _add_ops(body, contents.rows)
    markup = ElementTree.tostring(page, encoding="unicode", method="html")
    return f"<!doctype html><!-- {MARK}. -->\n{markup}\n"


def _add(
    parent: ElementTree.Element,
    tag: str,
    attributes: dict[str, str] | None = None,
    *,
    text: str = "",
    **others: str,
) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, tag, attributes or {}, **others)
    child.text = text
    return child


def _add_totals(body: ElementTree.Element, contents: Contents) -> None:
    rows = contents.rows
    weights = [row.weights for row in rows if row.weights is not None]
    parts = [
        f"{contents.file_bytes:,} bytes",
        f"{len(rows):,} operators",
        f"{sum(row.macs for row in rows):,} multiply-accumulates",
    ]
    if weights:
        count = sum(one.count for one in weights)
        zeros = sum(one.zeros for one in weights)
        parts.append(f"{count:,} weights, {zeros / count:.1%} of them zero")
    _add(body, "p", text=", ".join(parts) + ".")
    if contents.description:
        line = f"The file says of itself: {_short(contents.description)}"
        _add(body, "p", {"class": "soft"}, text=line)


def _add_memory(body: ElementTree.Element, contents: Contents) -> None:
    parts = [
        ("weight", "weights", contents.weight_bytes),
        ("offset", "thresholds and biases", contents.offset_bytes),
        ("other", "other constants", contents.other_bytes),
        ("rest", "names, shapes, options, padding", contents.rest_bytes),
    ]
    _add(body, "h2", text="Where the bytes go")
    bar = _svg(body, "memory", "Bytes of the file by kind", 1000, 20)
    bar.set("preserveAspectRatio", "none")
    at = 0.0
    for kind, name, size in parts:
        width = 1000 * size / contents.file_bytes
        _bar(bar, at, 0, width, 20, f"{name}: {size:,}").set("class", kind)
        at += width
    table = _add(body, "table", {"class": "memory-table narrow"})
    rows = _add(table, "tbody")
    for kind, name, size in parts:
        row = _add(rows, "tr")
        cell = _add(row, "th", scope="row")
        _add(cell, "span", {"class": f"key {kind}"}).tail = name
        _add(row, "td", {"class": "number"}, text=f"{size:,}\xa0bytes")
        share = f"{size / contents.file_bytes:.1%}"
        _add(row, "td", {"class": "number"}, text=share)
    row = _add(_add(table, "tfoot"), "tr")
    _add(row, "th", text="file", scope="row")
    _add(
        row, "td", {"class": "number"}, text=f"{contents.file_bytes:,}\xa0bytes"
    )
    _add(row, "td")
    _add(
        body, "p", {"class": "soft"},
        text="What several operators share counts once here.",
    )  # fmt: skip


def _add_runtimes(body: ElementTree.Element, contents: Contents) -> None:
    _add(body, "h2", text="What runs it")
    table = _add(body, "table", {"class": "runtimes"})
    head = _add(_add(table, "thead"), "tr")
    for name in ("runtime", "needs"):
        _add(head, "th", text=name, scope="col")
    rows = _add(table, "tbody")
    for name, needs in _runtimes(contents):
        row = _add(rows, "tr")
        _add(row, "th", text=name, scope="row")
        _add(row, "td", text=needs)


def _runtimes(contents: Contents) -> list[tuple[str, str]]:
    """The runtimes and what each of them needs."""
    ops = dict.fromkeys((row.op, row.is_custom) for row in contents.rows)
    builtin = [op for op, is_custom in ops if not is_custom]
    custom = [op for op, is_custom in ops if is_custom and op in CUSTOM_CODES]
    foreign = [
        op for op, is_custom in ops if is_custom and op not in CUSTOM_CODES
    ]
    needed = ""
    if foreign:
        needed = f"The custom ops {', '.join(map(_short, foreign))}, which "
        needed += "are not of this library. "
    host = micro = needed
    if contents.runtime:
        host += f"TensorFlow {contents.runtime} or newer. "
    if custom:
        host += "The delegate: gxnor_tf.export.load_delegate()."
        micro += f"gxnor_ops.h for {', '.join(custom)}: "
        micro += "gxnor::AddGxnorOps(resolver). "
    if builtin:
        micro += f"In the resolver, where TFLM has them: {', '.join(builtin)}."
    edge = (
        f"Cannot run it: {', '.join(map(_short, custom + foreign))}. Export "
        'with ops="builtin".'
        if custom + foreign
        else "Its compiler, which maps int8 ops only and says which."
    )
    return [
        ("LiteRT, TensorFlow Lite", host.strip() or "Nothing else."),
        ("TensorFlow Lite Micro", micro.strip() or "Nothing else."),
        ("Edge TPU", edge),
    ]


def _add_ops(body: ElementTree.Element, rows: Sequence[OpRow]) -> None:
    _add(body, "h2", text="Operators")
    table = _add(body, "table", {"class": "ops"})
    head = _add(_add(table, "thead"), "tr")
    for name in _HEAD:
        _add(head, "th", text=name, scope="col")
    lines = _add(table, "tbody")
    for number, row in enumerate(rows, start=1):
        _add_op(_add(lines, "tr"), number, row)
    foot = _add(_add(table, "tfoot"), "tr")
    total_bytes = sum(row.weight_bytes for row in rows)
    offset_bytes = sum(row.offset_bytes for row in rows)
    macs = sum(row.macs for row in rows)
    for label, text in zip(
        _HEAD,
        ("", "total", "", "", f"{total_bytes:,}", "", "",
         f"{offset_bytes:,}\xa0bytes", f"{macs:,}"),
        strict=True,
    ):  # fmt: skip
        cell = _cell(foot, label, text)
        if text == "total":
            del cell.attrib["data-label"]
    notes = (
        "MACs: multiply-accumulates of one sample, zeros and all. Shapes are "
        "those of one sample. Constants that operators share count at each."
    )
    if any(row.op in CUSTOM_CODES for row in rows):
        notes += (
            " Shapes of packed activations are in words: two for 32 channels."
        )
    _add(body, "p", {"class": "soft"}, text=notes)


def _add_op(line: ElementTree.Element, number: int, row: OpRow) -> None:
    _cell(line, "#", str(number))
    cell = _add(line, "th", text=_short(row.op), scope="row")
    _add(cell, "div", {"class": "soft name"}, text=_short(row.name))
    shapes = f"{_shape(row.input_shape)} → {_shape(row.output_shape)}"
    _cell(line, "shapes", shapes)
    weights = row.weights
    _cell(line, "bits", "" if weights is None else str(weights.bits))
    size = f"{row.weight_bytes:,}" if row.weight_bytes else ""
    _cell(line, "weight bytes", size)
    zero = "" if row.zero_share is None else f"{row.zero_share:.1%}"
    _cell(line, "zero", zero)
    cell = _cell(line, "weights", "")
    if weights is not None:
        _add_histogram(cell, weights)
    text = ""
    if row.offsets is not None:
        text = _range(row.offsets.low, row.offsets.high)
    cell = _cell(line, "thresholds, bias", text)
    if row.offset_bytes:
        note = f"{row.offset_bytes:,}\xa0bytes"
        if row.offsets is not None:
            note = f"{row.offsets.count:,} values, {note}"
        _add(cell, "div", {"class": "soft"}, text=note)
    _cell(line, "MACs", f"{row.macs:,}" if row.macs else "")


def _cell(
    line: ElementTree.Element, label: str, text: str
) -> ElementTree.Element:
    attributes = {"data-label": label}
    if label in ("#", "bits", "weight bytes", "zero", "MACs"):
        attributes["class"] = "number"
    return _add(line, "td", attributes, text=text)


def _add_histogram(cell: ElementTree.Element, weights: Weights) -> None:
    width, height, base = 160, 44, 34
    bins = weights.bins
    label = f"{weights.count:,} weights: " + "; ".join(map(_bin_text, bins))
    picture = _svg(cell, "histogram", label, width, height)
    if not bins:
        return
    step = width / len(bins)
    top = max(one.count for one in bins)
    for index, one in enumerate(bins):
        # What occurs at all is seen.
        size = max((base - 2) * one.count / top, 1 if one.count else 0)
        gap = min(step / 8, 4)
        _bar(
            picture, index * step + gap, base - size, step - 2 * gap, size,
            _bin_text(one),
        )  # fmt: skip
    if all(one.low == one.high for one in bins) and len(bins) <= _MAX_LABELS:
        for index, one in enumerate(bins):
            _label(picture, (index + 0.5) * step, "middle", one.low)
    else:
        _label(picture, 0, "start", bins[0].low)
        _label(picture, width, "end", bins[-1].high)
    if len(bins) <= 3:
        counts = ", ".join(map(_bin_text, bins))
        _add(cell, "div", {"class": "soft"}, text=counts)


def _bin_text(one: Bin) -> str:
    return f"{_range(one.low, one.high)}:\xa0{one.count:,}"


def _svg(
    parent: ElementTree.Element, kind: str, label: str, width: int, height: int
) -> ElementTree.Element:
    attributes = {
        "class": kind,
        "viewBox": f"0 0 {width} {height}",
        "role": "img",
        "aria-label": label,
    }
    return _add(parent, "svg", attributes)


def _bar(
    picture: ElementTree.Element,
    x: float,
    y: float,
    width: float,
    height: float,
    title: str,
) -> ElementTree.Element:
    places = {"x": x, "y": y, "width": width, "height": height}
    bar = _add(picture, "rect", {k: f"{v:.2f}" for k, v in places.items()})
    _add(bar, "title", text=title)
    return bar


def _label(
    picture: ElementTree.Element, x: float, anchor: str, value: float
) -> None:
    _add(
        picture, "text", {"x": f"{x:.1f}", "y": "43", "text-anchor": anchor},
        text=_number(value),
    )  # fmt: skip


def _range(low: float, high: float) -> str:
    if low == high:
        return _number(low)
    return f"{_number(low)} … {_number(high)}"


def _number(value: float) -> str:
    if isinstance(value, int) or math.isfinite(value) and value == int(value):
        return f"{int(value):,}".replace("-", "\u2212")
    return f"{value:.4g}".replace("-", "\u2212")


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "scalar"


def _short(name: str) -> str:
    """A name of readable length; the middle of a longer one is left out."""
    if len(name) <= _MAX_NAME:
        return name
    half = _MAX_NAME // 2
    return f"{name[:half]} … {name[-half:]}"
