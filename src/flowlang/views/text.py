"""What all views share: styles, tables, durations, and texts that cannot redraw a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from flowlang.diagnostics import visible

Paint = Callable[[str, str], str]
"""`(text, style) -> text`; the styles are the keys of `STYLES`."""

STYLES = {
    "error": "1;31",
    "warning": "1;33",
    "hint": "1;36",
    "good": "32",
    "bold": "1",
    "dim": "2",
    "frame": "34",
}


def plain(text: str, style: str) -> str:
    """The `Paint` of files and pipes."""
    return text


def coloured(text: str, style: str) -> str:
    """The `Paint` of terminals."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if text else text


def painter(colour: bool) -> Paint:
    return coloured if colour else plain


def seconds(value: float) -> str:
    """A duration as people say it: `340 µs`, `12 ms`, `3.4 s`, `2 min 5 s`, `1 h 3 min`."""
    if value < 0.001:
        return f"{max(value, 0) * 1e6:.0f} µs"
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def many(count: int, word: str, plural: str = "") -> str:
    """`1 error`, `2 errors`, `3 types have`."""
    return f"{count:,} {word if count == 1 else plural or word + 's'}"


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def display_width(text: str) -> int:
    """The columns that `text` takes: wide glyphs take two, combining ones none."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text)
    return len(text) + wide - sum(unicodedata.combining(each) != 0 for each in text)


def table(
    rows: Iterable[Sequence[str]],
    head: Sequence[str] = (),
    *,
    right: Iterable[int] = (),
    indent: str = "",
    paint: Paint = plain,
) -> list[str]:
    """Lines with aligned columns, two spaces between them; the columns in `right` end at their right edge."""
    body = [[visible(each) for each in row] for row in rows]
    everything = [list(head), *body] if head else body
    if not everything:
        return []
    widths = [max(map(display_width, column)) for column in zip(*everything)]
    ends = set(right)

    def line(row: Sequence[str]) -> str:
        cells = [
            " " * (width - display_width(cell)) + cell if at in ends else cell + " " * (width - display_width(cell))
            for at, (cell, width) in enumerate(zip(row, widths))
        ]
        return indent + "  ".join(cells).rstrip()

    lines = [line(row) for row in body]
    return [indent + paint(line(head)[len(indent) :], "bold"), *lines] if head else lines


def wrapped(text: str, width: int = 100, indent: str = "") -> list[str]:
    """`text` in lines of at most `width` characters; a paragraph ends at an empty line."""
    import textwrap

    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        words = visible(" ".join(paragraph.split()))
        lines += [*textwrap.wrap(words, width - len(indent)), ""]
    return [f"{indent}{line}".rstrip() for line in lines[:-1]]


def page(text: str) -> str:
    """A page of documentation as it was written, safe to show."""
    return "\n".join(visible(line) for line in text.strip("\n").splitlines())
