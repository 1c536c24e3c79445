"""`cache` and `idempotency_key`: what is asked for again, what is not, and what the task gets to know."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from tests.engine.support import JumpingClock, Service, registry_of, story, until

import flowlang
from flowlang.engine.cache import OutputCache
from flowlang.events import Event, StepFailed, StepSucceeded
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.values import Secret


class Rates:
    """A reading task that counts its calls; `held` keeps it from answering, `failures` makes it fail first."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failures = 0
        self.held: asyncio.Event | None = None

    def task(self) -> Callable[..., Any]:
        @flowlang.task(effect="read", name="rates")
        async def rates(of: str = "x") -> dict[str, Any]:
            self.calls.append(of)
            if self.held is not None:
                await self.held.wait()
            if self.failures:
                self.failures -= 1
                raise FlowExecutionError("not now", error_class="unavailable")
            return {"list": [len(self.calls)]}

        return rates


@pytest.fixture
def rates() -> Rates:
    return Rates()


def cached(step: str, name: str, more: str = "") -> str:
    """A flow with one step `a`; `name` keeps tests apart, since the cache belongs to the process."""
    return f"flow: {name}\n{more}steps:\n  - {step}\noutputs: [{{name: list, value: '${{a.list}}'}}]\n"


STEP = "rates: {id: a, of: x, cache: {key: x, ttl: 10s}}"


async def test_an_answer_is_used_again_until_it_is_too_old(rates: Rates) -> None:
    """By the clock of the runs; the event says where it came from."""
    clock, events, flow = JumpingClock(), [], flowlang.load(text=cached(STEP, "again"), tasks=[rates.task()])
    found = []
    for seconds in (0, 9.5, 1):
        clock.passed += seconds
        result = await flowlang.run(flow, clock=clock, on_event=events.append)
        found.append(result.outputs["list"])
    assert found == [[1], [1], [2]]
    assert [each.cached for each in events if isinstance(each, StepSucceeded)] == [False, True, False]


async def test_keys_are_apart(rates: Rates) -> None:
    text = cached("rates: {id: a, of: '${inputs.of}', cache: {key: 'of ${inputs.of}', ttl: 1h}}", "apart")
    flow = flowlang.load(
        text=text.replace("steps:", "inputs: [{name: of, type: string, required: true}]\nsteps:"), tasks=[rates.task()]
    )
    for of in ("1", "2", "1"):
        await flowlang.run(flow, {"of": of})
    assert len(rates.calls) == 2


async def test_another_text_another_task_another_service_is_another_answer(rates: Rates) -> None:
    task = rates.task()
    one, two = cached(STEP, "text one"), cached(STEP, "text two")
    for text, function in ((one, task), (two, task), (one, Rates().task()), (one, task)):
        await flowlang.run(text=text, tasks=[function])
    assert len(rates.calls) == 2

    @flowlang.task(effect="read", name="rates")
    async def on_a_service(of: str = "x", connection: Any = None) -> dict[str, Any]:
        return {"list": [await task(of)]}

    connected = "connections: {c: {type: fake, url: '${env.URL}'}}\n"
    flow = flowlang.load(text=cached(STEP, "service", connected), tasks=[on_a_service], registry=registry_of(Service()))
    for url in ("a", "b", "a"):
        await flowlang.run(flow, env={"URL": url})
    assert len(rates.calls) == 4


async def test_a_failure_is_not_kept(rates: Rates) -> None:
    rates.failures = 3
    flow = flowlang.load(text=cached(STEP[:-1] + ", retry: {max_attempts: 2}}", "failing"), tasks=[rates.task()])
    assert (await flowlang.run(flow, clock=JumpingClock())).status == "failed"
    assert (await flowlang.run(flow, clock=JumpingClock())).outputs == {"list": [4]}
    assert (await flowlang.run(flow, clock=JumpingClock())).outputs == {"list": [4]}


async def test_several_that_miss_at_once_call_once(rates: Rates) -> None:
    rates.held = asyncio.Event()
    flow = flowlang.load(text=cached(STEP, "flight"), tasks=[rates.task()])
    handles = [flowlang.start(flow) for _ in range(20)]
    await until(lambda: rates.calls)
    rates.held.set()
    assert [(await each).outputs for each in handles] == [{"list": [1]}] * 20
    assert len(rates.calls) == 1


