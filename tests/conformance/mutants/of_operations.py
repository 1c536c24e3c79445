"""Tasks that take and give something else than they say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from tests.conformance.double.provider import Counted, Item, LineKVPlugin, Value
from tests.conformance.mutants import catches

from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.decorator import task


@catches("operations/outputs-match")
class GivesMore(LineKVPlugin):
    @task(effect="read")
    async def task_get(self, key: str, connection: Any = None) -> Value:
        """Read a value.

        Args:
            key: its name
        """
        return {"value": await self.ask(connection, "GET", key=key), "found": True}  # type: ignore[typeddict-unknown-key]


@catches("operations/outputs-json")
class GivesObjects(LineKVPlugin):
    @task(effect="read")
    async def task_get(self, key: str, connection: Any = None) -> Value:
        """Read a value.

        Args:
            key: its name
        """
        await self.ask(connection, "GET", key=key)
        return {"value": float("nan")}


@catches("operations/parameters-bound")
class Pastes(LineKVPlugin):
    async def ask(self, connection: Any, verb: str, **arguments: Any) -> Any:
        if verb == "PUT" and isinstance(arguments["value"], str):
            arguments["value"] = arguments["value"].partition("'")[0].partition(";")[0]
        return await super().ask(connection, verb, **arguments)


@catches("operations/values-kept")
class Trims(LineKVPlugin):
    async def ask(self, connection: Any, verb: str, **arguments: Any) -> Any:
        if verb == "PUT" and isinstance(arguments["value"], str):
            arguments["value"] = arguments["value"][:10_000]
        return await super().ask(connection, verb, **arguments)


class Scanning(LineKVPlugin):
    async def items(self, connection: Any, prefix: str) -> list[Item]:
        return [item async for item in connection.items("SCAN", prefix=prefix)]


@catches("operations/many-items")
class LosesTheLast(Scanning):
    @task(effect="read")
    async def task_scan(
        self, prefix: str = "", batch_size: int = 500, connection: Any = None
    ) -> AsyncIterator[list[Item]]:
        """Read what begins with a prefix, as a stream.

        Args:
            prefix: what the keys begin with
            batch_size: items at a time
        """
        batch: list[Item] = []
        async for item in connection.items("SCAN", prefix=prefix):
            if len(batch) == batch_size:
                yield batch
                batch = []
                continue
            batch.append(item)
        yield batch


@catches("operations/stream-flat")
class ReadsAllFirst(Scanning):
    @task(effect="read")
    async def task_scan(
        self, prefix: str = "", batch_size: int = 500, connection: Any = None
    ) -> AsyncIterator[list[Item]]:
        """Read what begins with a prefix, as a stream.

        Args:
            prefix: what the keys begin with
            batch_size: items at a time
        """
        everything = await self.items(connection, prefix)
        for start in range(0, len(everything), batch_size):
            yield everything[start : start + batch_size]


@catches("operations/timeout-honoured")
class MakesUpAnswers(LineKVPlugin):
    async def ask(self, connection: Any, verb: str, **arguments: Any) -> Any:
        try:
            return await asyncio.wait_for(super().ask(connection, verb, **arguments), 0.2 if verb == "GET" else 60)
        except TimeoutError:
            return None


@catches("operations/cancelled-write")
class TakesItForDone(LineKVPlugin):
    async def ask(self, connection: Any, verb: str, **arguments: Any) -> Any:
        try:
            return await asyncio.wait_for(super().ask(connection, verb, **arguments), 0.2 if verb == "PUT" else 60)
        except TimeoutError as error:
            connection.abort()
            raise FlowExecutionError("nothing was written", error_class="unavailable") from error


@catches("operations/cancelled-at-service")
class LetsItRun(LineKVPlugin):
    async def ask(self, connection: Any, verb: str, **arguments: Any) -> Any:
        if verb != "SLOW":
            return await super().ask(connection, verb, **arguments)
        from linekv import Link

        host, port, user, password = self.place(self._config)
        link = await Link.open(host, port, user, password)
        self._kept = asyncio.ensure_future(link.ask(verb, **arguments))
        self._kept.add_done_callback(lambda _: link.abort())
        return await asyncio.shield(self._kept)

    async def connect(self, config: dict[str, Any]) -> Any:
        self._config = config
        return await super().connect(config)

    async def disconnect(self) -> None:
        if (kept := getattr(self, "_kept", None)) is not None:
            kept.cancel()
        await super().disconnect()


@catches("operations/idempotent-twice")
class Appends(LineKVPlugin):
    @task(effect="write", idempotent=True)
    async def task_put_all(self, items: list[Item], connection: Any = None) -> Counted:
        """Keep several values, or none.

        Args:
            items: keys and values
        """
        await self.ask(connection, "PUT_ALL", items=items)
        there = await self.ask(connection, "ALL")
        await self.ask(connection, "PUT", key=f"log:{len(there)}", value=len(items))
        return {"count": len(items)}


@catches("operations/reads-change-nothing")
class CountsReads(LineKVPlugin):
    @task(effect="read")
    async def task_get(self, key: str, connection: Any = None) -> Value:
        """Read a value.

        Args:
            key: its name
        """
        found = await self.ask(connection, "GET", key=key)
        there = await self.ask(connection, "ALL")
        await self.ask(connection, "PUT", key="reads", value=there.get("reads", 0) + 1)
        return {"value": found}


@catches("operations/batch-failure-told")
class TellsNotWhich(LineKVPlugin):
    @task(effect="write", idempotent=True)
    async def task_put_all(self, items: list[Item], connection: Any = None) -> Counted:
        """Keep several values, or none.

        Args:
            items: keys and values
        """
        try:
            return {"count": await self.ask(connection, "PUT_ALL", items=items)}
        except FlowExecutionError as error:
            raise FlowExecutionError("an item was refused", error_class="validation") from error.__cause__
