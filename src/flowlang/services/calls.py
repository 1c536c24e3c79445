"""One operation carried out: its request made from the parameters, its reply judged and mapped to outputs."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowlang.connections.http.errors import RequestFailed, invalid
from flowlang.connections.http.requests import key_of
from flowlang.exceptions import FlowExecutionError
from flowlang.services.model import Batches, Operation, Rule, Service
from flowlang.services.settings import bounded, property_of
from flowlang.tasks.context import Context

if TYPE_CHECKING:
    from flowlang.connections.http.calls import Call
    from flowlang.connections.http.client import Client
    from flowlang.services.pacing import Pace


class Caller:
    """Carries out the operations of an open connection. `config` holds its settings."""

    def __init__(self, service: Service, config: Mapping[str, Any], pace: Pace, retry_after_max: float) -> None:
        self._service = service
        self._config = config
        self._pace = pace
        self._most = retry_after_max

    async def perform(
        self, operation: Operation, client: Client, context: Context | None, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The outputs of an operation that is answered at once. Raises RequestFailed, FlowExecutionError."""
        params = _checked(operation, given)
        if operation.batches is not None:
            return await self._in_batches(operation, operation.batches, client, context, params)
        return await self._once(operation, client, _key(operation, context), [self._config, params])

    async def _once(self, operation: Operation, client: Client, key: str | None, roots: list[Any]) -> dict[str, Any]:
        call = await self._call(operation, client, roots, key)
        await self._pace.turn()
        answer = await client.answer(call)
        if operation.outputs is None:
            return {"body": answer.body}
        reply = answer.reply
        found: dict[str, Any] = operation.outputs(*roots, reply.status, reply.headers.as_value(), answer.body)
        return found

    async def _in_batches(
        self, operation: Operation, batches: Batches, client: Client, context: Context | None, params: dict[str, Any]
    ) -> dict[str, Any]:
        items = batches.of(self._config, params)
        if not isinstance(items, (list, tuple)):
            raise invalid("what comes in batches is a list, and this is none")
        key = _key(operation, context)
        merged: dict[str, Any] = {name: [] if how == "join" else 0 for name, how in batches.merge.items()}
        for start in range(0, len(items), batches.size):
            batch = list(items[start : start + batches.size])
            own = f"{key}:{start}" if key is not None else None  # each batch is a write of its own
            try:
                found = await self._once(operation, client, own, [self._config, params, batch])
                _merge(operation, batches, merged, found)
            except RequestFailed as error:
                raise _partial(operation, error, start, len(batch), len(items)) from error
        return merged

    async def pages(
        self, operation: Operation, client: Client, given: Mapping[str, Any]
    ) -> AsyncGenerator[list[Any], None]:
        """The items of a paged operation, a list for each page that has some. Raises as `perform`."""
        from flowlang.connections.http.paging import Pager, pages

        paged, params = operation.pages, _checked(operation, given)
        assert paged is not None
        roots = [self._config, params]
        limit = paged.max_pages(*roots) if paged.max_pages is not None else None
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool)):
            raise invalid("`max_pages` gives no whole number")
        pager = Pager(paged.next)
        template = operation.outputs

        async def called(values: dict[str, Any], *, at_link: bool) -> Call:
            call = await self._call(operation, client, roots, None, values, in_body=pager.in_body, at_link=at_link)
            await self._pace.turn()
            return call

        async with aclosing(pages(client, pager, called, paged.items, limit)) as found:
            async for page in found:
                yield page if template is None else [template(*roots, item) for item in page]

    # ------------------------------------------------------------ requests

    async def _call(
        self,
        operation: Operation,
        client: Client,
        roots: list[Any],
        key: str | None,
        values: Mapping[str, Any] | None = None,
        *,
        in_body: bool = False,
        at_link: bool = False,
    ) -> Call:
        """The request of an operation; `values` lead to the next page."""
        from flowlang.connections.http.bodies import body_of

        request, keying, header = operation.request, operation.keying, "Idempotency-Key"
        parts = request.parts(*roots)
        if key is not None and keying is not None:
            key, header = keying.written(key), keying.header or ""
            parts = keying.put(parts, key)
        query, json = parts.get("query"), parts.get("json")
        if values and in_body:
            json = {**(json or {}), **values}
        elif values and not at_link:
            query = {**(query or {}), **values}
        body = await body_of(json, parts.get("form"), None, parts.get("body"))
        expect = list(request.expect) if request.expect is not None else None
        call = client.call(request.method, parts["path"], query, parts.get("headers"), body, expect, None, key, header)
        return replace(call, judge=self._judge if self._service.rules else None, json=True)

    # ------------------------------------------------------------ replies

    def _judge(self, what: str, status: int, headers: Mapping[str, str], body: Any) -> RequestFailed | None:
        reply = (status, headers, body)
        rule = next((each for each in self._service.rules if each.when.attempted(*reply) is True), None)
        if rule is None:
            return None
        said = rule.message.attempted(*reply) if rule.message is not None else None
        text = f"{what}: {said}" if said else f"{what}: {status}, which this service means as `{rule.error_class}`"
        return RequestFailed(text, rule.error_class, retryable=rule.retryable, retry_after=self._wait(rule, reply))

    def _wait(self, rule: Rule, reply: tuple[Any, ...]) -> float | None:
        """Seconds to wait, as far as the reply says so and the connection heeds it."""
        after = rule.retry_after.attempted(*reply) if rule.retry_after is not None else None
        until = rule.retry_at.attempted(*reply) if rule.retry_at is not None else None
        if after is None and until is not None:
            after = float(until) - time.time()
        return None if after is None else min(max(0.0, float(after)), self._most)


def _key(operation: Operation, context: Context | None) -> str | None:
    """The key of a step: of a service that takes keys also the one that every step has by itself."""
    return context.idempotency_key if operation.keying is not None and context is not None else key_of(context)


def _merge(operation: Operation, batches: Batches, merged: dict[str, Any], found: Mapping[str, Any]) -> None:
    for name, how in batches.merge.items():
        value = found[name]
        if how == "join" and isinstance(value, (list, tuple)):
            merged[name].extend(value)
        elif how == "add" and isinstance(value, (int, float)):
            merged[name] += value
        else:
            raise invalid(f"output `{name}` of `{operation.task}` is no {'list' if how == 'join' else 'number'}")


def _partial(operation: Operation, error: RequestFailed, start: int, count: int, whole: int) -> RequestFailed:
    """The failure of one batch, with what is done already. Doing all of it again would do the first part twice."""
    items = f"item {start + 1}" if count == 1 else f"items {start + 1} to {start + count}"
    done = f"; the {start} before are done" if start else ""
    known = error.verdict
    again = False if start and not operation.idempotent else error.retryable
    return RequestFailed(
        f"{items} of {whole}{done}: {error}",
        known.error_class,
        retryable=again,
        retry_after=known.retry_after,
        outcome_unknown=known.outcome_unknown,
    )


def _checked(operation: Operation, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, with the defaults of those that are left out, and within what is declared of them."""
    from flowlang.document.unfit import place_in, unfit

    params = {
        each.name.text: given.get(each.name.text, each.default if each.has_default else None)
        for each in operation.params
    }
    for each in operation.params:
        name, value = each.name.text, params[each.name.text]
        if value is None or not bounded(each):
            continue
        from jsonschema_rs import Draft202012Validator

        error = next(iter(Draft202012Validator(property_of(each)).iter_errors(value)), None)
        if error is not None:
            raise FlowExecutionError(
                f"parameter `{place_in(name, list(error.instance_path))}` of `{operation.task}` {unfit(error)}",
                error_class="validation",
            )
    return params
