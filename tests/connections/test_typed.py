"""The short form of a plugin: settings as a dataclass, opening as a context manager, tasks as typed methods."""

from __future__ import annotations

import asyncio
import contextlib
import re
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypedDict

import pytest

import flowlang
from flowlang.connections import plugin_registry
from flowlang.connections.config import prepare
from flowlang.connections.typed import Ge, Le, MaxLen, MinLen, Pattern, Secret, TypedPlugin, task
from flowlang.exceptions import PluginError


@dataclass(frozen=True)
class Login:
    user: Annotated[str, "Who"]
    password: Annotated[Secret[str], "Of the user"]


@dataclass(frozen=True)
class Config:
    host: Annotated[str, "Where it is", MinLen(1), MaxLen(255)]
    port: Annotated[int, "Its port", Ge(1), Le(65535)] = 7000
    login: Annotated[Login | None, "How to log in"] = None
    code: Annotated[Secret[str] | None, "A key"] = None
    mode: Annotated[Literal["fast", "safe"], "How careful"] = "safe"
    tags: Annotated[list[str], "Words"] = field(default_factory=list)
    weights: Annotated[dict[str, float], "By name"] = field(default_factory=dict)
    region: Annotated[
        str | int,
        "Its name or number",
    ] = 1
    steps: Annotated[tuple[int, ...], "In turn"] = (1, 2)

    def __post_init__(self) -> None:
        if self.mode == "fast" and self.port == 7000:
            raise ValueError("port 7000 is never fast")


class Answer(TypedDict):
    text: str


class Empty:
    """A client of nothing."""

    def __init__(self, config: Any = None) -> None:
        self.config = config


class Echo(TypedPlugin[Config]):
    """Says things again.

    Nothing else.
    """

    name = "echo"
    version = "1.0.0"
    requires = ("packaging>=20",)

    @asynccontextmanager
    async def open(self, config: Config) -> AsyncIterator[Empty]:
        yield Empty(config)

    @task(effect="read")
    async def say(self, text: Annotated[str, "What to say"], connection: Empty) -> Answer:
        """Say it.

        Example:
            - echo_say: {id: said, connection: voice, text: "${inputs.words}"}
        """
        return {"text": f"{text} to {connection.config.host}"}

    @task(effect="read")
    async def count(self, to: int, connection: Empty) -> AsyncIterator[list[int]]:
        """Count."""
        yield list(range(to))


# ---------------------------------------------------------------- what follows from it


def test_the_dataclass_is_the_schema() -> None:
    """Types, bounds, choices, defaults, words, secrecy and nested settings stand in the JSON Schema."""
    schema = Echo().get_config_schema()
    assert schema["required"] == ["host"]
    assert schema["additionalProperties"] is False
    assert schema["properties"] == {
        "host": {"type": "string", "description": "Where it is", "minLength": 1, "maxLength": 255},
        "port": {"type": "integer", "description": "Its port", "minimum": 1, "maximum": 65535, "default": 7000},
        "login": {
            "type": ["object", "null"],
            "properties": {
                "user": {"type": "string", "description": "Who"},
                "password": {"type": "string", "description": "Of the user", "writeOnly": True},
            },
            "additionalProperties": False,
            "required": ["user", "password"],
            "description": "How to log in",
            "default": None,
        },
        "code": {"type": ["string", "null"], "writeOnly": True, "description": "A key", "default": None},
        "mode": {"type": "string", "enum": ["fast", "safe"], "description": "How careful", "default": "safe"},
        "tags": {"type": "array", "items": {"type": "string"}, "description": "Words", "default": []},
        "weights": {
            "type": "object",
            "additionalProperties": {"type": "number"},
            "description": "By name",
            "default": {},
        },
        "region": {"type": ["string", "integer"], "description": "Its name or number", "default": 1},
        "steps": {"type": "array", "items": {"type": "integer"}, "description": "In turn", "default": [1, 2]},
    }


