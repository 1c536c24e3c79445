"""A canary in every place a secret can come from is found in no sink, in no form."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.engine.support import Service, registry_of

import flowlang
from flowlang.events import Event, to_record
from flowlang.exceptions import FlowExecutionError

CANARY = 'c4nary/&"päss wörd\\'
FLOW = """\
flow: f
inputs: [{name: key, type: string, secret: true, default: ""}]
connections:
  c: {type: fake, url: "https://user:${secrets.PASS}@host/x", password: "${secrets.PASS}", label: "${env.LABEL}"}
steps:
  - {id: s, set: {tainted: "${inputs.key}x", told: "${secrets.PASS}"}}
  - leak: {id: leaks, text: "${inputs.key}"}
  - fake_op: {id: op, value: "${s.tainted}"}
  - log: "${s.told}"
  - {fake_fail: {id: bad, error: unavailable}, retry: {delay: 0s, max_attempts: 2}, continue_on_error: true}
  - {broken: {id: b, text: "${inputs.key}"}, on_error: [{log: "${error.detail}"}]}
  - STEP
outputs:
  - {name: direct, value: "${s.tainted}"}
  - {name: echoed, value: "${leaks}"}
"""
LAST = [
    "log: done",
    'raise: {type: conflict, message: "no ${secrets.PASS}"}',
    'exit: {reason: "${inputs.key}", outputs: {k: "${inputs.key}"}}',
    'exit: {status: failure, reason: "${inputs.key}"}',
    'broken: {text: "${inputs.key}"}',
    'set: {n: "${int(inputs.key)}"}',
    'nap: {}\n    timeout: 10ms',
]  # fmt: skip


def forms(secret: str) -> list[str]:
    raw = secret.encode()
    return [
        secret,
        quote(secret, safe=""),
        quote(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        raw.hex(),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
    ]


@flowlang.task
async def leak(text: str, context: flowlang.Context) -> dict[str, Any]:
    """Say it in all ways."""
    context.logger.debug("it is %s", text)
    logging.getLogger("flowlang.task").debug("harmless")
    return {"forms": forms(text), "deep": [{"x": (text, text.encode())}], text: 1}


@flowlang.task
async def broken(text: str) -> dict[str, Any]:
    """Say it in an error."""
    try:
        raise OSError(f"cannot open {quote(text)}")
    except OSError as error:
        raise FlowExecutionError(f"bad key {text!r} {text.encode().hex()}", retryable=False) from error


@flowlang.task
async def nap() -> None:
    """Wait."""
    import asyncio

    await asyncio.sleep(3600)


def everything(result: flowlang.RunResult, events: list[Event], caplog: pytest.LogCaptureFixture) -> str:
    parts = [repr(result), repr(result.failure), repr(result.to_record())]
    parts.append(json.dumps(result.to_record(), default=str, ensure_ascii=False))
    for each in events:
        parts += [repr(each), str(to_record(each)), json.dumps(to_record(each), default=str)]
    return "\n".join([*parts, caplog.text])


@pytest.mark.parametrize("last", LAST)
async def test_no_sink_shows_a_secret_in_any_form(last: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    service, events = Service(), list[Event]()

    async def cannot_close(number: int) -> None:
        raise RuntimeError(f"still busy with {CANARY}")

    service.hooks["disconnect"] = service.hooks["release"] = cannot_close
    result = await flowlang.run(
        text=FLOW.replace("STEP", last),
        inputs={"key": CANARY},
        secrets={"PASS": CANARY},
        env={"LABEL": "plain"},
        tasks=[leak, broken, nap],
        registry=registry_of(service),
        on_event=events.append,
    )
    assert result.status in ("succeeded", "failed"), [str(each.message) for each in result.findings]
    shown = everything(result, events, caplog)
    assert [form for form in forms(CANARY) if form in shown] == []
    assert "***" in shown
    if last.startswith("log"):
        assert result.outputs["direct"] == CANARY + "x"  # the caller gets the value itself
        assert result.to_record()["outputs"]["direct"] == "***"


async def test_text_from_a_connection_with_a_short_secret_is_withheld_whole(caplog: pytest.LogCaptureFixture) -> None:
    service, events = Service(), list[Event]()

    async def cannot_close(number: int) -> None:
        raise RuntimeError("the password is q7")

    service.hooks["disconnect"] = cannot_close
    flow = "flow: f\nconnections: {c: {type: fake, url: 'x://me:${secrets.P}@h', password: '${secrets.P}'}}\n"
    result = await flowlang.run(
        text=f"{flow}steps: [{{fake_fail: {{id: a}}}}]\n",
        secrets={"P": "q7"},
        registry=registry_of(service),
        on_event=events.append,
    )
    assert result.failure is not None
    assert "withheld" in result.failure.detail
    assert "q7" not in everything(result, events, caplog)


async def test_an_empty_or_one_letter_secret_shreds_nothing() -> None:
    events: list[Event] = []
    flow = "flow: f\nsteps: [{id: s, set: {a: '${secrets.A}', b: '${secrets.B}', c: aaaa}}, {log: a plain text}]\n"
    result = await flowlang.run(text=flow, secrets={"A": "a", "B": ""}, on_event=events.append)
    assert result.succeeded, result.findings
    assert "a plain text" in str(events)


async def test_a_config_that_is_refused_does_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    flow = "flow: f\nconnections: {c: {type: fake, password: '${secrets.P}', label: '${secrets.P}', url: 5}}\n"
    flow += "steps: [{log: x}]\n"
    result = await flowlang.run(text=flow, secrets={"P": CANARY}, registry=registry_of(Service()))
    shown = repr(result.to_record()) + repr(result.findings) + caplog.text
    assert result.status == "invalid"
    assert not [form for form in forms(CANARY) if form in shown]


def test_a_secret_stays_one_in_a_subflow(tmp_path: Path) -> None:
    """An input that does not declare it is secret where a secret reaches it, however short, and plain where none does;
    so is what the subflow gives back."""
    (tmp_path / "sub.yaml").write_text(
        "flow: sub\ninputs: [{name: k, type: string, required: true}]\nsteps:\n  - log: 'got ${inputs.k}'\n"
        "outputs: [{name: r, value: '${inputs.k}!'}]\n"
    )
    (tmp_path / "main.yaml").write_text(
        "flow: main\ninputs: [{name: key, type: string, secret: true, required: true}]\nsteps:\n"
        "  - subflow: sub\n    id: a\n    inputs: {k: '${inputs.key}'}\n"
        "  - subflow: sub\n    id: b\n    inputs: {k: plain}\n"
        "outputs: [{name: a, value: '${a.r}'}, {name: b, value: '${b.r}'}]\n"
    )
    events: list[Event] = []
    result = flowlang.run_sync(tmp_path / "main.yaml", {"key": "abc"}, on_event=events.append)
    assert result.outputs == {"a": "abc!", "b": "plain!"}
    assert result.to_record()["outputs"] == {"a": "***", "b": "plain!"}
    assert "abc" not in "".join(map(str, events))
    assert "got plain" in "".join(map(str, events))
