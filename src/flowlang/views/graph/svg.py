"""A drawing as SVG: one file without scripts, fonts or links, light or dark as its reader's screen is.

Every text goes through `_text`, every attribute that is not a number of ours through `_attribute`.
"""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

from flowlang.views.graph.chart import Badge, Chart, Node
from flowlang.views.graph.glyphs import width
from flowlang.views.graph.layout import layout
from flowlang.views.graph.shapes import (
    LINE,
    SMALL,
    TEXT,
    TITLE,
    Bar,
    Card,
    Dot,
    Drawing,
    Frame,
    Label,
    Line,
    Words,
    words,
)
from flowlang.views.graph.style import HUES, KNOWN, ROOT, STYLE

MARGIN = 28.0
_HEAD = 64.0  # room for the name of the flow


def svg(chart: Chart) -> str:
    """The drawing of `chart`, a well-formed XML document that ends with a newline."""
    drawing = layout(chart)
    legend = _legend_width(chart.connections)
    across = max(drawing.width, width(chart.title, 20) * 1.1, legend, min(560.0, width(chart.description, TEXT)))
    total, down = across + 2 * MARGIN, drawing.height + 2 * MARGIN + _HEAD
    down += 26 if chart.connections else 0
    top = MARGIN + _HEAD + (26 if chart.connections else 0)
    left = MARGIN + (across - drawing.width) / 2
    mark = f"f{crc32(chart.title.encode('utf-8', 'replace')):08x}"  # several drawings may stand in one page
    summary = chart.description or f"The steps of the flow {chart.title}."
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total:.0f} {down:.0f}" width="{total:.0f}" '
            f'height="{down:.0f}" class="{ROOT[1:]}" role="img" aria-labelledby="{mark}-title {mark}-desc">',
            f'<title id="{mark}-title">Flow {_text(chart.title)}</title>',
            f'<desc id="{mark}-desc">{_text(summary)}</desc>',
            f"<style>{STYLE}</style>",
            f'<defs><marker id="{mark}-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto"><path d="M0.5 0.8 7.2 4 0.5 7.2Z" class="tip"/></marker>'
            f'<marker id="{mark}-bad" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto"><path d="M0.5 0.8 7.2 4 0.5 7.2Z" class="badtip"/></marker></defs>',
            f'<rect class="page" width="{total:.0f}" height="{down:.0f}"/>',
            *_heading(chart, across),
            f'<g transform="translate({left:.1f} {top:.1f})">',
            *_shapes(drawing, mark),
            "</g>",
            "</svg>\n",
        ]
    )


def _heading(chart: Chart, across: float) -> Iterator[str]:
    yield f'<text class="name" x="{MARGIN:.0f}" y="{MARGIN + 18:.0f}">{_text(chart.title)}</text>'
    if chart.description:
        yield from _lines_of(chart.description, MARGIN, MARGIN + 40, across)
    x, y = MARGIN, MARGIN + _HEAD - 6
    for each in chart.connections:
        yield from _badge(each, x, y, f"{each.name} · {each.type}")
        x += width(f"{each.name} · {each.type}", SMALL) + 44


def _lines_of(text: str, x: float, y: float, most: float) -> Iterator[str]:
    for line in words(text, most, TEXT, lines=1).lines:
        yield f'<text class="soft" x="{x:.0f}" y="{y:.0f}">{_text(line)}<title>{_text(text)}</title></text>'


def _legend_width(connections: tuple[Badge, ...]) -> float:
    return sum(width(f"{each.name} · {each.type}", SMALL) + 44 for each in connections)


# ---------------------------------------------------------------- shapes


def _shapes(drawing: Drawing, mark: str) -> Iterator[str]:
    """Frames below, then lines, then cards and words on top of them."""
    order: dict[type, int] = {Frame: 0, Line: 1, Bar: 1, Dot: 1, Label: 2, Card: 3}
    for each in sorted(drawing.shapes, key=lambda each: order[type(each)]):
        if isinstance(each, Frame):
            yield from _frame(each)
        elif isinstance(each, Line):
            yield _line(each, mark)
        elif isinstance(each, Bar):
            y = each.y - 2
            yield f'<rect class="bar" x="{each.x:.1f}" y="{y:.1f}" width="{each.width:.1f}" height="4" rx="2"/>'
        elif isinstance(each, Dot):
            yield f'<circle class="bar" cx="{each.x:.1f}" cy="{each.y:.1f}" r="3"/>'
        elif isinstance(each, Label):
            yield from _label(each)
        else:
            yield from _card(each)


