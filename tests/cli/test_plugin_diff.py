"""`flowlang plugin diff`: each kind of change asks for the version it should, and the version is held against it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Done

from flowlang.authoring.changes import Difference, differences
from flowlang.connections import plugin_registry
from flowlang.describing import described

PLUGIN = '''
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Literal, TypedDict

from flowlang.connections.typed import Ge, Pattern, Secret, TypedPlugin, task


@dataclass(frozen=True)
class Config:
    """Settings"""

    key: Annotated[Secret[str], "The key"]
    size: Annotated[int, "How many", Ge(1)] = 3
    mode: Annotated[Literal["fast", "safe"], "Which way"] = "fast"


class Found(TypedDict):
    stones: list[str]
    count: int


class PebblesPlugin(TypedPlugin[Config]):
    """A heap of pebbles"""

    name = "pebbles"
    version = "1.2.3"
    requires = ("granite>=1.0",)

    @asynccontextmanager
    async def open(self, config):
        yield []

    @task(effect="read")
    async def find(self, color: Annotated[str, "Of which colour"], limit: Annotated[int, "How many"] = 10) -> Found:
        """Find stones."""
        return {"stones": [], "count": 0}

    @task(effect="write", idempotent=True)
    async def throw(self, stone: Annotated[str, "Which"]) -> None:
        """Throw a stone."""
'''
# What is replaced in PLUGIN, by what → the change that is found: its level, its place, and words of its text.
CHANGES: list[tuple[str, str, str, str, str]] = [
    ('    size: Annotated[int, "How many", Ge(1)] = 3\n', "", "major", "config.size", "is gone"),
    ('"The key"]\n', '"The key"]\n    place: Annotated[str, "Where"]\n', "major", "config.place", "new, and required"),
    ("Ge(1)] = 3\n", 'Ge(1)] = 3\n    place: Annotated[str, "Where"] = ""\n', "minor", "config.place", "is new"),
    ("Ge(1)", "Ge(2)", "major", "config.size", "its minimum was 1 and is 2"),
    ("Ge(1)", "Ge(0)", "minor", "config.size", "its minimum was 1 and is 0"),
    (", Ge(1)", "", "minor", "config.size", "its minimum was 1 and is none"),
    ("Ge(1)] = 3", "Ge(1)] = 5", "major", "config.size", "its default was 3 and is 5"),
    ("[int, \"How many\", Ge(1)] = 3", "[int | None, \"How many\", Ge(1)] = 3", "minor", "config.size", "its type was"),
    ('Literal["fast", "safe"]', 'Literal["fast", "safe", "slow"]', "minor", "config.mode", "it took"),
    ('Literal["fast", "safe"]', 'Literal["fast"]', "major", "config.mode", "it took"),
    ('Secret[str], "The key"]', 'Secret[str], "The key", Pattern("^k")]', "major", "config.key", "its pattern was"),
    ('Secret[str], "The key"]', 'Secret[str], "The key"] = ""', "minor", "config.key", "it may be left out now"),
    ("async def throw", "async def hurl", "major", "pebbles_throw", "the task is gone"),
    ("async def throw", "async def hurl", "minor", "pebbles_hurl", "the task is new"),
    ("color: Annotated", "shade: Annotated", "major", "pebbles_find.color", "the parameter is gone"),
    ("color: Annotated", "shade: Annotated", "major", "pebbles_find.shade", "new, and required"),
    ('"How many"] = 10', '"How many"] = 10, deep: bool = False', "minor", "pebbles_find.deep", "the parameter is new"),
    ('"How many"] = 10', '"How many"] = 20', "major", "pebbles_find.limit", "its default was 10 and is 20"),
    ('[str, "Of which colour"]', '[int, "Of which colour"]', "major", "pebbles_find.color", "its type was string"),
    ("    count: int\n", "", "major", "pebbles_find → count", "the output is gone"),
    ("    count: int\n", "    count: int\n    more: bool\n", "minor", "pebbles_find → more", "the output is new"),
    ("    count: int\n", "    count: str\n", "major", "pebbles_find → count", "its type was integer and is string"),
    ('effect="read"', 'effect="write", idempotent=False', "major", "pebbles_find", "its effect was read and is write"),
    ("idempotent=True", "idempotent=False", "major", "pebbles_throw", "it is no longer idempotent"),
    ("granite>=1.0", "granite>=2.0", "minor", "granite>=2.0", "is needed now"),
    ("Find stones.", "Find some stones.", "patch", "pebbles", "descriptions have changed"),
]  # fmt: skip


def surface(text: str) -> list[dict[str, Any]]:
    """The plugin that `text` defines, as its users see it."""
    names: dict[str, Any] = {"__name__": "pebbles_of_a_test"}
    exec(compile(text, "pebbles", "exec", dont_inherit=True), names)
    with plugin_registry.registered(names["PebblesPlugin"]):
        record = described(plugin_registry.info("pebbles"))
    assert record["problem"] is None
    return [record]


@pytest.fixture(scope="session")  # the tests run in any order, between those of other modules
def old() -> list[dict[str, Any]]:
    return surface(PLUGIN)


def between(old: Sequence[dict[str, Any]], text: str) -> Difference:
    (found,) = differences(old, surface(text))
    return found


@pytest.mark.parametrize(("before", "after", "level", "where", "words"), CHANGES)
def test_each_change_has_its_level(
    old: list[dict[str, Any]], before: str, after: str, level: str, where: str, words: str
) -> None:
    assert before in PLUGIN
    found = between(old, PLUGIN.replace(before, after))
    assert [(each.level, each.where) for each in found.changes if words in each.text and each.where == where] == [
        (level, where)
    ], found.changes


def test_what_is_the_same_has_no_changes(old: list[dict[str, Any]]) -> None:
    found = between(old, PLUGIN)
    assert found.changes == ()
    assert found.enough
    assert found.required is None


@pytest.mark.parametrize(
    ("old_version", "new_version", "change", "enough"),
    [
        ("1.2.3", "2.0.0", ("async def throw", "async def hurl"), True),
        ("1.2.3", "1.3.0", ("async def throw", "async def hurl"), False),
        ("1.2.3", "1.3.0", ("Ge(1)", "Ge(0)"), True),
        ("1.2.3", "1.2.4", ("Ge(1)", "Ge(0)"), False),
        ("1.2.3", "1.2.4", ("Find stones.", "Find some."), True),
        ("1.2.3", "1.2.3", ("Find stones.", "Find some."), False),
        ("0.4.1", "0.5.0", ("async def throw", "async def hurl"), True),
        ("0.4.1", "0.4.2", ("async def throw", "async def hurl"), False),
    ],
)
def test_the_version_has_to_be_high_enough(
    old_version: str, new_version: str, change: tuple[str, str], enough: bool
) -> None:
    old = surface(PLUGIN.replace("1.2.3", old_version))
    assert between(old, PLUGIN.replace("1.2.3", new_version).replace(*change)).enough is enough


# ---------------------------------------------------------------- the command, over folders


PYPROJECT = """
[project]
name = "flowlang-pebbles"
version = "1.2.3"
[project.entry-points."flowlang.connections"]
pebbles = "pebbles:PebblesPlugin"
"""


def laid(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "pebbles.py").write_text(text)
    return folder


def test_two_folders_with_the_same_module_are_compared(cli: Callable[..., Done], folder: Path) -> None:
    laid(folder / "old", PLUGIN)
    laid(folder / "new", PLUGIN.replace("async def throw", "async def hurl"))
    done = cli("plugin", "diff", "old", "new")
    assert done.code == 1
    assert "major  pebbles_throw: the task is gone" in done.out
    assert "pebbles: 1.2.3 → 1.2.3 is too low for a major change: 2.0.0 or higher" in done.out
    told = json.loads(cli("plugin", "diff", "old", "new", "--json").out)
    assert told["enough"] is False
    assert told["plugins"][0]["least"] == "2.0.0"


def test_what_cannot_be_compared_is_refused(cli: Callable[..., Done], folder: Path) -> None:
    laid(folder / "old", PLUGIN)
    laid(folder / "new", "raise RuntimeError('no such stone')")
    done = cli("plugin", "diff", "old", "new")
    assert done.code == 2
    assert "no such stone" in done.err
    (folder / "empty").mkdir()
    done = cli("plugin", "diff", "old", "empty")
    assert done.code == 2
    assert "`empty` holds no plugin" in done.err
