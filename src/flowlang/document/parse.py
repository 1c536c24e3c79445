"""A flow file: text → `model.Flow`, every problem of the file reported together."""

from __future__ import annotations

from flowlang.diagnostics import Diagnostic, one_slip, ordered
from flowlang.document import codes
from flowlang.document.context import Context
from flowlang.document.fields import Fields, wrong_type
from flowlang.document.inputs import TYPE_ALIASES, TYPES, read_inputs
from flowlang.document.model import Connection, Defaults, Flow, Name, ObjectValue, Output, Value
from flowlang.document.nodes import Mapping, Node, Scalar
from flowlang.document.retry import read_retry
from flowlang.document.source import LIMITS, Limits
from flowlang.document.steps import read_steps
from flowlang.document.texts import shown
from flowlang.document.triggers import read_concurrency, read_triggers
from flowlang.document.yaml_reader import Pause, read_yaml

KEYS = (
    "flow",
    "description",
    "version",
    "plugins",
    "connections",
    "tasks",
    "inputs",
    "vars",
    "defaults",
    "steps",
    "outputs",
    "timeout",
    "on_cancel",
    "finally",
    "concurrency",
    "triggers",
)
_ALIASES = {
    "name": "flow",
    "params": "inputs",
    "parameters": "inputs",
    "variables": "vars",
    "jobs": "steps",
    "on": "triggers",
    "trigger": "triggers",
    "schedule": "triggers",
    "results": "outputs",
    "services": "connections",
}
_HOST_KEYS = ("lazy", "connect_timeout", "acquire_timeout")
_TIMEOUT = 30.0  # seconds, of opening and of leasing a connection


def parse_flow(
    text: str | bytes, file: str, limits: Limits = LIMITS, pause: Pause | None = None
) -> tuple[Flow | None, list[Diagnostic]]:
    """The flow in `text`, and all that is wrong with the file, in order.

    The flow is None when the text is not YAML or not an object. Otherwise it holds what could be made: with a
    finding of severity "error" it may be checked further, and must not be run. `pause` is called at each object and
    each step.
    """
    node, found = read_yaml(text, file, limits, pause)
    if not isinstance(node, Mapping):
        return None, ordered(found)
    context = Context(node.source, pause)
    flow = _flow(context, node)
    return flow, ordered([*found, *context.findings.all])


def _flow(context: Context, node: Mapping) -> Flow:
    fields = Fields(context, node, "a flow", KEYS, also=_ALIASES)
    fields.required("flow")
    name = fields.text("flow")
    description = fields.text("description")
    version = fields.text("version", numbers=True)
    fields.required("steps")
    return Flow(
        name=name or Name("", fields.at),
        description=description.text if description else None,
        version=version.text if version else None,
        plugins=_plugins(fields),
        connections=_connections(fields),
        tasks=fields.names("tasks") or (),
        inputs=read_inputs(fields),
        inputs_at=fields.span("inputs") if "inputs" in fields else name.span if name else fields.at,
        vars=_vars(fields),
        defaults=_defaults(fields),
        steps=read_steps(fields, "steps"),
        outputs=read_outputs(fields),
        timeout=fields.limit("timeout"),
        on_cancel=read_steps(fields, "on_cancel"),
        finally_=read_steps(fields, "finally"),
        concurrency=read_concurrency(fields),
        triggers=read_triggers(fields),
        file=node.source.file,
        text=node.source.text,
        span=node.span,
        unread=frozenset(context.unread),
    )


def _plugins(fields: Fields) -> tuple[tuple[Name, Name], ...]:
    node = fields.object("plugins", "an object of types and version ranges")
    if node is None:
        return ()
    ranges = Fields(fields.context, node, "`plugins`", [key.text for key, _ in node.entries])
    found = []
    for key, _ in node.entries:
        wanted = ranges.text(key.text, numbers=True)
        if wanted is not None:
            found.append((Name(key.text, key.span), wanted))
    return tuple(found)


def _connections(fields: Fields) -> tuple[Connection, ...]:
    node = fields.object("connections", "an object of names and connections")
    if node is None:
        return ()
    return tuple([_connection(fields.context, key, value) for key, value in node.entries])


