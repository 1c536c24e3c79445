"""A secret too short to be searched for is told by no failure, log or event of what was given it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.support import Service, registry_of

import flowlang
from flowlang.events import Event, to_record
from flowlang.exceptions import FlowExecutionError
from flowlang.masking import WITHHELD

PIN = "q7#"
HEAD = "flow: f\ninputs: [{name: pin, type: string, secret: true, required: true}]\nconnections: {c: {type: fake}}\n"


def tasks() -> list[Any]:
    @flowlang.task
    async def fails(key: Any, context: flowlang.Context) -> dict[str, Any]:
        """Say it in an error, in its causes and in the log."""
        context.logger.warning("it is %s", key)
        try:
            raise OSError(f"cannot open {key}")
        except OSError as error:
            context.logger.exception("oh")
            raise FlowExecutionError(f"bad key {key}", error_class="unavailable") from error

    @flowlang.task
    async def quits(key: str) -> None:
        """Leave."""
        raise SystemExit(f"no {key}")

    @flowlang.task
    async def names(key: str) -> dict[str, Any]:
        """Give something else than what was asked for."""
        return {key: 1}

    @flowlang.task
    async def rows(key: str) -> AsyncIterator[list[Any]]:
        """Fail on the way."""
        try:
            yield [1]
            raise OSError(f"no more of {key}")
        finally:
            raise ValueError(f"cannot close {key}")

    @flowlang.task
    async def takes(given: Any) -> dict[str, Any]:
        """Read a stream."""
        return {"all": [each async for batch in given.batches() for each in batch]}

    return [fails, quits, names, rows, takes]


STEPS = {
    "a failure": "- fails: {key: '${inputs.pin}'}",
    "in a longer text": "- fails: {key: 'the pin ${inputs.pin} of me'}",
    "in an object": "- fails: {key: {a: ['${inputs.pin}'], b: 5}}",
    "from a set step": "- {id: s, set: {it: '${inputs.pin + \"-\"}'}}\n- fails: {key: '${s.it}'}",
    "retried": "- fails: {key: '${inputs.pin}', retry: {delay: 0s, max_attempts: 2}}",
    "caught": "- try: [{fails: {key: '${inputs.pin}'}}]\n  catch: [{as: e, do: [{log: '${json(e)}'}, "
    "{raise: {message: 'on: ${e.detail} ${json(e.cause)}'}}]}]",
    "handled": "- fails: {key: '${inputs.pin}', on_error: [{log: '${json(error)}'}, "
    "{raise: {message: '${error.detail}'}}]}",
    "beside another": "- parallel: [{log: x}, {fails: {key: '${inputs.pin}'}}, {fails: {key: '${inputs.pin}'}}]\n"
    "  fail_fast: false",
    "in a loop": "- for_each: [1, 2]\n  max_failures: 1\n  do: [{fails: {key: '${inputs.pin}'}}]",
    "while a connection is given back": "- fake_op: {value: '${inputs.pin}', outputs: [label]}\n"
    "- raise: {message: no}",
    "in finally": "- try: [{raise: {type: task, message: no}}]\n  finally: [{fails: {key: '${inputs.pin}'}}]",
    "in a handler's guard": "- try: [{fails: {key: '${inputs.pin}'}}]\n"
    "  catch: [{if: \"${from_json('[]')[0] == 1}\", do: [{log: x}]}]",
    "in a subflow": "- subflow: sub\n  inputs: {k: '${inputs.pin}'}",
    "leaving the process": "- quits: {key: '${inputs.pin}'}",
    "the name of an output": "- names: {key: '${inputs.pin}', outputs: [other]}",
    "while a stream is read": "- rows: {id: r, key: '${inputs.pin}'}\n- for_each: '${r.rows}'\n  do: [{log: x}]",
    "while several read it": "- rows: {id: r, key: '${inputs.pin}'}\n- for_each: '${r.rows}'\n  max_concurrency: 2\n"
    "  do: [{log: x}]",
    "while a task reads it": "- rows: {id: r, key: '${inputs.pin}'}\n- takes: {given: '${r.rows}'}",
    "a stream that is left": "- rows: {id: r, key: '${inputs.pin}'}\n- raise: {type: task, message: enough}",
    "in a commit": "- transaction: c\n  do: [{fake_op: {value: '${inputs.pin}', outputs: [label]}}]",
}  # fmt: skip


@pytest.mark.parametrize("route", STEPS)
async def test_it_is_told_nowhere(route: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "sub.yaml").write_text(
        "flow: sub\ninputs: [{name: k, type: string, secret: true, required: true}]\n"
        "steps:\n  - fails: {key: '${inputs.k}'}\n"
    )
    steps = "".join(f"  {line}\n" for line in STEPS[route].splitlines())
    (tmp_path / "f.yaml").write_text(f"{HEAD}steps:\n{steps}")
    service, events = Service(), list[Event]()

    async def refused(number: int) -> None:
        raise RuntimeError(f"nobody may see {PIN}")

    if "fake_op" in STEPS[route]:  # who was never given it cannot know it
        service.hooks.update(dict.fromkeys(("commit", "release", "disconnect"), refused))
    result = await flowlang.run(
        tmp_path / "f.yaml",
        {"pin": PIN},
        tasks=tasks(),
        registry=registry_of(service),
        on_event=events.append,
    )
    assert result.status == "failed", result.findings
    assert result.failure is not None
    told = [result, result.failure, result.to_record(), *events, *map(to_record, events), caplog.text]
    assert PIN not in "\n".join(map(repr, told))
    assert WITHHELD in "\n".join(map(repr, told))
    assert result.failure.step is not None


async def test_the_class_the_place_and_what_the_engine_itself_says_stay() -> None:
    @flowlang.task(effect="read")
    async def slow(key: str) -> None:
        """Take for ever."""
        import asyncio

        await asyncio.sleep(3600)

    flow = "flow: f\ninputs: [{name: pin, type: string, secret: true, required: true}]\nsteps:\n"
    given = {"inputs": {"pin": PIN}, "tasks": [slow, *tasks()]}
    result = await flowlang.run(text=f"{flow}  - fails: {{id: a, key: '${{inputs.pin}}'}}\n", **given)
    assert result.failure is not None
    assert (result.failure.type, result.failure.step, result.failure.line) == ("unavailable", "a", 4)
    assert (result.failure.detail, result.failure.cause) == (WITHHELD, ())
    result = await flowlang.run(text=f"{flow}  - slow: {{id: a, key: '${{inputs.pin}}', timeout: 10ms}}\n", **given)
    assert result.failure is not None
    assert result.failure.detail == "no answer within 0.01 s"


async def test_a_step_that_is_given_no_secret_says_what_it_has_to_say() -> None:
    flow = "flow: f\ninputs: [{name: pin, type: string, secret: true, required: true}]\nsteps:\n"
    result = await flowlang.run(
        text=f"{flow}  - set: {{x: '${{inputs.pin}}'}}\n  - fails: {{key: plain}}\n",
        inputs={"pin": PIN},
        tasks=tasks(),
    )
    assert result.failure is not None
    assert result.failure.detail == "bad key plain"


async def test_of_long_secrets_what_is_made_of_them_is_masked_too_and_a_short_part_withheld() -> None:
    """`upper(…)` of a secret is none of the texts that are looked for in general."""
    flow = "flow: f\ninputs: [{name: key, type: string, secret: true, required: true}]\nsteps:\n"
    given = {"inputs": {"key": "swordfish"}, "tasks": tasks()}
    result = await flowlang.run(text=f"{flow}  - fails: {{key: '${{upper(inputs.key)}}'}}\n", **given)
    assert result.failure is not None
    assert result.failure.detail == "bad key ***"
    result = await flowlang.run(text=f"{flow}  - fails: {{key: '${{inputs.key[0:3]}}'}}\n", **given)
    assert result.failure is not None
    assert result.failure.detail == WITHHELD


async def test_a_short_secret_that_a_task_gave_counts(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import flowlang\nfrom typing import TypedDict\nclass Made(TypedDict):\n    code: flowlang.Secret[str]\n"
        "@flowlang.task\nasync def make() -> Made:\n    '''Make a code.'''\n    return {'code': 'q7#'}\n"
        "@flowlang.task\nasync def fails(key: str) -> None:\n    '''Fail.'''\n"
        "    raise ValueError(f'bad key {key}', key[5:])\n"
    )
    (tmp_path / "f.yaml").write_text(
        "flow: f\ntasks: [mine.py]\nsteps:\n  - make: {id: m}\n  - fails: {key: 'code ${m.code}'}\n"
    )
    result = await flowlang.run(tmp_path / "f.yaml")
    assert result.failure is not None, result.findings
    assert result.failure.detail == WITHHELD
