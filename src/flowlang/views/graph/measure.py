"""How large everything is: the parts of a chart, measured from the inside out, each once.

The steps of a flow are a tree of sequences and branches, so no general algorithm for graphs is needed: a sequence is
as wide as its widest part and hangs on one axis, and lanes stand side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flowlang.records import frozen
from flowlang.views.graph.chart import Group, Handled, Lane, Node, Part
from flowlang.views.graph.glyphs import width
from flowlang.views.graph.shapes import LINE, SMALL, TEXT, TITLE, CardWords, HeadWords, Words, words

GAP = 30.0  # between two steps
LANE_GAP = 26.0  # between two lanes
PAD = 20.0  # between a group and what is in it
FORK = 26.0  # from a group's header to its lanes, and from the lanes to its end
LOOP = 22.0  # room for the line that leads back
LOOPS = frozenset(("for_each", "while", "until"))
_NARROWEST, _WIDEST = 132.0, 264.0  # of a node
_LABEL_WIDEST = 232.0
_HEAD_WIDEST = 420.0
_STRAIGHT = 24.0  # a line that is off its axis by less is made straight
_NOTHING = Words((), "", 0.0)


@frozen
class Box:
    """A part, a lane or a row of lanes with its size. `inside` are the boxes in it, each with its place."""

    what: Node | Group | Handled | Lane | None
    width: float
    height: float
    axis: float
    inside: tuple[tuple[float, float, Box], ...] = ()
    look: CardWords | HeadWords | None = None
    label: Words | None = None
    ends: bool = False


def measured(part: Part) -> Box:
    if isinstance(part, Node):
        return _node(part)
    return _group(part) if isinstance(part, Group) else _handled(part)


def _node(node: Node) -> Box:
    most = _WIDEST - 32
    badge = width(node.badge.name, SMALL) + 34 if node.badge is not None else 0.0
    mono = node.kind in ("task", "subflow", "inputs", "outputs")
    rows = node.lines[:8] if node.kind in ("inputs", "outputs") else node.lines[:1]
    shown = [words(each, most, TEXT, mono=mono, lines=1 if len(node.lines) > 1 else 2) for each in rows]
    if len(node.lines) > len(rows):
        shown.append(words(f"… and {len(node.lines) - len(rows)} more", most, TEXT))
    look = CardWords(
        guard=words(f"if {node.guard}", most, SMALL, mono=True) if node.guard is not None else _NOTHING,
        title=words(node.title, most, TITLE * 1.08, lines=1),
        rows=tuple(shown),
        notes=words(" · ".join(node.notes), most, SMALL),
        badge=min(badge, most),
    )
    widest = max(look.guard.width, look.title.width, look.notes.width, look.badge, *(each.width for each in shown), 0.0)
    height = 22 + LINE + sum(each.height for each in shown) + look.notes.height + (25 if badge else 0)
    if node.guard is not None:
        height += look.guard.height + 9
    across = max(_NARROWEST, widest + 34)
    return Box(node, across, height, across / 2, look=look, ends=node.ends)


def sequence(parts: Sequence[Part]) -> tuple[float, float, float, tuple[tuple[float, float, Box], ...]]:
    """Width, height, axis and places of parts one below the other, on one axis."""
    boxes = [measured(each) for each in parts]
    axis = max((each.axis for each in boxes), default=0.0)
    right = max((each.width - each.axis for each in boxes), default=0.0)
    y, placed = 0.0, []
    for each in boxes:
        placed.append((axis - each.axis, y, each))
        y += each.height + GAP
    return axis + right, max(y - GAP, 0.0), axis, tuple(placed)


def lane_box(lane: Lane, *, framed: bool = False) -> Box:
    """A lane; framed, it has its label as a header, else as words on the line that leads into it."""
    across, height, axis, inside = sequence(lane.parts)
    if framed:
        head = _head(lane.label, "", _NOTHING, None, (), 0.0)
        left = PAD
        total = max(across + 2 * PAD, head.width)
        left = max(PAD, total / 2 - axis) if total > across + 2 * PAD else PAD
        moved = tuple((x + left, y + head.height + 4, each) for x, y, each in inside)
        return Box(lane, total, head.height + 4 + height + PAD, axis + left, moved, head, ends=lane.ends)
    label = words(lane.label, _LABEL_WIDEST, SMALL, mono=lane.how == "branch", lines=2)
    room = label.height + 34 if label.lines else 14.0
    half = label.width / 2 + 12
    left = max(axis, half if label.lines else 0.0, 12.0)
    right = max(across - axis, half if label.lines else 0.0, 12.0)
    moved = tuple((x + left - axis, y + room, each) for x, y, each in inside)
    return Box(lane, left + right, room + height, left, moved, label=label, ends=lane.ends)


def _head(title: str, verb: str, label: Words, guard: str | None, notes: Sequence[str], badge: float) -> HeadWords:
    asked = words(f"if {guard}", _HEAD_WIDEST, SMALL, mono=True) if guard is not None else _NOTHING
    more = words(" · ".join(notes), _HEAD_WIDEST, SMALL)
    first = (
        width(title, TITLE)
        + 12
        + (width(verb, TEXT) + 8 if verb else 0)
        + (label.width + 10)
        + (badge + 10 if badge else 0)
    )
    across = max(first, asked.width, more.width) + 30
    height = 34 + max(0.0, label.height - LINE) + asked.height + more.height
    return HeadWords(title, verb, label, asked, more, badge, across, height + (6 if asked.lines else 0))


def _group(group: Group) -> Box:
    verb = group.kind if group.title != group.kind else ""
    badge = width(group.badge.name, SMALL) + 34 if group.badge is not None else 0.0
    label = words(group.label, _HEAD_WIDEST - 40, TEXT, mono=True)
    head = _head(group.title, verb, label, group.guard, group.notes, badge)
    across, axis, lanes = _row(group)
    side = PAD + (LOOP if group.kind in LOOPS else 0)
    left, right = max(side, head.width / 2 - axis), max(side, head.width / 2 - (across - axis))
    single = len(lanes) == 1
    top = head.height + (8 if single else FORK)
    y = top + max(each.height for _, each in lanes) + (PAD if single else FORK)
    after = [lane_box(each, framed=True) for each in group.after]
    for box in after:
        left = max(left, box.axis + PAD - axis)
        right = max(right, box.width - box.axis + PAD - (across - axis))
    inside = [(left + x, top, each) for x, each in lanes]
    for box in after:
        inside.append((left + axis - box.axis, y, box))
        y += box.height + PAD
    return Box(group, left + across + right, y, left + axis, tuple(inside), head, ends=group.ends)


def _row(group: Group) -> tuple[float, float, list[tuple[float, Box]]]:
    """The lanes of a group side by side: their width, the axis of the group, and where each begins."""
    tried = group.kind == "try"
    lanes = [lane_box(each) for each in group.lanes]
    gap = LANE_GAP
    if tried:
        lanes[0] = lane_box(replace(group.lanes[0], label="try"), framed=True)
        gap += 14  # the line that leads from it into the handlers
    x, placed = 0.0, []
    for each in lanes:
        placed.append((x, each))
        x += each.width + gap
    centres = [at + each.axis for at, each in placed]
    axis = centres[0] if tried else (centres[0] + centres[-1]) / 2
    near = [each for each in centres if abs(each - axis) < _STRAIGHT]
    return x - gap, near[0] if near else axis, placed


def _handled(handled: Handled) -> Box:
    main, lane = measured(handled.part), lane_box(handled.lane, framed=True)
    gap = LANE_GAP + 22
    inside = ((0.0, 0.0, main), (main.width + gap, 0.0, lane))
    height = max(main.height, lane.height) + (0.0 if lane.ends else 18.0)
    return Box(handled, main.width + gap + lane.width, height, main.axis, inside, ends=main.ends and lane.ends)
