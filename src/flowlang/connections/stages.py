"""A connection tried one stage after the other, so that the first thing that is wrong is told apart from all others.

    config → dependencies → name → tcp → tls → auth → privilege → round_trip        a server
    config → dependencies → file (or socket) → open → round_trip                    a file, a Unix socket

What comes before `auth` is found out without the plugin's driver, over a link of its own that is let go again. `auth`
is the plugin's `connect()`, `round_trip` a lease with its `ping()`. What those two raise may belong to another stage: a
refused password is of `auth` wherever it shows, a missing right of `privilege`.

A plugin that does not say where it leads is tried at the place its settings seem to name. That is a guess, so its
failure is only told when the connection does not open either.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Literal

from flowlang.connections import _probes as probes
from flowlang.connections._blame import Blame, blame, setting_in
from flowlang.connections._probes import Trouble
from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.config import ConfigProblem, Prepared
from flowlang.connections.dependencies import missing, pip_line
from flowlang.connections.endpoints import HOST_FIELDS, Endpoint, File, Server, Socket, placed
from flowlang.connections.errors import describe
from flowlang.connections.lifecycle import ConnectionSlot, Live
from flowlang.masking import SHORTEST, WITHHELD, Masker
from flowlang.records import frozen

_LOG = logging.getLogger("flowlang.connections")
Status = Literal["ok", "failed", "skipped", "not_reached"]


@frozen
class Stage:
    """`ms`: what it took, None where it was not reached. Of a failed one: `error`, its error class; `field`, the
    setting to look at, and `part` of it when that is a URL; `detail`, why; `remedy`, what to do."""

    name: str
    status: Status = "not_reached"
    ms: float | None = None
    detail: str = ""
    field: str | None = None
    part: str | None = None
    remedy: str | None = None
    error: str | None = None


@frozen
class Trial:
    """What became of a test. `ms`: all of it."""

    connection: str
    type: str
    stages: tuple[Stage, ...]
    ms: float

    @property
    def failed(self) -> Stage | None:
        """The stage that failed."""
        return next((each for each in self.stages if each.status == "failed"), None)


class _Failed(Exception):
    """A stage has failed and is noted."""


_NOT_REACHED = ("connect", "timeout", "connection_lost")
_NETWORK = ("name", "tcp", "tls")
_SERVER = ("config", "dependencies", "name", "tcp", "tls", "auth", "privilege", "round_trip")
_Prepare = Callable[[], tuple[Mapping[str, Any], Prepared]]
_Note = Callable[[str], None]


class Tester:
    """One test of one connection. `limit`: seconds for all of it but the closing."""

    def __init__(self, name: str, plugin: ConnectionPlugin, limit: float) -> None:
        self._name = name
        self._plugin = plugin
        self._limit = limit
        self._began = time.perf_counter()
        self._deadline = asyncio.get_running_loop().time() + limit
        self._given: Mapping[str, Any] = {}
        self._masker = Masker()
        self._withheld = False
        self._order: tuple[str, ...] = _SERVER
        self._stages: dict[str, Stage] = {}

    async def test(self, prepare: _Prepare, secrets: Iterable[str] = ()) -> Trial:
        """Go through all stages. `prepare` gives the settings as written, with values in place of expressions, and
        ready for `connect()`; what it raises as `Trouble` is the failure of the stage `config`. `secrets` are masked
        besides those of the settings."""
        for each in secrets:
            self._masker.add(each)
        try:
            prepared = await self._configured(prepare)
            endpoints = self._endpoints(prepared.config)
            await self._depend()
            guess = await self._reach(endpoints)
            await self._open(prepared.config, guess)
        except _Failed:
            pass
        stages = tuple(self._stages.get(each, Stage(each)) for each in self._order)
        return Trial(self._name, self._plugin.name, stages, _since(self._began))

    # ------------------------------------------------------------ without the network

    async def _configured(self, prepare: _Prepare) -> Prepared:
        async with self._stage("config"):
            self._given, prepared = prepare()
            for secret in prepared.secrets:
                self._masker.add(secret)
                self._withheld = self._withheld or len(secret) < SHORTEST
            if prepared.problems:
                raise _of_config(prepared.problems, self._plugin.get_config_schema())
        return prepared

    async def _depend(self) -> None:
        async with self._stage("dependencies") as note:
            lacking = missing(self._plugin)
            if lacking:
                reason = "; ".join(f"{each.name}: {each.reason}" for each in lacking)
                raise Trouble(reason, "", pip_line(lacking), "config")
            note("all that it needs is installed")

    # ------------------------------------------------------------ where it leads

    async def _reach(self, endpoints: Sequence[Endpoint]) -> bool:
        """Try each place; one that answers is enough. Returns whether the place was a guess, and did not answer."""
        for endpoint in endpoints:
            self._stages = {name: stage for name, stage in self._stages.items() if stage.status != "failed"}
            try:
                await self._try(endpoint)
                return False
            except _Failed:
                last = endpoint is endpoints[-1]
                if last and type(self._plugin).endpoints is ConnectionPlugin.endpoints:
                    return True
                if last:
                    raise
        return False

    def _endpoints(self, config: Mapping[str, Any]) -> Sequence[Endpoint]:
        try:
            found: Sequence[Endpoint] = list(self._plugin.endpoints(dict(config)))
        except Exception as error:  # noqa: BLE001 - foreign code; that it opens is proven all the same
            _LOG.warning("plugin %s: endpoints() failed: %s", self._plugin.name, self._said(describe(error)))
            found = []
        self._order = _order_for(found)
        return found

    async def _try(self, endpoint: Endpoint) -> None:
        if isinstance(endpoint, File):
            async with self._stage("file") as note:
                note(await asyncio.to_thread(probes.look, endpoint))
        elif isinstance(endpoint, Socket):
            async with self._stage("socket") as note:
                note(await probes.plug(endpoint))
        else:
            await self._try_server(endpoint)

    async def _try_server(self, server: Server) -> None:
        async with self._stage("name", server) as note:
            found = await probes.addresses(server)
            note(probes.listed(server.host, found))
        async with self._stage("tcp", server) as note:
            link = await probes.dial(found, server.port)
            note(f"port {server.port} answers")
        try:
            if server.tls is None:
                self._stages["tls"] = Stage("tls", "skipped", 0.0, "the settings ask for none")
                return
            async with self._stage("tls", server) as note:
                note(await probes.secure(link, server, server.tls))
        finally:
            await probes.let_go(link[1])

    # ------------------------------------------------------------ the plugin

    async def _open(self, config: Mapping[str, Any], guess: bool) -> None:
        """Open it, lease and ping, give back, close."""
        opening = "auth" if "auth" in self._order else "open"
        before = dict(self._stages)
        slot = ConnectionSlot(self._name, self._plugin, config, connect_timeout=self._limit + 1, describe=self._said)
        try:
            async with self._stage(opening, opening=True):
                live = await slot.open()
            self._stages["privilege"] = Stage("privilege", "skipped", 0.0, "nothing that it asked for was refused")
            async with self._stage("round_trip") as note:
                note(await _round_trip(slot, live))
        except _Failed:
            failed = next(each for each in reversed(self._stages.values()) if each.status == "failed")
            if guess and failed.error in _NOT_REACHED:
                self._stages = before  # what was guessed says why
                raise
            self._acquit(guess)
            raise
        finally:
            await slot.close()
        self._acquit(guess)

    def _acquit(self, guess: bool) -> None:
        """The place that was guessed did not answer, and the connection was reached: it is somewhere else."""
        for name, stage in self._stages.items() if guess else ():
            if stage.status == "failed" and name in _NETWORK:
                self._stages[name] = Stage(name, "skipped", stage.ms, f"a guess that was wrong: {stage.detail}")

    # ------------------------------------------------------------ one stage

    @asynccontextmanager
    async def _stage(self, name: str, server: Server | None = None, *, opening: bool = False) -> AsyncIterator[_Note]:
        """Whatever ends the block becomes a record; after a failure `_Failed` is raised. The block is given a function
        that takes a line about what was found."""
        began, notes = time.perf_counter(), [""]
        timer = asyncio.timeout_at(self._deadline)
        task = asyncio.current_task()
        try:
            async with timer:
                yield notes.append
        except (_Failed, GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            if isinstance(error, TimeoutError) and timer.expired():
                error = _late(name, self._limit)
            self._note_failure(name, error, _since(began), server, opening=opening)
            raise _Failed from error
        self._stages[name] = Stage(name, "ok", _since(began), self._masker.text(notes[-1]))

    def _note_failure(
        self, name: str, error: BaseException, ms: float, server: Server | None, *, opening: bool
    ) -> None:
        if isinstance(error, Trouble):
            field, part = self._field(error.aspect, server)
            found = Blame(None, error.error_class, field, part, self._masker.text(str(error)), error.remedy)
        else:
            found = blame(error, self._plugin, self._given, opening=opening)
            found = replace(found, reason=self._said(found.reason), remedy=self._said(found.remedy))
        stage = found.stage if found.stage in self._order else name
        assert stage is not None
        if stage == "privilege" and opening:
            self._stages[name], ms = Stage(name, "ok", ms), 0.0  # who it is was accepted
        before = self._order[: self._order.index(stage)] if stage in self._order else ()
        self._stages = {each: self._stages[each] for each in before if each in self._stages}
        self._stages[stage] = Stage(
            stage, "failed", ms, found.reason, found.field, found.part, found.remedy, found.error_class
        )

    def _field(self, aspect: str, server: Server | None) -> tuple[str | None, str | None]:
        tls = server.tls if server is not None else None
        if aspect in ("host", "port"):
            if server is not None and server.field is not None:
                return server.field, aspect
            return placed(aspect, self._given, HOST_FIELDS if aspect == "host" else ())
        if aspect in ("verify", "trust") and tls is not None:
            field = tls.trust or tls.verify if aspect == "trust" else tls.verify
            return (field, None) if field is not None else placed("host", self._given, HOST_FIELDS)
        if aspect == "switch" and tls is not None:
            return placed(tls.switch or "scheme", self._given)
        return aspect or None, None

    def _said(self, text: str) -> str:
        """Text of foreign code, fit to be shown."""
        return WITHHELD if self._withheld else self._masker.text(text)


async def _round_trip(slot: ConnectionSlot, live: Live) -> str:
    handle = await live.get()
    live.leases += 1
    asked = type(live.plugin).ping is not ConnectionPlugin.ping
    broken = True
    try:
        await live.plugin.ping(handle)
        broken = False
    finally:
        await slot.give_back(live, handle, broken=broken)
    return "it answers" if asked else "a handle was leased and given back; this type has no ping"


def _order_for(endpoints: Sequence[Endpoint]) -> tuple[str, ...]:
    if not endpoints or isinstance(endpoints[0], Server):
        return _SERVER if endpoints else tuple(each for each in _SERVER if each not in _NETWORK)
    kind, opening = ("file", "open") if isinstance(endpoints[0], File) else ("socket", "auth")
    return "config", "dependencies", kind, opening, "privilege", "round_trip"


def _of_config(problems: Sequence[ConfigProblem], schema: Mapping[str, Any]) -> Trouble:
    first = problems[0]
    field = ".".join(map(str, first.path)) or setting_in(first.message, schema)
    reason = "; ".join(each.message for each in problems)
    return Trouble(reason, field, first.suggestion or "correct the setting", "config")


def _late(stage: str, limit: float) -> Trouble:
    reason = f"not done within {limit:g} s"
    if stage == "tls":
        return Trouble(reason, "switch", "look whether this port speaks TLS at all", "timeout")
    remedy = "look whether a firewall swallows the packets, or raise `connect_timeout`"
    return Trouble(reason, "host", remedy, "timeout")


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)
