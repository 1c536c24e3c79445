"""`flowlang explain`: every name that FlowLang uses in a message has a page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import SOURCES, Done

from flowlang.cli.explain import codes
from flowlang.exceptions import ERROR_CLASSES
from flowlang.expressions import FUNCTIONS
from flowlang.tasks.files import FILE_TASKS
from flowlang.views.verbs import VERBS

Call = Callable[..., Done]


def test_every_finding_of_the_source_has_a_page(cli: Call) -> None:
    """Whichever module registers it, `explain` knows it."""
    registered = set()
    for path in (SOURCES / "flowlang").rglob("*.py"):
        registered |= set(re.findall(r"\bcode\(\s*\"([a-z0-9-]+)\"", path.read_text("utf-8")))
    assert registered
    assert registered <= set(codes())
    for name in registered:
        done = cli("explain", name)
        assert done.code == 0
        assert done.out.startswith(f"{name}: finding of the check\n\n")


@pytest.mark.parametrize("name", [*FUNCTIONS, *ERROR_CLASSES, *VERBS, *FILE_TASKS, "sqlite_query"])
def test_every_function_class_verb_and_task_has_a_page(cli: Call, name: str) -> None:
    done = cli("explain", name)
    assert (done.code, done.err) == (0, "")
    assert name in done.out.splitlines()[0]


def test_a_function_shows_its_example(cli: Call) -> None:
    out = cli("explain", "round").out
    assert FUNCTIONS["round"].example in out
    assert f"→ {FUNCTIONS['round'].result}" in out


def test_an_unknown_name_is_corrected(cli: Call) -> None:
    done = cli("explain", "unknwon-key")
    assert done.code == 2
    assert "did you mean `unknown-key`?" in done.err
    assert "flowlang connection info sqlite" in cli("explain", "sqlite").err


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("cache", "`cache` is a key of a step: Use again "),
        ("concurrency", "`concurrency` is a key of a flow: How many "),
        ("max_failures", "`max_failures` is a key of `for_each`: see `flowlang explain for_each`"),
    ],
)
def test_a_key_is_no_mistaken_name_of_something_else(cli: Call, key: str, said: str) -> None:
    done = cli("explain", key)
    assert (done.code, done.err.startswith(f"error: {said}")) == (2, True), done.err


def test_a_flow_is_shown_with_its_defaults(cli: Call, folder: Path) -> None:
    (folder / "flow.yaml").write_text(
        'flow: f\nconnections: {db: {type: sqlite, database: ":memory:", lazy: true}}\n'
        "defaults: {timeout: 9s}\nsteps:\n  - sqlite_query: {id: q, query: SELECT 1, retry: 2}\n"
    )
    out = cli("explain", "flow.yaml").out
    for line in (
        "    pool_size: 4 # default",
        "    lazy: true",
        "    connect_timeout: 30s # default",
        "    connection: db # default: the only one that fits",
        "    timeout: 9s # from `defaults`",
        "      max_attempts: 2",
        "      delay: 1s # default",
        "    # outputs: all (rows, count)",
    ):
        assert line in out.splitlines(), out
    (folder / "explicit.yaml").write_text(out)
    assert cli("check", "--strict", "explicit.yaml").code == 0
    assert cli("fmt", "--check", "explicit.yaml").code == 0
    (folder / "bad.yaml").write_text("flow: f\n")
    assert cli("explain", "bad.yaml").code == 2
