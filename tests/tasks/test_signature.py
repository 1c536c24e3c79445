"""The specification of a task, read from its signature, hints and docstring."""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Dict, List, Literal, NewType, NotRequired, Optional, TypedDict, Union  # noqa: UP035

import pytest
import tenacity

from flowlang.exceptions import PluginError
from flowlang.tasks.decorator import task
from flowlang.tasks.signature import is_async, spec_of, type_of_hint
from flowlang.tasks.spec import TaskSpec
from flowlang.tasks.stream import Stream
from flowlang.tasks.values import Ident, Secret, Sql, UrlPath

if TYPE_CHECKING:
    from somewhere import Unknowable  # type: ignore[import-not-found]


class Row(TypedDict):
    id: int
    name: NotRequired[str]


class Partial(TypedDict, total=False):
    row: Row
    rows: list[Row]


class Level(enum.StrEnum):
    LOW = "low"
    HIGH = "high"


class Plain(enum.Enum):
    ONE = 1


UserId = NewType("UserId", int)


def spec(function: Callable[..., Any], **more: Any) -> TaskSpec:
    return spec_of(function, name="a_task", **more)


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (str, "string"),
        (int, "integer"),
        (float, "number"),
        (bool, "boolean"),
        (None, "null"),
        (bytes, "bytes"),
        (decimal.Decimal, "decimal"),
        (datetime.datetime, "timestamp"),
        (datetime.date, "date"),
        (datetime.time, "time"),
        (datetime.timedelta, "duration"),
        (uuid.UUID, "uuid"),
        (list, "array"),
        (list[int], "array of integer"),
        (List[Dict[str, Any]], "array of object"),  # noqa: UP006
        (Sequence[str], "array of string"),
        (tuple[int, ...], "array of integer"),
        (Iterable[Any], "array"),
        (dict[str, int], "object"),
        (Mapping[str, Any], "object"),
        (Row, "object"),
        (Optional[int], "integer or null"),  # noqa: UP045
        (int | None, "integer or null"),
        (Union[int, float], "number"),  # noqa: UP007
        (int | str, "integer or string"),
        (Literal["a", "b"], "string"),
        (Literal[1, 2, None], "integer or null"),
        (Level, "string"),
        (Plain, "any"),
        (UserId, "integer"),
        (Annotated[int, "how many"], "integer"),
        (Secret[str], "string"),
        (Sql, "sql"),
        (Sql | str, "sql"),
        (Ident | str, "string"),
        (Ident, "identifier"),
        (Stream, "stream"),
        (AsyncIterator[list[Row]], "stream of object"),
        (list[Row] | Stream, "array of object or stream"),
        (list[Row] | Stream | None, "array of object or stream or null"),
        (int | Plain, "any"),
        (Any, "any"),
        (object, "any"),
        (Callable[[], int], "any"),
        ("a text that is no hint", "any"),
        (3, "any"),
    ],
)
def test_a_hint_has_a_type(hint: Any, expected: str) -> None:
    assert str(type_of_hint(hint)) == expected


def test_a_hint_says_more_than_the_type() -> None:
    async def function(
        query: Sql,
        maybe: Sql | None = None,
        table: Ident | str = "t",
        token: Secret[str] = "",
        mode: Literal["a", "b"] | None = None,
        level: Level = Level.LOW,
        size: Annotated[int, "bytes"] = 1,
        path: UrlPath = "/",
        other: UrlPath | None = None,
    ) -> dict[str, Any]: ...

    found = {each.name: each for each in spec(function).parameters}
    assert [found[name].form for name in ("query", "maybe", "table", "token")] == ["sql", "sql", "ident", "plain"]
    assert (found["token"].secret, found["token"].type.secret, found["query"].secret) == (True, True, False)
    assert (found["mode"].choices, found["mode"].type.enum) == (("a", "b"), ("a", "b"))
    assert found["mode"].type.nullable
    assert found["level"].choices == ("low", "high")
    assert found["size"].description == "bytes"
    assert [(found[name].form, str(found[name].type)) for name in ("path", "other")] == [
        ("path", "string"),
        ("path", "string or null"),
    ]


def test_parameters_defaults_and_what_is_injected() -> None:
    async def function(a: str, b: int = 3, c: int = None, d=None, *, context, connection=None, **more): ...  # type: ignore[no-untyped-def]  # noqa: RUF013

    found = spec(function)
    assert [(each.name, each.required, str(each.type)) for each in found.parameters] == [
        ("a", True, "string"),
        ("b", False, "integer"),
        ("c", False, "integer or null"),
        ("d", False, "any"),
    ]
    assert found.parameter("b").default == 3  # type: ignore[union-attr]
    assert found.injects == {"connection", "context"}
    assert found.extra