def test_the_members_of_the_guide_follow() -> None:
    plugin = Echo()
    assert plugin.description == "Says things again"
    assert plugin.get_dependencies() == ["packaging>=20"]
    assert list(plugin.get_builtin_tasks()) == ["echo_say", "echo_count"]
    assert "host: ${env.ECHO_HOST}" in plugin.scaffold_connection_config("x")


def test_values_become_the_dataclass_again() -> None:
    """Nested settings, tuples and defaults arrive in `open()` as they are typed."""

    async def opened() -> Config:
        login = {"user": "u", "password": "p"}
        prepared = prepare(Echo(), {"host": "h", "login": login, "steps": [3], "weights": {"a": 1}})
        assert not prepared.problems
        plugin = Echo()
        client = await plugin.connect(prepared.config)
        await plugin.disconnect()
        config: Config = client.config
        return config

    assert asyncio.run(opened()) == Config("h", login=Login("u", "p"), steps=(3,), weights={"a": 1})


def test_a_value_error_of_post_init_refuses_the_config() -> None:
    (problem,) = prepare(Echo(), {"host": "h", "mode": "fast"}).problems
    assert "port 7000 is never fast" in problem.message


def test_the_repr_of_a_config_shows_no_secret() -> None:
    """Not in tracebacks or logs, nested ones included."""
    shown = repr(Config("h", login=Login("u", "hunter2"), code="xyzzy"))
    assert "hunter2" not in shown
    assert "xyzzy" not in shown
    assert "host='h'" in shown


@pytest.fixture
def echo() -> Iterator[None]:
    with plugin_registry.registered(Echo):
        yield


async def test_a_flow_runs_its_tasks(echo: None) -> None:
    text = """
        flow: f
        connections: {voice: {type: echo, host: you}}
        steps:
          - echo_say: {id: said, text: hello}
          - echo_count: {id: all, to: 3}
          - {id: numbers, for_each: "${all.rows}", do: [], collect: "${item}"}
        outputs:
          - {name: said, value: "${said.text}"}
          - {name: numbers, value: "${numbers.results}"}
    """
    result = await flowlang.run(text=text)
    assert result.outputs == {"said": "hello to you", "numbers": [0, 1, 2]}, result.failure


def test_the_example_is_made_of_the_examples_of_the_tasks(echo: None, tmp_path: Any) -> None:
    """Under the name of the connection that is wanted, with its inputs declared; it passes the check."""
    path = Echo().scaffold_example_flow(str(tmp_path), "mine")
    text = path.read_text()
    assert "connection: mine" in text
    assert "{name: words, type: string, required: true}" in text
    checked = flowlang.check(text=text)
    assert [each.message for each in checked.findings if each.severity == "error"] == []
    assert '{name: text, value: "${said.text}"}' in text


# ---------------------------------------------------------------- opening and leasing


@dataclass
class Nothing:
    pass