async def test_those_who_wait_share_the_failure_of_the_call_they_waited_for(rates: Rates) -> None:
    """A service that is down is not asked by each of them, one after the other. Whoever comes later asks anew."""
    rates.held = asyncio.Event()
    rates.failures = 2
    step = STEP[:-1] + ", retry: {max_attempts: 2, delay: 0s}}"
    loop = f"{{id: each, for_each: [1, 2, 3], max_concurrency: 3, max_failures: 3, do: [{step}]}}"
    text = f"flow: shared\nsteps:\n  - {loop}\noutputs: [{{name: failed, value: '${{each.failed}}'}}]\n"
    flow = flowlang.load(text=text, tasks=[rates.task()])
    events: list[Event] = []
    handles = [flowlang.start(flow, on_event=events.append) for _ in range(5)]
    await until(lambda: rates.calls)
    rates.held.set()
    assert [(await each).outputs for each in handles] == [{"failed": 3}] * 5
    assert len(rates.calls) == 2
    failures = [each.failure for each in events if isinstance(each, StepFailed)]
    assert {(each.type, each.detail, each.attempt) for each in failures} == {("unavailable", "not now", 2)}
    assert sorted(each.step or "" for each in failures) == sorted(f"each[{n}].a" for n in range(3) for _ in range(5))
    assert sum("waited for another call" in str(each.notes) for each in failures) == 14
    assert (await flowlang.run(flow)).outputs == {"failed": 0}


async def test_one_that_fails_shows_nobody_the_secrets_of_another_run() -> None:
    """What failed was masked for the run that asked; the others know secrets of their own."""
    held = asyncio.Event()
    calls: list[str] = []

    @flowlang.task(effect="read")
    async def ask(token: str) -> dict[str, Any]:
        calls.append(token)
        await held.wait()
        raise FlowExecutionError("neither first-token nor other-token", retryable=False)

    step = "ask: {id: a, token: '${inputs.token}', cache: {key: x, ttl: 10s}}"
    inputs = "inputs: [{name: token, type: string, secret: true, required: true}]\n"
    flow = flowlang.load(text=f"flow: sealed\n{inputs}steps:\n  - {step}\n", tasks=[ask])
    handles = [flowlang.start(flow, {"token": token}) for token in ("first-token", "other-token")]
    await until(lambda: calls)
    held.set()
    for handle, detail in zip(handles, ("neither *** nor other-token", "neither *** nor ***")):
        failure = (await handle).failure
        assert failure is not None
        assert failure.detail == detail
    assert calls == ["first-token"]


async def test_one_that_is_cancelled_hands_over_to_the_next(rates: Rates) -> None:
    rates.held = asyncio.Event()
    flow = flowlang.load(text=cached(STEP, "hands over"), tasks=[rates.task()])
    first, second, third = (flowlang.start(flow) for _ in range(3))
    await until(lambda: rates.calls)
    first.cancel()
    assert (await first).status == "cancelled"
    await until(lambda: len(rates.calls) == 2)
    rates.held.set()
    assert ((await second).outputs, (await third).outputs) == ({"list": [2]}, {"list": [2]})


async def test_one_that_waits_for_another_may_run_out_of_time(rates: Rates) -> None:
    rates.held = asyncio.Event()
    step = "{rates: {id: a, cache: {key: x, ttl: 10s}}, timeout: 20ms}"
    patient = flowlang.load(text=cached(STEP, "patient"), tasks=[rates.task()])
    hasty = flowlang.load(text=cached(step, "hasty"), tasks=[rates.task()])
    assert (await flowlang.run(hasty)).failure is not None
    handle = flowlang.start(patient)
    await until(lambda: len(rates.calls) == 2)
    rates.held.set()
    assert (await handle).outputs == {"list": [2]}


async def test_what_a_run_does_to_its_answer_is_its_own(rates: Rates) -> None:
    """A task that changes the list it is given spoils it for nobody else."""

    def spoil(values: list[Any]) -> dict[str, Any]:
        values.clear()
        return {}

    text = cached(STEP + "\n  - log: 'before ${len(a.list)}'\n  - spoil: {values: '${a.list}'}", "own")
    flow = flowlang.load(text=text, tasks=[rates.task(), spoil])
    events: list[Event] = []
    for _ in range(3):
        await flowlang.run(flow, on_event=events.append)
    assert [each for each in story(events) if each.startswith("log")] == ["log before 1"] * 3
    assert len(rates.calls) == 1


class Given(TypedDict):
    token: Secret[str]


