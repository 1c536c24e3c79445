"""The task of `examples/yearbook`: a chapter as text."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

import flowlang


class Chapter(TypedDict):
    """`text`: the chapter, with its heading."""

    text: str


@flowlang.task(effect="none")
def chapter_text(heading: str, rows: list[dict[str, Any]], style: Literal["markdown", "plain"] = "markdown") -> Chapter:
    """Write a list of awards, a paragraph for each year.

    Args:
        heading: what stands above it
        rows: objects with `year`, `prize`, `laureate`, `age` and `birthplace`, in the order of the years
        style: how headings and names are marked
    """
    mark, rule = ("## ", "**{}**") if style == "markdown" else ("", "{}")
    years: dict[int, list[str]] = {}
    for row in rows:
        person = f"{rule.format(row['laureate'])} ({row['prize']}, {row['age']}, born in {row['birthplace']})"
        years.setdefault(row["year"], []).append(person)
    paragraphs = [f"{year}: {'; '.join(people)}." for year, people in years.items()]
    return {"text": "\n\n".join([f"{mark}{heading}", *paragraphs])}