class Waiting(TypedPlugin[Nothing]):
    """Notes what happens to it."""

    name = "waiting"
    version = "1"

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.gate = asyncio.Event()
        self.fault: Exception | None = None

    @asynccontextmanager
    async def open(self, config: Nothing) -> AsyncIterator[Empty]:
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(self.beat())
            try:
                await self.gate.wait()
                if self.fault is not None:
                    raise self.fault
                self.notes.append("opened")
                yield Empty()
            finally:
                self.notes.append("closed")
                beating.cancel()

    async def beat(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


async def test_what_open_uses_inside_may_be_bound_to_its_task() -> None:
    """Opened by one task and closed by another, a task group around the `yield` works."""
    plugin = Waiting()
    plugin.gate.set()
    client = await asyncio.create_task(plugin.connect({}))
    assert await plugin.get_connection() is client
    await asyncio.create_task(plugin.disconnect())
    await plugin.disconnect()
    assert plugin.notes == ["opened", "closed"]


async def test_a_cancelled_opening_is_left_at_once() -> None:
    plugin = Waiting()
    opening = asyncio.create_task(plugin.connect({}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert plugin.notes == ["closed"]
    await plugin.disconnect()


async def test_an_error_of_opening_arrives_as_it_is() -> None:
    plugin = Waiting()
    plugin.gate.set()
    plugin.fault = LookupError("no such place")
    with pytest.raises(ExceptionGroup) as caught:
        await plugin.connect({})
    assert [str(each) for each in caught.value.exceptions] == ["no such place"]
    await plugin.disconnect()
    with pytest.raises(flowlang.ConnectionError, match="not open"):
        await plugin.get_connection()


class Failing(Waiting):
    """Its heart stops when it is told to."""

    name = "failing"

    def __init__(self) -> None:
        super().__init__()
        self.stop = asyncio.Event()

    async def beat(self) -> None:
        await self.stop.wait()
        raise OSError("no heartbeat")


async def test_a_background_task_that_fails_breaks_the_connection() -> None:
    """The next lease says so, with the cause."""
    plugin = Failing()
    plugin.gate.set()
    await plugin.connect({})
    plugin.stop.set()
    for _ in range(10):  # turns of the loop: the group gives up, and the connection with it
        await asyncio.sleep(0)
    with pytest.raises(flowlang.ConnectionError, match="was lost") as caught:
        await plugin.get_connection()
    assert "no heartbeat" in "".join(traceback.format_exception(caught.value))
    with pytest.raises(ExceptionGroup):
        await plugin.disconnect()


class Pooled(TypedPlugin[Nothing]):
    """Leases handles of its own."""

    name = "pooled"
    version = "1"

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    @asynccontextmanager
    async def open(self, config: Nothing) -> AsyncIterator[Empty]:
        self.capacity = 1
        yield Empty()

    @asynccontextmanager
    async def lease(self, client: Empty) -> AsyncIterator[Empty]:
        try:
            yield Empty()
            self.notes.append("released")
        except flowlang.ConnectionError:
            self.notes.append("thrown away")


async def test_a_lease_is_left_with_an_error_when_it_may_be_broken() -> None:
    plugin = Pooled()
    client = await plugin.connect({})
    first = await plugin.get_connection()
    second = await plugin.get_connection()
    assert client is not first is not second
    await plugin.release_connection(first)
    await plugin.discard_connection(second)
    await plugin.discard_connection(second)
    await plugin.disconnect()
    assert plugin.notes == ["released", "thrown away"]


# ---------------------------------------------------------------- what is wrong is told when the class is made


def made(namespace: dict[str, Any], config: Any = Nothing, base: Any = TypedPlugin) -> None:
    """Define a plugin `Bad` of type `bad` with these members."""
    import types

    @asynccontextmanager
    async def opening(self: Any, config: Any) -> AsyncIterator[None]:
        yield

    members = {"name": "bad", "version": "1", "open": opening, **namespace}
    types.new_class("Bad", (base[config],), {}, lambda body: body.update(members))


async def _untyped(self, x, connection) -> Answer:  # type: ignore[no-untyped-def]
    return {"text": x}


async def _dict(self: Any, x: str, connection: Any) -> dict[str, str]:
    return {"text": x}


async def _silent(self: Any, x: str):  # type: ignore[no-untyped-def]
    return {"text": x}


def _good(**options: Any) -> Any:
    @task(**options)
    async def method(self: Any, x: str) -> Answer:
        return {"text": x}

    return method


async def _unknown(self: Any, x: NoSuchType) -> Answer:  # type: ignore[name-defined]  # noqa: F821
    return {"text": x}


async def _elsewhere(self: Any, x: str) -> NoSuchType:  # type: ignore[name-defined]  # noqa: F821
    return {"text": x}


def _plain(self: Any, x: str) -> Answer:
    return {"text": x}


READ = task(effect="read")


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"get": READ(_untyped)}, "task `bad_get`, the method `get`, has a parameter `x` without a type"),
        ({"get": READ(_dict)}, "`get`, returns `dict`: write a `TypedDict`"),
        ({"get": READ(_silent)}, "`get`, does not say what it returns"),
        ({"get": READ(_unknown)}, "a parameter `x` whose type `NoSuchType` cannot be read"),
        ({"get": READ(_elsewhere)}, "`get`, returns `NoSuchType`, which cannot be read: define it above"),
        ({"get": READ(_plain)}, "`get`, must be `async def`"),
        ({"get": _good()}, '`get`, does not say what it does to the service and if it may be repeated: `@task('),
        ({"get": _good(effect="write")}, "if it may be repeated"),
        ({"ping": _good(effect="read")}, "takes the place of a member that every plugin has: call it `ping_`"),
        ({"get": _good(name="get", effect="read")}, "must have a name that begins with `bad_`: `bad_get`"),
        ({"a": _good(effect="read"), "a_": _good(effect="read")}, "the method `a_`, has the name of the method `a`"),
        ({"open": TypedPlugin.open}, "does not define `open(self, config)`"),
    ],
)  # fmt: skip
def test_a_wrong_method_is_named(members: dict[str, Any], told: str) -> None:
    """With what would be right."""
    with pytest.raises(PluginError, match=re.escape(told)):
        made(members)


