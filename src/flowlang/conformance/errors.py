"""Checks of what failures are called, and of what follows from them."""

from __future__ import annotations

import asyncio
from typing import Any

from flowlang.conformance.calls import Call
from flowlang.conformance.lifecycle import MOMENTS, RETRY
from flowlang.conformance.model import Absent, Check, Failed, Unproven, check, register
from flowlang.conformance.secrets import CANARY, shows, with_wrong_secret
from flowlang.conformance.subject import Ran, Subject
from flowlang.connections.config import schema_of, secret_texts
from flowlang.connections.errors import Classified, Phase, classify
from flowlang.exceptions import ERROR_CLASSES, Failure
from flowlang.records import frozen

NOWHERE = "no-such-host.invalid"  # RFC 2606: never resolved
LINKS_AN_ATTEMPT = 2  # that a plugin may open for one attempt of a step


def _class_of(subject: Subject, error: BaseException | None, phase: Phase) -> Classified:
    if error is None:
        raise Failed("it succeeds where it has to fail")
    return classify(error, subject.prototype, phase)


def _expect(found: Classified, wanted: str, what: str, error: BaseException | None) -> None:
    if found.error_class != wanted:
        raise Failed(f"{what} is called `{found.error_class}`, not `{wanted}`: {type(error).__name__}: {error}")
    if found.retryable != ERROR_CLASSES[wanted].retryable and wanted != "conflict":
        raise Failed(f"{what} is {'' if found.retryable else 'not '}retryable, a `{wanted}` as a rule is otherwise")


# ---------------------------------------------------------------- on the way to the service


@check("contract")
async def refused(subject: Subject) -> None:
    """A service that is not there is a `connect` failure, which a retry may mend."""
    if subject.wrong_config:
        error, phase = await subject.failure_of_use({**subject.config, **subject.wrong_config})
        found = _class_of(subject, error, phase)
        if found.error_class not in ("connect", "config"):
            raise Failed(f"a place that is not there is called `{found.error_class}`: {error}")
        return
    with subject.wire() as (proxy, config):
        proxy.refuse()
        error, phase = await subject.failure_of_use(config)
    _expect(_class_of(subject, error, phase), "connect", "a refused connection", error)


@check("contract", "network")
async def dns(subject: Subject) -> None:
    """A host that does not exist is a `connect` failure."""
    address = subject.address
    error, phase = await subject.failure_of_use(address.moved(subject.config, NOWHERE, address.port))
    _expect(_class_of(subject, error, phase), "connect", "a host that does not exist", error)


@check("quality", "network")
async def reset(subject: Subject) -> None:
    """A link that is lost during an operation is `connection_lost`, retryable, the outcome of a write unknown."""
    call = await _lost_call(subject)
    async with subject.through() as (proxy, opened):
        proxy.stall()
        proxy.reset_counts()
        task = asyncio.ensure_future(opened.call(call))
        for _ in range(200):
            if proxy.requests or task.done():
                break
            await asyncio.sleep(0.005)
        proxy.refuse()
        proxy.cut()
        proxy.resume()
        await asyncio.wait({task}, timeout=10)
        error = task.exception() if task.done() and not task.cancelled() else TimeoutError()
    found = _class_of(subject, error, "task")
    _expect(found, "connection_lost", "a link lost during an operation", error)
    spec = subject.specs[call.task]
    if not found.outcome_unknown and spec.effect not in ("read", "none") and not spec.idempotent:
        raise Failed("a link lost during an operation leaves its outcome unknown, and that is not told")


async def _lost_call(subject: Subject) -> Call:
    """A write where there is one: the loss of a read leaves nothing open."""
    try:
        return await subject.writing()
    except Absent:
        return await subject.reading()


@check("quality", "tls")
async def tls(subject: Subject) -> None:
    """A service that speaks no TLS where it is asked for is a `connect` failure, or a lost link where it hangs up."""
    if not subject.tls_config:
        raise Unproven("state `tls_config` in `settings` to prove this")
    settings = subject.tls_config
    error, phase = await subject.failure_of_use(
        {**subject.config, **(settings(subject) if callable(settings) else settings)}
    )
    found = _class_of(subject, error, phase)
    if found.error_class not in (
        "connect",
        "connection_lost",
        "timeout",
    ):  # services hang up, or wait for the end of a line
        raise Failed(f"a failed TLS handshake is called `{found.error_class}`: {error}")


@check("quality", "credentials")
async def auth(subject: Subject) -> None:
    """A wrong credential is `auth`, which no retry mends."""
    error, phase = await subject.failure_of_use(with_wrong_secret(subject, CANARY))
    if error is None:
        raise Absent("the service at hand takes any credential")
    _expect(_class_of(subject, error, phase), "auth", "a wrong credential", error)


# ---------------------------------------------------------------- what the service answers


@frozen
class _Answered:
    """The check that a stated failure has its class."""

    error_class: str

    async def __call__(self, subject: Subject) -> None:
        call = _failing(subject, self.error_class)
        await subject.calls()
        async with subject.opened() as opened:
            error = await _raised(opened, call)
        _expect(_class_of(subject, error, "task"), self.error_class, f"what `{call.task}` fails with", error)


async def _raised(opened: Any, call: Call) -> BaseException | None:
    try:
        await opened.call(call)
    except Exception as error:  # noqa: BLE001 - it is what the check looks at
        return error
    return None


