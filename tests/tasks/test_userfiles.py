"""Users' own task files: read without running them, and imported."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from flowlang.exceptions import PluginError
from flowlang.tasks.signature import spec_of
from flowlang.tasks.spec import REQUIRED
from flowlang.tasks.userfiles import load_tasks, read_tasks

FULL = '''
from __future__ import annotations

import datetime
import datetime as dt
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict, Union
from uuid import UUID

import flowlang.tasks.decorator as fl
from flowlang.tasks.decorator import task
from flowlang.tasks.decorator import task as t
from flowlang.tasks.stream import Stream
from flowlang.tasks.values import Ident, Secret, Sql, UrlPath


class Base(TypedDict):
    """What all have."""

    id: int


class Result(Base, total=False):
    """A result."""

    when: datetime.datetime
    parts: NotRequired[list[Base]]
    kind: Literal["a", "b"]


@task
def plain(a: str, b: int, c: float, d: bool, e: bytes, f: Any, g, h: object):
    """Plain hints.

    Args:
        a: the first,
            on two lines
        b (int): the second
    """


@task(name="renamed", effect="none", idempotent=True)
async def containers(
    a: list[int],
    b: dict[str, int],
    c: Sequence[Mapping[str, str]],
    d: tuple[int, ...],
    e: typing.List[str],
    f: "list[dt.datetime]",
    *,
    g: Result,
    h: list,
) -> Result:
    """Containers.

    Returns:
        id: a number
        kind: one of two
    """


@t(effect="read")
def optional(
    a: int | None = None,
    b: Optional[str] = None,
    c: Union[int, str, None] = 5,
    d: Literal["x", "y"] = "x",
    e: Literal["x", None] = None,
    f: Decimal = Decimal("1.5"),
    g: date | None = None,
    h: int = None,
    i: list[int] = [1, 2],
    j: int = -5,
) -> None:
    pass


@fl.task()
def special(
    query: Sql, name: Ident, text: str | Sql, password: Secret[str], rows: Stream, key: Secret[str] | None = None,
    about: Annotated[int, "words"] = 1, uuid: UUID | None = None, length: timedelta = timedelta(1),
    path: UrlPath = "/", other: UrlPath | None = None,
    connection=None, context=None, **more,
) -> dict[str, Any]:
    pass


@task(stream="items")
async def stream(n: int, source: AsyncIterator[list[int]] | None = None) -> AsyncGenerator[list[Base], None]:
    """A stream."""
    yield []


def not_a_task(x: int) -> int:
    return x
'''

INERT = """
raise SystemExit("this file was run")
from flowlang import task

@task
def one(x: int): ...
"""


def read(source: str) -> tuple[list[str], list[str]]:
    tasks, problems = read_tasks(source, "tasks.py")
    return [each.name for each in tasks], problems


def test_reading_says_what_importing_says(tmp_path: Path) -> None:
    """The check and the run agree on every parameter and output of a file with every kind of hint."""
    path = tmp_path / "full.py"
    path.write_text(FULL)
    tasks, problems = read_tasks(FULL, "full.py")
    functions = load_tasks(path)
    assert problems == []
    assert [each.name for each in tasks] == list(functions) == ["plain", "renamed", "optional", "special", "stream"]
    for task in tasks:
        imported = spec_of(functions[task.name], name=task.name, origin="full.py")
        for one, other in zip(task.parameters, imported.parameters, strict=True):
            same = {"default": None} if repr(one.default) in ("Decimal('1.5')", "timedelta(1)") else {}
            if one.name == "about":
                same["description"] = ""
            assert dataclasses.replace(one, **same) == dataclasses.replace(other, **same), (task.name, one.name)
        assert dataclasses.replace(task, parameters=()) == dataclasses.replace(imported, parameters=())


def test_reading_runs_nothing() -> None:
    """Not even the first line."""
    tasks, problems = read_tasks(INERT, "tasks.py")
    assert [each.name for each in tasks] == ["one"]
    assert problems == []
    assert tasks[0].parameters[0].default is REQUIRED


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import flowlang\n@flowlang.task\ndef a(): ...", ["a"]),
        ("import flowlang as fl\n@fl.task(effect='none')\ndef a(): ...", ["a"]),
        ("from flowlang import task as step\n@step\nasync def a(): ...", ["a"]),
        ("import flowlang.tasks.decorator\n@flowlang.tasks.decorator.task\ndef a(): ...", ["a"]),
        ("from celery import task\n@task\ndef a(): ...", []),
        ("def task(f): return f\n@task\ndef a(): ...", []),
        ("from flowlang import task\n@other\n@task(name='b')\n@another(1)\ndef a(): ...", ["b"]),
        ("from flowlang import task\nif True:\n  @task\n  def a(): ...\nelse:\n  @task\n  def b(): ...", ["a", "b"]),
        ("try:\n  from flowlang import task\nexcept ImportError: ...\n@task\ndef a(): ...", ["a"]),
        ("from flowlang import task\ndef outer():\n  @task\n  def a(): ...", []),
        ("\ufefffrom flowlang import task\n@task\ndef a(): ...", ["a"]),
    ],
)
def test_tasks_are_known_by_where_their_decorator_comes_from(source: str, names: list[str]) -> None:
    """However it was imported; never by its name alone."""
    assert read(source.removeprefix("\ufeff")) == (names, [])


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def a(:", "tasks.py:1: "),
        ("x = '\0'", "tasks.py"),
        ("(" * 10_000, "tasks.py"),
        ("-" * 100_000 + "1", "tasks.py"),
        ("x" * 2_000_000, "larger than 1024 KiB"),
        ("from flowlang import task\n\n@task\ndef a(x, /): ...", "tasks.py:4: `a` takes `x` by position"),
        (
            "from flowlang import task\n@task(effects='read')\ndef a(): ...",
            "tasks.py:2: `@task` has no option `effects`",
        ),
        ("from flowlang import task\n@task(effect='reads')\ndef a(): ...", "tasks.py:2: `effect` of `@task` cannot be"),
        ("from flowlang import task\n@task(name=x)\ndef a(): ...", "tasks.py:2: `name` of `@task` must be a literal"),
        ("from flowlang import task\n@task\ndef a(): ...\n@task\ndef a(): ...", "two tasks `a`"),
        ("from flowlang import task\nclass C:\n  @task\n  def a(self): ...", "`a` is a method of `C`"),
    ],
    ids=range(11),
)
def test_problems_are_located(source: str, problem: str) -> None:
    """And nothing is raised."""
    _, problems = read(source)
    assert len(problems) == 1
    assert problem in problems[0]


def test_a_recursive_typed_dict_ends() -> None:
    """A class whose fields are of its own type."""
    source = (
        "from typing import TypedDict\nfrom flowlang import task\n"
        "class Node(TypedDict):\n  value: int\n  children: 'list[Node]'\n@task\ndef a() -> Node: ..."
    )
    tasks, problems = read_tasks(source, "tasks.py")
    assert problems == []
    assert tasks[0].outputs is not None
    assert set(tasks[0].outputs) == {"value", "children"}


def test_a_file_can_be_read_by_its_path(tmp_path: Path) -> None:
    """Missing ones and other encodings are problems."""
    (tmp_path / "a.py").write_text(INERT, encoding="utf-8-sig")
    assert [each.name for each in read_tasks(tmp_path / "a.py", "a.py")[0]] == ["one"]
    assert "cannot be read" in read_tasks(tmp_path / "b.py", "b.py")[1][0]
    (tmp_path / "c.py").write_bytes(b"x = '\xff'")
    assert "UTF-8" in read_tasks(tmp_path / "c.py", "c.py")[1][0]


TASK = "from flowlang.tasks.decorator import task\n"


def test_files_of_one_name_are_modules_of_their_own(tmp_path: Path) -> None:
    """And Python's own search path is left as it was."""
    before = list(sys.path)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "tasks.py").write_text(f"{TASK}@task\ndef which(): return {folder!r}\n")
    one, two = (load_tasks(tmp_path / folder / "tasks.py")["which"] for folder in ("one", "two"))
    assert (one(), two()) == ("one", "two")
    assert sys.path == before
    assert "tasks" not in sys.modules


