"""A plan as a test runs it: connections that must not be used, or are not needed, are never opened."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import fields, is_dataclass, replace
from typing import Any

from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.config import Prepared
from flowlang.plan import Choose, ConnectionPlan, Plan, Subflow, Transaction
from flowlang.testing.model import Case, best_mock
from flowlang.testing.places import Place
from flowlang.testing.virtual import VirtualLoop

_ACTS = ("connect", "disconnect", "get_connection", "release_connection", "discard_connection")
_OPTIONAL = ("discard_connection", "transaction")  # the engine asks whether a plugin has its own

Needed = Callable[[Plan, ConnectionPlan], bool]


def staged(plan: Plan, needed: Needed, loop: VirtualLoop) -> Plan:
    """`plan` and its subflows, in which only the connections that are `needed` are ever opened."""
    connections = tuple(_connection(each, loop, needed=needed(plan, each)) for each in plan.connections)
    closed = frozenset(at for at, each in enumerate(plan.connections) if not needed(plan, each))

    def step(each: Any) -> Any:
        return _changed(each, needed, closed, loop)

    return replace(
        plan,
        connections=connections,
        steps=step(plan.steps),
        on_cancel=step(plan.on_cancel),
        finally_=step(plan.finally_),
    )


def needs(case: Case, places: tuple[Place, ...], *, recording: bool) -> Needed:
    """Whether a connection is used for real: it may be, and something on it is not mocked."""
    allowed = case.real | case.recorded if recording else case.real

    def needed(plan: Plan, connection: ConnectionPlan) -> bool:
        if case.strict and not recording:
            return False
        mine = [each for each in places if each.plan is plan and each.connection == connection.name]
        return any(_is_real(each, case, allowed, recording=recording) for each in mine)

    return needed


def _is_real(place: Place, case: Case, allowed: frozenset[str], *, recording: bool) -> bool:
    """Whether the call at a place is carried out for real, or some turn of it may be."""
    mock = best_mock(case.mocks, place.path, place.task)
    return mock.recorded and recording if mock is not None else place.connection in allowed


def _connection(plan: ConnectionPlan, loop: VirtualLoop, *, needed: bool) -> ConnectionPlan:
    if not needed:
        return replace(plan, lazy=True, ready=Prepared({}, (), ()))
    return replace(plan, plugin=_watched(type(plan.plugin), loop)())


def _watched(plugin: type[ConnectionPlugin], loop: VirtualLoop) -> type[ConnectionPlugin]:
    """The plugin, whose every act at the service holds time."""

    def held(name: str) -> Any:
        async def act(self: Any, *args: Any) -> Any:
            with loop.really():
                return await getattr(super(watched, self), name)(*args)

        return act

    def transaction(self: Any, connection: Any) -> _Held:
        return _Held(super(watched, self).transaction(connection), loop)

    acts: dict[str, Any] = {each: held(each) for each in _ACTS} | {"transaction": transaction}
    for each in _OPTIONAL:
        if getattr(plugin, each) is getattr(ConnectionPlugin, each):
            del acts[each]
    watched: Any = type(plugin.__name__, (plugin,), acts)
    made: type[ConnectionPlugin] = watched
    return made


class _Held(AbstractAsyncContextManager[None]):
    """A transaction that holds time while it begins and while it ends."""

    def __init__(self, inner: AbstractAsyncContextManager[None], loop: VirtualLoop) -> None:
        self._inner = inner
        self._loop = loop

    async def __aenter__(self) -> None:
        with self._loop.really():
            await self._inner.__aenter__()

    async def __aexit__(self, *error: Any) -> bool | None:
        with self._loop.really():
            return await self._inner.__aexit__(*error)


def _changed(value: Any, needed: Needed, closed: frozenset[int], loop: VirtualLoop) -> Any:
    """A part of a plan with its subflows staged. A transaction on a connection that stays closed is its steps alone."""
    if isinstance(value, tuple):
        parts = tuple(_changed(each, needed, closed, loop) for each in value)
        return value if all(a is b for a, b in zip(parts, value)) else parts
    if not is_dataclass(value) or isinstance(value, type):
        return value
    if isinstance(value, Subflow):
        return replace(value, plan=staged(value.plan, needed, loop))
    changes = {
        each.name: new
        for each in fields(value)
        if each.init and (new := _changed(old := getattr(value, each.name), needed, closed, loop)) is not old
    }
    changed: Any = replace(value, **changes) if changes else value
    if isinstance(changed, Transaction) and changed.connection in closed:
        return Choose(changed.site, (), changed.body)
    return changed