async def test_secret_outputs_are_kept_and_never_shown() -> None:
    @flowlang.task(effect="read")
    async def login() -> Given:
        return {"token": "tk-123456789"}

    events: list[Event] = []
    text = "flow: shy\nsteps: [{login: {id: a, cache: {key: k, ttl: 1h}}}]\noutputs: [{name: t, value: '${a.token}'}]\n"
    flow = flowlang.load(text=text, tasks=[login])
    for _ in range(2):
        result = await flowlang.run(flow, on_event=events.append)
        assert result.outputs == {"t": "tk-123456789"}
        assert result.shown_outputs() == {"t": "***"}
    assert "tk-123456789" not in repr(events)


async def test_the_cache_is_bounded_and_forgets_what_was_asked_for_longest_ago() -> None:
    cache, clock, calls = OutputCache(size=3), JumpingClock(), []

    async def ask(key: str) -> bool:
        async def call() -> dict[str, Any]:
            calls.append(key)
            return {"key": key}

        return (await cache.answer((key,), 60, clock, call))[1]

    for key in "abcabd":
        await ask(key)
    assert len(cache) == 3
    assert [await ask(key) for key in "abdc"] == [True, True, True, False]


async def test_what_cannot_be_copied_is_not_kept() -> None:
    cache = OutputCache()
    lock = threading.Lock()

    async def call() -> dict[str, Any]:
        return {"lock": lock}

    for _ in range(2):
        outputs, kept = await cache.answer(("k",), 60, JumpingClock(), call)
        assert (outputs["lock"] is lock, kept) == (True, False)
    assert len(cache) == 0


def test_event_loops_in_several_threads_share_it(rates: Rates) -> None:
    """A wait for a call of another loop would never end: each loop calls for itself, and what is there is used."""
    flow = flowlang.load(text=cached(STEP, "threads"), tasks=[rates.task()])
    threads = [threading.Thread(target=flowlang.run_sync, args=(flow,)) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    before = len(rates.calls)
    assert 1 <= before <= 4
    assert flowlang.run_sync(flow).succeeded
    assert len(rates.calls) == before


# ---------------------------------------------------------------- idempotency keys


async def keyed(step: str, inputs: dict[str, Any] | None = None) -> tuple[flowlang.RunResult, list[str], list[str]]:
    """Runs one step `charge` that loses the link on its first attempt. The result, the keys it saw, what was told."""
    seen: list[str] = []

    @flowlang.task(effect="write")
    async def charge(context: Any, lost: bool = True) -> dict[str, Any]:
        seen.append(context.idempotency_key)
        if lost and len(seen) == 1:
            raise ConnectionResetError("reset")
        return {}

    events: list[Event] = []
    text = f"flow: f\ninputs: [{{name: order}}]\nsteps: [{step}]\n"
    options: dict[str, Any] = {"tasks": [charge], "clock": JumpingClock(), "on_event": events.append, "run_id": "r1"}
    return await flowlang.run(text=text, inputs=inputs, **options), seen, story(events)


async def test_a_keyed_write_is_tried_again_with_the_same_key() -> None:
    result, seen, told = await keyed(
        "{charge: {id: c, retry: 3, idempotency_key: 'order ${inputs.order} ${uuid()}'}}", {"order": 7}
    )
    assert result.succeeded
    assert told[1] == "again c: 1 of 3, 0.75 s"
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert seen[0].startswith("order 7 ")


async def test_without_a_key_the_default_stays_and_an_unknown_outcome_is_not_repeated() -> None:
    result, seen, _ = await keyed("{charge: {id: c, retry: 3}}")
    assert (result.status, seen) == ("failed", ["r1:c"])


async def test_a_key_belongs_to_its_step_alone() -> None:
    _, seen, _ = await keyed("{charge: {id: c, lost: false, idempotency_key: mine}}, {charge: {id: d, lost: false}}")
    assert seen == ["mine", "r1:d"]


@pytest.mark.parametrize(("order", "words"), [(7, "of type int"), ("", "empty"), (None, "of type NoneType")])
async def test_a_key_has_to_be_a_text(order: Any, words: str) -> None:
    """Known too late for the check when it comes from an input of any type."""
    result, seen, _ = await keyed("{charge: {id: c, idempotency_key: '${inputs.order}'}}", {"order": order})
    assert result.failure is not None
    assert (result.failure.type, result.failure.step, seen) == ("validation", "c", [])
    assert words in result.failure.detail