def _card(card: Card) -> Iterator[str]:
    node, look, x, y = card.node, card.look, card.x, card.y
    kind = node.kind if node.kind in _KINDS else "task"
    place = f" data-place={_attribute(node.place)}" if node.place else ""
    yield f'<g class="card {kind}{_hue(node.badge)}" data-key={_attribute(node.key)}{place}>'
    yield f"<title>{_text(_told(node))}</title>"
    radius = 18 if node.kind in ("inputs", "outputs", "exit") else 7
    box = f'x="{x:.1f}" y="{y:.1f}" width="{card.width:.1f}" height="{card.height:.1f}" rx="{radius}"'
    yield f'<rect class="box" {box}/>'
    if node.kind == "subflow":
        inner = f'x="{x + 3:.1f}" y="{y + 3:.1f}" width="{card.width - 6:.1f}" height="{card.height - 6:.1f}" rx="5"'
        yield f'<rect class="inner" {inner}/>'
    if radius == 7:
        yield f'<path class="edge" d="M{x + 7:.1f} {y:.1f}h-1a6 6 0 0 0-6 6v{card.height - 12:.1f}a6 6 0 0 0 6 6h1z"/>'
    at = y + 11
    if look.guard.lines:
        yield from _rows(look.guard, x + 17, at, "code ask")
        at += look.guard.height
        yield f'<path class="rule" d="M{x + 17:.1f} {at + 4:.1f}h{card.width - 32:.1f}"/>'
        at += 9
    yield from _rows(look.title, x + 17, at, "title")
    at += LINE
    for row in look.rows:
        yield from _rows(row, x + 17, at, "code soft" if kind in _CODE else "soft")
        at += row.height
    yield from _rows(look.notes, x + 17, at, "note")
    at += look.notes.height
    if node.badge is not None:
        yield from _badge(node.badge, x + 16, at + 4, node.badge.name)
    yield "</g>"


def _told(node: Node) -> str:
    """All that a card says, uncut."""
    guard = f"if {node.guard}\n" if node.guard is not None else ""
    badge = f"\non {node.badge.name} ({node.badge.type})" if node.badge is not None else ""
    notes = f"\n{' · '.join(node.notes)}" if node.notes else ""
    detail = f"\n{node.detail}" if node.detail and node.detail != node.title else ""
    return f"{guard}{node.title}{detail}{badge}{notes}" + (f"\n{node.place}" if node.place else "")


def _frame(frame: Frame) -> Iterator[str]:
    look, x, y, group, lane = frame.head, frame.x, frame.y, frame.group, frame.lane
    kind = group.kind if group is not None else ("lane bad" if lane is not None and lane.how == "error" else "lane")
    key = group.key if group is not None else lane.key if lane is not None else ""
    hue = _hue(group.badge) if group is not None else ""
    yield f'<g class="frame {kind}{hue}" data-key={_attribute(key)}>'
    whole = [
        f"{look.title} {look.verb}".rstrip(),
        look.label.whole,
        f"if {group.guard}" if group is not None and group.guard else "",
    ]
    whole.append(group.place if group is not None else "")
    yield f"<title>{_text(chr(10).join(filter(None, whole)))}</title>"
    yield f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{frame.width:.1f}" height="{frame.height:.1f}" rx="11"/>'
    at, across = y + 9, x + 15
    yield from _rows(look.guard, across, at, "code ask")
    at += look.guard.height + (4 if look.guard.lines else 0)
    if look.title:
        yield f'<text class="verb" x="{across:.1f}" y="{at + 12:.1f}">{_text(look.title)}</text>'
        across += width(look.title, TITLE) + 8
    if look.verb:
        yield f'<text class="soft" x="{across:.1f}" y="{at + 12:.1f}">{_text(look.verb)}</text>'
        across += width(look.verb, TEXT) + 8
    if group is None:
        yield from _rows(look.label, across, at, "verb")
    else:
        yield from _rows(look.label, across, at, "code soft")
        across += look.label.width + (10 if look.label.lines else 0)
        if group.badge is not None:
            yield from _badge(group.badge, across, at - 1, group.badge.name)
        yield from _rows(look.notes, x + 15, at + max(LINE, look.label.height), "note")
    yield "</g>"