class NoDataclass:
    pass


def config_with(hint: Any, **more: Any) -> type:
    """A config of one field `x`."""
    return dataclass(type("Config", (), {"__annotations__": {"x": hint}, "__module__": __name__, **more}))


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (NoDataclass, "`NoDataclass` in its brackets must be a dataclass"),
        (config_with(object), "config field `Config.x` has the type `object`, which no setting can have: use `str`"),
        (config_with(list[set[int]]), "has the type `set[int]`"),
        (config_with("NoSuchType"), "the types of config Config cannot be read (NameError"),
        (config_with(Annotated[str, Ge(1)]), "Ge(ge=1) bounds numbers, and it is none"),
        (config_with(Annotated[int, MinLen(1)]), "MinLen(min_length=1) bounds lengths, and it has none"),
        (config_with(Annotated[int, Pattern("a")]), "a pattern is for texts"),
        (config_with(Annotated[str, Pattern("(")]), "'(' is no regular expression"),
        (config_with(Annotated[int, Ge]), "`Ge` stands in `Annotated` without its value: `Ge(…)`"),
        (config_with(Annotated[int, Ge(1)], x=0), "config field `Config.x` has a default that does not fit"),
        (config_with(str, x=b"x"), "has the default b'x', which cannot be written in a schema"),
        (config_with(Literal["a", b"b"]), "`Literal` may hold texts, numbers and truth values, not b'b'"),
    ],
)
def test_a_wrong_config_is_named(config: type, told: str) -> None:
    """By class and field, with what would be right."""
    with pytest.raises(PluginError, match=re.escape(told)):
        made({}, config)


def test_a_plugin_without_settings_says_so() -> None:
    with pytest.raises(PluginError, match=re.escape("`class Bare(TypedPlugin[Config])`")):

        class Bare(TypedPlugin):  # type: ignore[type-arg]
            name = "bare"


def test_bounds_of_other_libraries_are_understood() -> None:
    """Those of annotated-types by their attributes; a mark that says nothing of bounds is left alone (PEP 593)."""

    class Interval:
        ge, lt, le, gt = 2, 9, None, None

    class Other:
        pass

    class Bounded(TypedPlugin[config_with(Annotated[int, Interval(), Other()])]):  # type: ignore[misc]
        name = "bounded"
        version = "1"

        @asynccontextmanager
        async def open(self, config: Any) -> AsyncIterator[None]:
            yield

    found = Bounded().get_config_schema()["properties"]["x"]
    assert found == {"type": "integer", "minimum": 2, "exclusiveMaximum": 9}