def _unread_connection(context: Context, key: Scalar, value: Node) -> Connection:
    """A connection of no known type, in place of one that cannot be made: steps may name it."""
    word = value.text if isinstance(value, Scalar) and value.text.isidentifier() else None
    wrong_type(context, key.text, value, "an object with `type`", word and f"did you mean `{{type: {word}}}`?")
    nothing = ObjectValue((), value.span)
    name = context.name(key, "connection")
    return Connection(name, Name("", key.span), nothing, False, _TIMEOUT, _TIMEOUT, (), value.span)


def _connection(context: Context, key: Scalar, node: Node) -> Connection:
    if not isinstance(node, Mapping):
        return _unread_connection(context, key, node)
    name = context.name(key, "connection")
    fields = _connection_fields(context, key, node)
    kind = fields.text("type")

    def seconds(word: str) -> float:
        value = fields.limit(word, f"leave it out to have the default, {_TIMEOUT:g}s")
        return _TIMEOUT if value is None else value

    lazy, connect, acquire = fields.boolean("lazy", False), seconds("connect_timeout"), seconds("acquire_timeout")
    host: list[tuple[Name, Value]] = []
    config: list[tuple[Name, Value]] = []
    for each, value in node.entries:
        if each.text != "type":
            entries = host if each.text in _HOST_KEYS else config
            entries.append((context.key(each), context.value(value)))
    return Connection(
        name,
        kind or Name("", key.span),
        ObjectValue(tuple(config), node.span),
        lazy,
        connect,
        acquire,
        tuple(host),
        node.span,
    )


def _connection_fields(context: Context, key: Scalar, node: Mapping) -> Fields:
    """Keys of a connection belong to its plugin, so only a `type` that is missing can be looked for."""
    names = [each.text for each, _ in node.entries]
    slip = next((each for each in names if one_slip(each, "type")), None) if "type" not in names else None
    known = ["type" if each == slip else each for each in names]
    fields = Fields(context, node, "a connection", known, at=key.span)
    fields.required("type")
    return fields


def _vars(fields: Fields) -> tuple[tuple[Name, Value], ...]:
    node = fields.object("vars", "an object of names and values")
    return fields.context.entries(node) if node is not None else ()


def _defaults(fields: Fields) -> Defaults:
    node = fields.object("defaults")
    if node is None:
        return Defaults()
    inner = Fields(fields.context, node, "`defaults`", ("retry", "timeout"))
    retry, timeout = inner.node("retry"), inner.limit("timeout")
    return Defaults(read_retry(fields.context, retry, timeout) if retry is not None else None, timeout)


def read_outputs(fields: Fields) -> tuple[Output, ...]:
    context = fields.context
    node = fields.node("outputs")
    if isinstance(node, Mapping) and "name" not in (key.text for key, _ in node.entries):
        help_ = "write each as `- {name: …, value: …}`"
        wrong_type(context, "outputs", node, "a list of objects with `name` and `value`", help_)
        items: tuple[tuple[Name, Value], ...] = context.entries(node)
        return tuple([Output(name, value, None, None, None, name.span) for name, value in items])
    found: dict[str, Output] = {}
    for item in fields.items("outputs"):
        if not isinstance(item, Mapping):
            wrong_type(context, "outputs", item, "objects with `name` and `value`")
            continue
        output = _output(context, item)
        earlier = found.setdefault(output.name.text, output) if output is not None else output
        if output is not None and earlier is not None and earlier is not output:
            message = f"output {shown(output.name.text)} is already defined at {earlier.name.span.start}"
            context.findings.add(codes.ALREADY_DEFINED, message, output.name.span, "rename or remove one")
    return tuple(found.values())


def _output(context: Context, node: Mapping) -> Output | None:
    fields = Fields(context, node, "an output", ("name", "value", "type", "description"), also={"id": "name"})
    fields.required("name")
    value = fields.required("value")
    name = fields.text("name")
    kind = fields.word("type", tuple(TYPES), TYPE_ALIASES)
    description = fields.text("description")
    computed = context.value(value) if value is not None else None
    if name is None or computed is None:
        return None
    return Output(
        name, computed, TYPES[kind] if kind else None, kind, description.text if description else None, node.span
    )
