"""Where everything stands: the measured boxes placed from the outside in, and the lines between them.

Lanes that begin together share one line across, so that no line ever has to cross another. Everything is visited once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flowlang.views.graph.chart import Chart, Group, Handled, Lane, Node
from flowlang.views.graph.measure import FORK, GAP, LANE_GAP, LOOPS, PAD, Box, lane_box, sequence
from flowlang.views.graph.shapes import Bar, Card, CardWords, Dot, Drawing, Frame, HeadWords, Label, Line, Shape

Place = tuple[float, float, Box]
"""`(x, y, box)`, from the corner of the box around it."""
Points = tuple[tuple[float, float], ...]


def layout(chart: Chart) -> Drawing:
    """The drawing of a chart, its top left corner at 0, 0. What cleans up stands in a row below the way through."""
    main, cleanups = _column(chart.main), [lane_box(each, framed=True) for each in chart.cleanups]
    row = sum(each.width + LANE_GAP for each in cleanups) - LANE_GAP if cleanups else 0.0
    across = max(main.width, row)
    shapes = [*_drawn(main, (across - main.width) / 2, 0.0)]
    x, y = (across - row) / 2, main.height + (GAP * 1.5 if cleanups else 0.0)
    for each in cleanups:
        shapes += _drawn(each, x, y)
        x += each.width + LANE_GAP
    return Drawing(across, y + max((each.height for each in cleanups), default=0.0), tuple(shapes))


def _column(lane: Lane) -> Box:
    across, height, axis, inside = sequence(lane.parts)
    return Box(None, across, height, axis, inside)


def _drawn(box: Box, x: float, y: float) -> Iterator[Shape]:
    what = box.what
    if isinstance(what, Node):
        assert isinstance(box.look, CardWords)
        yield Card(what, x, y, box.width, box.height, box.look)
        return
    if isinstance(what, Group):
        assert isinstance(box.look, HeadWords)
        yield Frame(what, None, x, y, box.width, box.height, box.look)
        yield from _group_lines(what, box, x, y)
    elif isinstance(what, Handled):
        yield from _handled_lines(box, x, y)
    else:
        if what is not None and isinstance(box.look, HeadWords):
            yield Frame(None, what, x, y, box.width, box.height, box.look)
        yield from _sequence_lines(box, x, y)
    for dx, dy, each in box.inside:
        yield from _drawn(each, x + dx, y + dy)


def _sequence_lines(box: Box, x: float, y: float) -> Iterator[Shape]:
    axis = x + box.axis
    for (_, above, one), (_, below, _) in zip(box.inside, box.inside[1:], strict=False):
        if not one.ends:
            yield Line(((axis, y + above + one.height), (axis, y + below)))


def _group_lines(group: Group, box: Box, x: float, y: float) -> Iterator[Shape]:
    assert isinstance(box.look, HeadWords)
    lanes = box.inside[: len(group.lanes)]
    axis, top = x + box.axis, y + box.look.height
    bottom = y + lanes[0][1] + max(each.height for _, _, each in lanes) + (PAD if len(lanes) == 1 else FORK)
    last = bottom if group.after else y + box.height
    yield Dot(axis, top)
    if group.kind == "try":
        yield from _try_lines(lanes, axis, x, y, top, last)
    elif len(lanes) == 1:
        yield from _single_lines(group, lanes[0], x, y, box.width, top, last)
    else:
        yield from _branch_lines(group, lanes, axis, x, y, top, last)
    for at, (_, dy, lane) in enumerate(box.inside[len(group.lanes) :]):
        end = y + box.height if at == len(group.after) - 1 else y + dy + lane.height + PAD
        if not lane.ends:
            yield Line(((axis, y + dy + lane.height), (axis, end)), arrow=False)


def _entered(box: Box, x: float, y: float) -> tuple[float, float]:
    """Where the line into a lane ends: at its first step, or at its end when it has none."""
    return x + box.axis, y + (box.inside[0][1] if box.inside else box.height)


def _single_lines(
    group: Group, place: Place, x: float, y: float, across: float, top: float, last: float
) -> Iterator[Shape]:
    dx, dy, lane = place
    axis, first = _entered(lane, x + dx, y + dy)
    yield Line(((axis, top), (axis, first)))
    end = y + dy + lane.height
    if not lane.ends:
        yield Line(((axis, end), (axis, last)), arrow=False)
    if group.kind in LOOPS and not lane.ends:
        side = x + across - PAD / 2 - 4
        turn = end + PAD / 2
        yield Line(((axis, turn), (side, turn), (side, top), (axis + 5, top)), "back")


def _branch_lines(
    group: Group, lanes: Sequence[Place], axis: float, x: float, y: float, top: float, last: float
) -> Iterator[Shape]:
    """From the header to each lane, and from each lane to the end."""
    fork, join = top + FORK / 2, last - FORK / 2
    centres = [x + dx + lane.axis for dx, _, lane in lanes]
    parallel = group.kind == "parallel"
    if parallel:
        for at in (fork, join):
            yield Bar(centres[0] - 34, at, centres[-1] - centres[0] + 68)
        yield Line(((axis, top), (axis, fork)), arrow=False)
    for centre, (dx, dy, lane) in zip(centres, lanes, strict=True):
        _, first = _entered(lane, x + dx, y + dy)
        into: Points = () if parallel else ((axis, top), (axis, fork))
        out: Points = () if parallel else ((axis, join), (axis, last))
        if not lane.inside:
            yield Line((*into, (centre, fork), (centre, join), *out), arrow=False)
        else:
            yield Line((*into, (centre, fork), (centre, first)))
        if lane.label is not None and lane.label.lines:
            yield Label(centre, y + dy + 10 + lane.label.height / 2, lane.label)
        if lane.inside and not lane.ends:
            yield Line(((centre, y + dy + lane.height), (centre, join), *out), arrow=False)
    if parallel and not all(lane.ends for _, _, lane in lanes):
        yield Line(((axis, join), (axis, last)), arrow=False)


def _try_lines(lanes: Sequence[Place], axis: float, x: float, y: float, top: float, last: float) -> Iterator[Shape]:
    """Into the tried steps; from their side, dashed, to each handler; and from all of them on."""
    (dx, dy, body), *handlers = lanes
    yield Line(((axis, top), (axis, y + dy)))
    join = last - FORK / 2
    if not body.ends:
        yield Line(((axis, y + dy + body.height), (axis, last)), arrow=False)
    fork = top + FORK / 2
    side = x + dx + body.width
    for hx, hy, lane in handlers:
        centre, first = _entered(lane, x + hx, y + hy)
        start = y + dy + 17
        yield Line(((side, start), (side + 14, start), (side + 14, fork), (centre, fork), (centre, first)), "error")
        if lane.label is not None and lane.label.lines:
            yield Label(centre, y + hy + 10 + lane.label.height / 2, lane.label, error=True)
        if not lane.ends:
            end = y + hy + lane.height
            yield Line(((centre, end), (centre, join), (axis, join), (axis, last)), "error", arrow=False)


def _handled_lines(box: Box, x: float, y: float) -> Iterator[Shape]:
    """From the side of a step, dashed, to what handles its failure, and back to the line behind the step."""
    (_, _, main), (dx, _, lane) = box.inside
    at = y + min(20.0, main.height / 2)
    if not main.ends:
        yield Line(((x + main.axis, y + main.height), (x + main.axis, y + box.height)), arrow=False)
    yield Line(((x + main.width, at), (x + dx, at)), "error")
    if not lane.ends:
        centre, end, low = x + dx + lane.axis, y + lane.height, y + box.height - 6
        yield Line(((centre, end), (centre, low), (x + main.axis, low)), "error", arrow=False)