def _badge(badge: Badge, x: float, y: float, text: str) -> Iterator[str]:
    across = width(text, SMALL) + 26
    yield f'<g class="badge{_hue(badge)}"><title>{_text(f"{badge.name}: {badge.type}")}</title>'
    yield f'<rect x="{x:.1f}" y="{y:.1f}" width="{across:.1f}" height="18" rx="9"/>'
    yield f'<circle cx="{x + 10:.1f}" cy="{y + 9:.1f}" r="3.5"/>'
    yield f'<text class="small" x="{x + 18:.1f}" y="{y + 12.9:.1f}">{_text(text)}</text></g>'


def _line(line: Line, mark: str) -> str:
    tip = f' marker-end="url(#{mark}-{"bad" if line.how == "error" else "tip"})"'
    return f'<path class="line {line.how}" d="{_rounded(line.points)}"{tip if line.arrow else ""}/>'


def _rounded(points: tuple[tuple[float, float], ...]) -> str:
    """A path through `points` whose corners are round."""
    kept = [points[0]]
    for each in points[1:]:
        if each != kept[-1]:
            kept.append(each)
    path = f"M{kept[0][0]:.1f} {kept[0][1]:.1f}"
    for before, here, after in zip(kept, kept[1:], kept[2:], strict=False):
        path += f"L{_towards(here, before)}Q{here[0]:.1f} {here[1]:.1f} {_towards(here, after)}"
    return path + f"L{kept[-1][0]:.1f} {kept[-1][1]:.1f}"


def _towards(here: tuple[float, float], there: tuple[float, float]) -> str:
    """The point a corner's radius from `here` on the way to `there`."""
    dx, dy = there[0] - here[0], there[1] - here[1]
    length = abs(dx) + abs(dy)
    step = min(8.0, length / 2) / length
    return f"{here[0] + dx * step:.1f} {here[1] + dy * step:.1f}"


def _label(label: Label) -> Iterator[str]:
    said = label.words
    across, high = said.width + 16, said.height + 5
    x, y = label.x - across / 2, label.y - high / 2
    yield f'<g class="label{" bad" if label.error else ""}"><title>{_text(said.whole)}</title>'
    yield f'<rect x="{x:.1f}" y="{y:.1f}" width="{across:.1f}" height="{high:.1f}" rx="8"/>'
    for at, line in enumerate(said.lines):
        baseline = y + 14.6 + at * LINE
        yield f'<text class="code small middle" x="{label.x:.1f}" y="{baseline:.1f}">{_text(line)}</text>'
    yield "</g>"


def _rows(said: Words, x: float, y: float, style: str) -> Iterator[str]:
    for at, line in enumerate(said.lines):
        yield f'<text class="{style}" x="{x:.1f}" y="{y + 12.5 + at * LINE:.1f}">{_text(line)}</text>'


def _hue(badge: Badge | None) -> str:
    if badge is None:
        return ""
    at = KNOWN.index(badge.type) if badge.type in KNOWN else crc32(badge.type.encode("utf-8", "replace")) % len(HUES)
    return f" hue{at}"


# ---------------------------------------------------------------- texts


def _text(text: str) -> str:
    """`text` as XML content: what XML has no place for is not there."""
    kept = "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in text)
    return kept.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _attribute(text: str) -> str:
    return '"' + _text(text).replace('"', "&quot;").replace("\n", " ").replace("\t", " ") + '"'


_KINDS = frozenset("task set log wait subflow raise exit inputs outputs".split())
_CODE = frozenset(("task", "subflow", "inputs", "outputs"))