def _failing(subject: Subject, error_class: str) -> Call:
    call = subject.operations.fails.get(error_class)
    if call is None:
        raise Unproven(f"state in `operations.fails` a call that fails with `{error_class}`")
    return call


_TITLES = {
    "permission": "What the account may not do is `permission`.",
    "not_found": "What does not exist is `not_found`.",
    "conflict": "What the state of the service forbids is `conflict`.",
    "validation": "What the service refuses as invalid is `validation`.",
    "rate_limited": "A service that asks to slow down is `rate_limited`, which a retry may mend.",
    "unavailable": "A service that answers that it cannot serve now is `unavailable`, which a retry may mend.",
}
for _name, _title in _TITLES.items():
    register(Check("errors", _name.replace("_", "-"), "quality", (_name,), _Answered(_name), _title))


@check("quality", "rate_limited")
async def retry_after(subject: Subject) -> None:
    """`rate_limited` says how long the service wants to be left alone."""
    call = _failing(subject, "rate_limited")
    await subject.calls()
    async with subject.opened() as opened:
        error = await _raised(opened, call)
    if _class_of(subject, error, "task").retry_after is None:
        raise Failed("a `rate_limited` failure says nothing of how long to wait: `retry_after`")


@check("quality", "validation")
async def invalid_never_retried(subject: Subject) -> None:
    """What the service refuses as invalid is asked once, whatever the retry policy says."""
    from flowlang.events import AttemptFailed

    await subject.calls()
    ran = await subject.flow(_failing(subject, "validation"), retry=RETRY)
    if any(isinstance(each, AttemptFailed) for each in ran.events):
        raise Failed("what is invalid is tried again")


# ---------------------------------------------------------------- what is told


async def _a_failure(subject: Subject) -> tuple[BaseException, Ran]:
    """A failing operation: one that the author stated, else one whose link is lost. The error as raised, and a run."""
    call = await subject.reading()
    stated = next(iter(subject.operations.fails.values()), None)
    if stated is not None:
        async with subject.opened() as opened:
            error = await _raised(opened, stated)
        ran = await subject.flow(stated)
    else:
        try:
            async with subject.through() as (proxy, opened):
                proxy.refuse()
                proxy.cut()
                error = await _raised(opened, call)
        except Absent as absent:
            raise Unproven(f"{absent}: state a call in `operations.fails`") from absent
        with subject.wire() as (proxy, config):
            proxy.refuse()
            ran = await subject.flow(call, config=config)
    if error is None:
        raise Unproven("no operation could be made to fail: state one in `operations.fails`")
    return error, ran


@check("contract")
async def cause_chained(subject: Subject) -> None:
    """What the driver raised is chained to what the task raises (`raise … from error`), or is raised itself."""
    error, _ = await _a_failure(subject)
    # The guide lets a plugin carry copies of these names; a class of the plugin's own may be the first to know.
    ours = type(error).__name__ in ("FlowExecutionError", "ConnectionError")
    if ours and error.__cause__ is None and not _states_class(error):
        raise Failed(f"the cause of {type(error).__name__}: {error} is not chained: `raise … from error`")


def _states_class(error: BaseException) -> bool:
    """An error that the plugin finds itself has no cause, and says what it is."""
    return getattr(error, "error_class", None) is not None


@check("contract")
async def cancel_not_wrapped(subject: Subject) -> None:
    """A cancelled task ends as cancelled, not with an error of its own and not as a success."""
    call = await subject.reading()
    async with subject.opened() as opened:
        for turns in MOMENTS:
            task = asyncio.ensure_future(opened.call(call))
            for _ in range(turns):
                await asyncio.sleep(0)
            running = not task.done()
            task.cancel()
            await asyncio.wait({task}, timeout=5)
            if running and not task.cancelled():
                ended = task.exception() if task.done() else "not at all"
                raise Failed(f"a cancelled task ends in {ended!r}: let `CancelledError` through")


@check("contract")
async def message_complete(subject: Subject) -> None:
    """A failure says in words what went wrong, and on which connection and step; it shows no credential."""
    error, ran = await _a_failure(subject)
    failure = ran.result.failure
    if failure is None:
        raise Failed(f"the run of a failing operation ends as {ran.result.status}")
    if len(str(error).split()) < 2:
        raise Failed(f"the message of {type(error).__name__} is {str(error)!r}: say what went wrong")
    if failure.connection != "subject":
        raise Failed("the failure does not name the connection")
    _no_secret(subject, failure, str(error))


def _no_secret(subject: Subject, failure: Failure, text: str) -> None:
    told = f"{failure} {text}"
    for each in secret_texts(schema_of(subject.prototype), subject.config):
        if len(each) >= 6 and shows(told, each):
            raise Failed("the message shows a credential")


@check("quality", "network")
async def retries_not_multiplied(subject: Subject) -> None:
    """A step with two attempts asks the service about twice: the driver does not try again behind its back."""
    call = await subject.reading()
    with subject.wire() as (proxy, config):
        gone: list[bool] = []

        async def lose(_: Any) -> None:
            if not gone:
                gone.append(True)
                await asyncio.to_thread(proxy.fail_links)
                proxy.reset_counts()

        lost = subject.leasing(after=lose)
        await lost.flow(call, config=config, retry={**RETRY, "max_attempts": 2}, timeout="10s")
        accepted = proxy.accepted - subject.side_links
    if accepted > 2 * LINKS_AN_ATTEMPT:
        raise Failed(f"two attempts of a step open {accepted} links: something retries beneath them")
