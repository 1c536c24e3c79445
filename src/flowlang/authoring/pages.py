"""The page of a plugin in Markdown, from what its code says: settings, tasks, example."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flowlang.views.reference import connection_page, task_page

NOTE = "<!-- Written by `flowlang plugin docs`; change the texts in the code and run it again. -->"


def page(record: Mapping[str, Any]) -> str:
    """The page of one type; each task is a section of it. `record` is that of `authoring.apart.described`."""
    return "\n\n".join((NOTE, *_paragraphs(record))) + "\n"


def _paragraphs(record: Mapping[str, Any]) -> Iterator[str]:
    yield from connection_page(record, record["example"], task_link="#{}")
    for task in record["tasks"]:
        for each in task_page(task, connection_link="#{}"):
            yield re.sub(r"\A#(?=#* )", "##", each)


def place(folder: Path, name: str) -> Path:
    """Where the page of a type stands in its package."""
    return folder / "docs" / f"{name}-reference.md"
