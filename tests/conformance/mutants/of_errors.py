"""Failures that are called something else, or told badly."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.conformance.double.provider import LineKVPlugin
from tests.conformance.mutants import catches

from flowlang.connections.errors import Classified
from flowlang.exceptions import ConnectionError, FlowExecutionError


@catches("errors/refused")
class RefusedIsAuth(LineKVPlugin):
    def error_table(self, error: BaseException) -> Any:  # type: ignore[override]
        return "auth" if isinstance(error, ConnectionRefusedError) else super().error_table(error)


@catches("errors/dns")
class UnknownHostIsInput(LineKVPlugin):
    def error_table(self, error: BaseException) -> Any:  # type: ignore[override]
        return "validation" if type(error).__name__ == "gaierror" else super().error_table(error)


@catches("errors/reset")
class ResetIsFinal(LineKVPlugin):
    def error_table(self, error: BaseException) -> Any:  # type: ignore[override]
        lost = isinstance(error, (EOFError, ConnectionResetError, BrokenPipeError))
        return Classified("conflict", retryable=False) if lost else super().error_table(error)


@catches("errors/tls")
class NoTlsIsTimeout(LineKVPlugin):
    def error_table(self, error: BaseException) -> Any:  # type: ignore[override]
        handshake = "ssl" in type(error).__module__ or isinstance(error, ConnectionError)
        return "permission" if handshake else super().error_table(error)


def calling(code: str, wrongly: str) -> type[LineKVPlugin]:
    """A plugin that calls what the server says with `code` something else."""

    class Miscalls(LineKVPlugin):
        def error_table(self, error: BaseException) -> Any:  # type: ignore[override]
            return wrongly if getattr(error, "code", "") == code else super().error_table(error)

    Miscalls.__name__ = Miscalls.__qualname__ = f"Calls{code.title().replace('_', '')}{wrongly.title()}"
    globals()[Miscalls.__qualname__] = Miscalls
    return Miscalls


catches("errors/auth")(calling("AUTH", "connect"))
catches("errors/permission")(calling("DENIED", "auth"))
catches("errors/not-found")(calling("MISSING", "validation"))
catches("errors/conflict")(calling("EXISTS", "task"))
catches("errors/validation")(calling("INVALID", "conflict"))
catches("errors/rate-limited")(calling("SLOW_DOWN", "limit"))
catches("errors/unavailable")(calling("DOWN", "not_found"))


@catches("errors/retry-after")
class WaitUnknown(LineKVPlugin):
    def error_table(self, error: BaseException) -> Any:  # type: ignore[override]
        verdict = super().error_table(error)
        return verdict.error_class if isinstance(verdict, Classified) else verdict


@catches("errors/invalid-never-retried")
class RetriesInvalid(LineKVPlugin):
    def error_table(self, error: BaseException) -> Any:  # type: ignore[override]
        verdict = super().error_table(error)
        return Classified("validation", retryable=True) if verdict == "validation" else verdict


@catches("errors/cause-chained")
class Unchained(LineKVPlugin):
    async def ask(self, connection: Any, verb: str, **arguments: Any) -> Any:
        try:
            return await super().ask(connection, verb, **arguments)
        except FlowExecutionError as error:
            raise FlowExecutionError(str(error)) from None


@catches("errors/cancel-not-wrapped")
class CancelledIsError(LineKVPlugin):
    async def ask(self, connection: Any, verb: str, **arguments: Any) -> Any:
        try:
            return await super().ask(connection, verb, **arguments)
        except asyncio.CancelledError as error:
            raise FlowExecutionError("it was interrupted") from error


@catches("errors/message-complete")
class Silent(LineKVPlugin):
    async def ask(self, connection: Any, verb: str, **arguments: Any) -> Any:
        try:
            return await super().ask(connection, verb, **arguments)
        except FlowExecutionError as error:
            raise FlowExecutionError("failed") from error


@catches("errors/retries-not-multiplied")
class RetriesInside(LineKVPlugin):
    async def ask(self, connection: Any, verb: str, **arguments: Any) -> Any:
        from linekv import Link

        try:
            return await super().ask(connection, verb, **arguments)
        except FlowExecutionError as error:
            for _ in range(5):
                try:
                    link = await Link.open(*self._place)
                except Exception:  # noqa: BLE001 - the defect
                    continue
                link.abort()
            raise FlowExecutionError("tried six times") from error.__cause__

    async def connect(self, config: dict[str, Any]) -> Any:
        self._place = self.place(config)
        return await super().connect(config)