def test_a_hint_that_cannot_be_resolved_spoils_no_other() -> None:
    def function(a: Unknowable, b: int, c: list[Unknowable]) -> Unknowable: ...

    assert [str(each.type) for each in spec(function).parameters] == ["any", "integer", "any"]


class Holder:
    async def plain(self, key: str, connection: Any = None) -> dict[str, Any]:
        """Get it."""
        return {}

    retried = tenacity.retry(stop=tenacity.stop_after_attempt(2))(plain)

    async def __call__(self, key: str) -> dict[str, Any]:
        """Get it."""
        return {}


@functools.wraps(Holder.plain)
def wrapped(*args: Any, **kwargs: Any) -> Any:
    return Holder().plain(*args, **kwargs)


@pytest.mark.parametrize(
    "function",
    [
        Holder().plain,
        Holder.plain,
        Holder().retried,
        tenacity.retry(Holder().plain),
        wrapped,
        functools.partial(Holder().plain),
        Holder(),
    ],
    ids=["bound", "unbound", "decorated", "decorated when bound", "wraps", "partial", "callable object"],
)
def test_methods_and_decorators_are_looked_through(function: Any) -> None:
    found = spec(function)
    assert [(each.name, str(each.type)) for each in found.parameters] == [("key", "string")]
    assert found.is_async
    assert found.summary == "Get it."


def test_plain_functions_are_not_async() -> None:
    assert not is_async(lambda: 1)
    assert not spec(lambda: 1).is_async
    assert not is_async(3)  # type: ignore[arg-type]


def test_a_typed_dict_declares_the_outputs() -> None:
    async def function() -> Partial:
        """Do it.

        Returns:
            row: the first one
            other: not declared
        """
        return {}

    found = spec(function)
    assert found.outputs is not None
    assert {name: str(each) for name, each in found.outputs.items()} == {"row": "object", "rows": "array of object"}
    assert found.outputs["row"].fields is not None
    assert str(found.outputs["row"].fields["name"]) == "string"
    assert dict(found.returns) == {"row": "the first one"}


def test_outputs_are_never_guessed() -> None:
    async def told() -> Dict[str, Any]:  # noqa: UP006
        """Do it.

        Returns:
            Dict with 'data' key
        """
        return {}

    async def nothing() -> None: ...

    async def silent(): ...  # type: ignore[no-untyped-def]

    assert spec(told).outputs is None
    assert spec(silent).outputs is None
    assert spec(nothing).outputs == {}


def test_an_async_generator_streams_under_the_name_it_chose() -> None:
    async def default() -> AsyncIterator[list[Row]]:
        yield []

    @task(stream="items", effect="read", idempotent=True)
    async def named(connection: Any = None):  # type: ignore[no-untyped-def]
        yield []

    one, two = spec(default), spec(named)
    assert one.streams
    assert one.is_async
    assert {name: str(each) for name, each in (one.outputs or {}).items()} == {"rows": "stream of object"}
    assert list(two.outputs or ()) == ["items"]
    assert (two.effect, two.idempotent, one.effect) == ("read", True, None)


def test_a_positional_only_parameter_is_refused() -> None:
    def function(a: int, /) -> None: ...

    with pytest.raises(PluginError, match="parameter `a` of task `a_task` is positional-only"):
        spec(function)


def test_the_docstring_is_read_in_sections() -> None:
    async def function(key: str, limit: int = 5, other: int = 1) -> Partial:
        """Fetch things
        from the shelf.

        More about it. Note: this is no section.

        Args:
            key: Which one,
                and how
            limit (int): At most so many
            connection: The handle (injected)

        Returns:
            rows: the things
        Raises:
            KeyError: when it is not there

        Example YAML:
            - a_task:
                key: "x: y"

                limit: 3
        """
        return {}

    found = spec(function, connection_type="shelf", origin="shelves 1.0")
    assert found.summary == "Fetch things from the shelf."
    assert found.description == "More about it. Note: this is no section."
    assert [each.description for each in found.parameters] == ["Which one, and how", "At most so many", ""]
    assert found.example == '- a_task:\n    key: "x: y"\n\n    limit: 3'
    assert dict(found.returns) == {"rows": "the things"}
    assert (found.connection_type, found.origin) == ("shelf", "shelves 1.0")


@pytest.mark.parametrize(
    "text", [None, "", "   ", "Args:", "Args:\nnot indented", "Example: inline", ":", "Returns:\n\n\n"]
)
def test_odd_docstrings_do_no_harm(text: str | None) -> None:
    async def function(a: int = 1) -> None: ...

    function.__doc__ = text
    assert spec(function).parameters[0].description == ""
