"""What a drawing is made of: shapes with their places. Lengths are pixels, `x` and `y` of the top left corner."""

from __future__ import annotations

from flowlang.records import frozen
from flowlang.views.graph.chart import Group, Lane, Node
from flowlang.views.graph.glyphs import width, wrap

LINE = 17.0  # from one line of text to the next
TITLE, TEXT, SMALL = 13.5, 12.0, 11.0  # font sizes


@frozen
class Words:
    """A text in lines, and its height. `whole` is what they say without being cut."""

    lines: tuple[str, ...]
    whole: str
    width: float

    @property
    def height(self) -> float:
        return LINE * len(self.lines)


def words(text: str, most: float, size: float, *, mono: bool = False, lines: int = 2) -> Words:
    found = wrap(text, most, size, lines=lines, mono=mono) if text else []
    return Words(tuple(found), text, max((width(each, size, mono=mono) for each in found), default=0.0))


@frozen
class Card:
    """A node. `title` and `rows` are its texts, `guard` stands above them, `foot` below."""

    node: Node
    x: float
    y: float
    width: float
    height: float
    look: CardWords


@frozen
class CardWords:
    guard: Words
    title: Words
    rows: tuple[Words, ...]
    notes: Words
    badge: float  # width of the badge, 0 for none


@frozen
class Frame:
    """A group, or a lane that has a frame of its own (`lane`)."""

    group: Group | None
    lane: Lane | None
    x: float
    y: float
    width: float
    height: float
    head: HeadWords


@frozen
class HeadWords:
    title: str
    verb: str  # beside a title that is an id
    label: Words
    guard: Words
    notes: Words
    badge: float
    width: float
    height: float


@frozen
class Line:
    """A line through `points`, with an arrow at its end. `how`: `flow`, `error` (dashed) or `back` (of a loop)."""

    points: tuple[tuple[float, float], ...]
    how: str = "flow"
    arrow: bool = True


@frozen
class Bar:
    """Where branches that run side by side begin and end."""

    x: float
    y: float
    width: float


@frozen
class Label:
    """Words on a line, around the point."""

    x: float
    y: float
    words: Words
    error: bool = False


@frozen
class Dot:
    """Where the line through a group begins."""

    x: float
    y: float


Shape = Card | Frame | Line | Bar | Label | Dot


@frozen
class Drawing:
    width: float
    height: float
    shapes: tuple[Shape, ...]