def test_an_unchanged_file_is_run_once(tmp_path: Path) -> None:
    """Two tasks of one file share its state; a changed file is run again."""
    path = tmp_path / "counted.py"
    path.write_text(f"{TASK}seen = []\n@task\ndef a(): return seen\n")
    assert load_tasks(path)["a"]() is load_tasks(str(path))["a"]()
    path.write_text(f"{TASK}@task\ndef b(): return 'changed'\n")
    assert list(load_tasks(path)) == ["b"]


def test_neighbours_can_be_imported(tmp_path: Path) -> None:
    """A plain module in the same folder, and relative imports inside a package."""
    (tmp_path / "flowlang_test_neighbour.py").write_text("VALUE = 41\n")
    (tmp_path / "mine.py").write_text(
        f"{TASK}from flowlang_test_neighbour import VALUE\n@task\ndef a(): return VALUE\n"
    )
    assert load_tasks(tmp_path / "mine.py")["a"]() == 41
    package = tmp_path / "flowlang_test_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "values.py").write_text("VALUE = 42\n")
    (package / "steps.py").write_text(f"{TASK}from .values import VALUE\n@task\ndef a(): return VALUE\n")
    assert load_tasks(package / "steps.py")["a"]() == 42


def test_tasks_imported_from_elsewhere_are_not_listed_twice(tmp_path: Path) -> None:
    """The file that defines them names them."""
    (tmp_path / "flowlang_test_other.py").write_text(f"{TASK}@task\ndef theirs(): ...\n")
    (tmp_path / "mine.py").write_text(f"{TASK}from flowlang_test_other import theirs\n@task\ndef mine(): ...\n")
    assert list(load_tasks(tmp_path / "mine.py")) == ["mine"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\n1 / 0\n", r"bad\.py:2: cannot be imported: ZeroDivisionError"),
        ("def a(:\n", r"bad\.py:1: cannot be imported: SyntaxError"),
        ("import no_such_module_at_all\n", r"bad\.py:1: .*no_such_module_at_all"),
        ("raise SystemExit(3)\n", r"bad\.py:1: cannot be imported: SystemExit"),
        (f"{TASK}@task\ndef a(): ...\n@task(name='a')\ndef b(): ...\n", "two tasks `a`"),
    ],
)
def test_a_file_that_cannot_be_imported_is_located(tmp_path: Path, source: str, message: str) -> None:
    """And leaves nothing behind: mended, it loads."""
    path = tmp_path / "bad.py"
    path.write_text(source)
    before = list(sys.path)
    with pytest.raises(PluginError, match=message):
        load_tasks(path)
    assert sys.path == before
    path.write_text(f"{TASK}@task\ndef good(): ...\n# and longer\n")
    assert list(load_tasks(path)) == ["good"]


def test_a_missing_file_is_said_plainly(tmp_path: Path) -> None:
    """As an error of its own kind."""
    with pytest.raises(PluginError, match="cannot be read"):
        load_tasks(tmp_path / "none.py")
