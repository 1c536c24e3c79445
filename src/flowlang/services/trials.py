"""`tests` of a service file: what an operation asks of the service, what the service replies, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping as Table
from typing import Any

from flowlang.diagnostics import Span
from flowlang.document import codes as document_codes
from flowlang.document.context import Context
from flowlang.document.fields import Fields, wrong_type
from flowlang.document.inputs import plain
from flowlang.document.model import Name
from flowlang.document.nodes import Mapping, Node
from flowlang.exceptions import ERROR_CLASSES
from flowlang.records import frozen
from flowlang.services.model import Operation, Service

TEST_KEYS = ("name", "operation", "config", "params", "replies", "outputs", "error")
REPLY_KEYS = ("asked", "status", "headers", "json", "text")
ASKED_KEYS = ("method", "path", "query", "headers", "json", "form")
ERROR_KEYS = ("type", "detail", "retry_after")


@frozen
class Reply:
    """One reply of the service, recorded or written. `asked` is what matters of the request that it answers, each part
    with its place."""

    status: int
    headers: Table[str, str]
    body: Any
    text: str | None
    asked: Table[str, tuple[Any, Span]]
    span: Span


@frozen
class Trial:
    """One test. Of `outputs` and `error`, each with its place, only what is written is looked at."""

    name: Name
    operation: Operation
    config: Table[str, Any]
    params: Table[str, Any]
    replies: tuple[Reply, ...]
    outputs: Table[str, tuple[Any, Span]]
    error: Table[str, tuple[Any, Span]]


def read_trials(fields: Fields, service: Service) -> tuple[Trial, ...]:
    """The tests in the order of the text. `fields` are those of the service file."""
    found: dict[str, Trial] = {}
    for node in fields.items("tests", Mapping):
        if not isinstance(node, Mapping):
            wrong_type(fields.context, "tests", node, "objects with `name` and `operation`")
            continue
        trial = _trial(fields.context, node, service)
        if trial is None:
            continue
        earlier = found.setdefault(trial.name.text, trial)
        if earlier is not trial:
            message = f"test `{trial.name.text}` is already defined at {earlier.name.span.start}"
            fields.findings.add(document_codes.ALREADY_DEFINED, message, trial.name.span, "rename one of the two")
    return tuple(found.values())


def _trial(context: Context, node: Mapping, service: Service) -> Trial | None:
    fields = Fields(context, node, "a test", TEST_KEYS, also={"call": "operation", "expect": "outputs"})
    fields.required("name")
    fields.required("operation")
    fields.required("replies")
    name = fields.text("name", numbers=True)
    word = fields.word("operation", [each.name for each in service.operations])
    operation = next((each for each in service.operations if each.name == word), None)
    replies = tuple(each for each in (_reply(context, item) for item in fields.items("replies", Mapping)) if each)
    if "outputs" in fields and "error" in fields:
        message = "a test expects `outputs` or an `error`, not both"
        context.findings.add(document_codes.GIVEN_TWICE, message, fields.span("error"), "remove one")
    if name is None or operation is None:
        return None
    params = _values(fields, "params", [each.name.text for each in operation.params], f"operation `{operation.name}`")
    settings = [each.name.text for each in service.settings]
    outputs = _values(fields, "outputs", [each.name for each in operation.declared], f"operation `{operation.name}`")
    error = _values(fields, "error", list(ERROR_KEYS), "`error`")
    kind = error.get("type")
    if kind is not None and kind[0] not in ERROR_CLASSES:
        message = f"there is no error class `{kind[0]}`"
        close = context.findings.nearest(str(kind[0]), ERROR_CLASSES)
        context.findings.add(
            document_codes.UNKNOWN_WORD, message, kind[1], f"did you mean `{close}`?" if close else None
        )
    config = _values(fields, "config", settings, "the service's `config`")
    return Trial(
        name=name,
        operation=operation,
        config={key: value for key, (value, _) in config.items()},
        params={key: value for key, (value, _) in params.items()},
        replies=replies,
        outputs=outputs,
        error=error,
    )


def _values(fields: Fields, key: str, known: list[str], place: str) -> dict[str, tuple[Any, Span]]:
    """The plain values of an object, each with its place."""
    node = fields.object(key, "an object of names and values")
    if node is None:
        return {}
    inner = Fields(fields.context, node, place, known)
    return {name: (plain(fields.context, value), _start(value)) for name, (_, value) in inner.entries.items()}


def _reply(context: Context, node: Node) -> Reply | None:
    if not isinstance(node, Mapping):
        wrong_type(context, "replies", node, "objects such as `{json: {…}}`")
        return None
    fields = Fields(context, node, "a reply", REPLY_KEYS, also={"body": "json", "request": "asked"})
    status = fields.integer("status", least=100)
    if "json" in fields and "text" in fields:
        message = "a reply has `json` or `text`, not both"
        context.findings.add(document_codes.GIVEN_TWICE, message, fields.span("text"), "remove one")
    headers = _values(fields, "headers", _names(fields.object("headers")), "`headers`")
    body, text = fields.node("json"), fields.text("text")
    return Reply(
        status=200 if status is None else status,
        headers={name: str(value) for name, (value, _) in headers.items()},
        body=plain(context, body) if body is not None else None,
        text=text.text if text is not None else None if body is not None else "",
        asked=_values(fields, "asked", list(ASKED_KEYS), "`asked`"),
        span=_start(node),
    )


def _names(node: Mapping | None) -> list[str]:
    return [key.text for key, _ in node.entries] if node is not None else []


def _start(node: Node) -> Span:
    return node.source.span(node.start, min(node.stop, node.start + 1)) if isinstance(node, Mapping) else node.span
