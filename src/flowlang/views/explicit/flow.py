"""The whole flow: its settings, inputs, connections, steps and outputs, in the order in which flows are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from flowlang.document import model, nodes
from flowlang.plan import Operation
from flowlang.records import frozen
from flowlang.views.explicit import modifiers
from flowlang.views.explicit.lines import (
    DEFAULT,
    data,
    duration,
    item,
    literal,
    nested,
    remark,
    setting,
    text_lines,
    word,
)
from flowlang.views.explicit.steps import Steps
from flowlang.views.explicit.values import MASK, MASKED, Values, default_of, inside, keys_of

_HOST_KEYS = ("lazy", "connect_timeout", "acquire_timeout")
_OF_TRIGGERS: dict[str, dict[str, str]] = {
    "schedule": {"timezone": "UTC", "overlap": "skip", "catchup": "none"},
    "every": {},
    "webhook": {"respond": "accepted"},
}
_RULES = ("pattern", "minimum", "maximum", "min_length", "max_length", "items", "properties")


@frozen
class Settings:
    """What a connection's plugin makes of its config: `filled` is the config with the schema's defaults, and
    `accepted` whether the plugin takes it like that. `own` are the keys that the schema declares; the values at
    `hidden`, keys too, are secrets."""

    filled: Mapping[str, object]
    accepted: bool
    own: frozenset[str]
    hidden: frozenset[str]


@frozen
class Known:
    """What is known of a flow beside its model: its text as nodes, and with its literal secrets as `*`; how its
    connections are set, by name; which tasks it calls; and how connections to services in YAML are asked again."""

    root: nodes.Mapping
    masked: str
    settings: Mapping[str, Settings]
    operations: Iterable[Operation]
    policies: Mapping[str, model.Retry]


def flow_text(flow: model.Flow, known: Known) -> str:
    """The flow in YAML with every default written out, or told in a comment where it cannot be written. It means
    what the original does, except for secrets that are written out there: they are masked."""
    values = Values(known.masked)
    steps = Steps(values, flow, known.operations, known.policies)
    lines = [setting("flow", word(literal(flow.name.text)))]
    for key, text in (("description", flow.description), ("version", flow.version)):
        lines += text_lines(f"{key}:", literal(text)) if text is not None else []
    lines += _plain_parts(flow, known)
    lines += _connections(flow, values, known)
    lines += _section("inputs", [line for n, each in enumerate(flow.inputs) for line in item(_input(each, n, known))])
    lines += _section("vars", values.entries(flow.vars))
    lines += _defaults(flow.defaults, known)
    lines += steps.block("steps", flow.steps)
    for key, block in (("on_cancel", flow.on_cancel), ("finally", flow.finally_)):
        lines += steps.block(key, block) if block else []
    outputs = [line for each in flow.outputs for line in item(_output(each, values))]
    return "\n".join([*lines, *_section("outputs", outputs)]) + "\n"


def _section(key: str, lines: list[str]) -> list[str]:
    return [f"{key}:", *nested(lines)] if lines else []


def _plain_parts(flow: model.Flow, known: Known) -> list[str]:
    """Everything at the top that is no list of parts of its own."""
    lines = [
        remark("no timeout of the whole run") if flow.timeout is None else setting("timeout", duration(flow.timeout))
    ]
    lines += _concurrency(flow.concurrency, Values(known.masked), known)
    lines += _section(
        "triggers", [line for each in flow.triggers for line in item(_trigger(each, Values(known.masked)))]
    )
    lines += _section(
        "plugins", [setting(word(name.text), word(literal(wanted.text))) for name, wanted in flow.plugins]
    )
    return lines + ([setting("tasks", data([each.text for each in flow.tasks]))] if flow.tasks else [])


def _concurrency(each: model.Concurrency | None, values: Values, known: Known) -> list[str]:
    if each is None:
        return [remark("concurrency: any number of runs at once")]
    given = keys_of(known.root.get("concurrency"))
    lines = values.lines("key", each.key) if each.key is not None else [remark("key: all runs are counted together")]
    for key, value in (("limit", data(each.limit)), ("on_conflict", each.on_conflict)):
        lines.append(setting(key, value, "" if key in given else DEFAULT))
    return ["concurrency:", *nested(lines)]


def _trigger(each: model.Trigger, values: Values) -> list[str]:
    given = {name.text for name, _ in each.settings.entries}
    lines = values.entries(each.settings.entries)
    lines += [setting(key, value, DEFAULT) for key, value in _OF_TRIGGERS[each.kind].items() if key not in given]
    if each.kind == "webhook" and "inputs" not in given:
        lines.append(remark("inputs: the keys of the body"))
    return [f"{each.kind}:", *nested(lines)]


def _defaults(defaults: model.Defaults, known: Known) -> list[str]:
    node = known.root.get("defaults")
    lines: list[str] = []
    if defaults.timeout is not None:
        lines.append(setting("timeout", duration(defaults.timeout)))
    if defaults.retry is not None:
        lines += ["retry:", *nested(modifiers.policy(defaults.retry, inside(node, "retry")))]
    but = ", but for what services in YAML say" if known.policies else ""
    return _section("defaults", lines) or [remark(f"defaults: no timeout and no retry for steps that set none{but}")]


# ---------------------------------------------------------------- connections


def _connections(flow: model.Flow, values: Values, known: Known) -> list[str]:
    lines: list[str] = []
    for each in flow.connections:
        lines += [f"{each.name.text}:", *nested(_connection(each, values, known.settings[each.name.text]))]
    return _section("connections", lines)


def _connection(each: model.Connection, values: Values, settings: Settings) -> list[str]:
    written = {name.text for name, _ in (*each.config.entries, *each.host_entries)}
    filled = settings.filled if settings.accepted else {}
    lines = [setting("type", word(literal(each.type.text)))]
    for name, value in each.config.entries:
        lines += _config_value(each, name.text, value, filled.get(name.text), values)
    told = []
    for key, default in settings.filled.items():
        if key in written:
            continue
        if key in settings.hidden or key in _HOST_KEYS or default is None or not settings.accepted:
            told.append(remark(f"{key}: {MASK if key in settings.hidden else data(default)}, by default"))
        else:
            lines += default_of(key, default)
    return lines + _host_keys(each, values, settings) + told


def _host_keys(each: model.Connection, values: Values, settings: Settings) -> list[str]:
    defaults = {
        "lazy": data(each.lazy),
        "connect_timeout": duration(each.connect_timeout),
        "acquire_timeout": duration(each.acquire_timeout),
    }
    written = {name.text: value for name, value in each.host_entries}
    lines: list[str] = []
    for key, default in defaults.items():
        if key in written:
            lines += values.lines(key, written[key])
        elif key in settings.own:
            lines.append(remark(f"{key}: {default} for FlowLang, by default; the plugin has a setting of that name"))
        else:
            lines.append(setting(key, default, DEFAULT))
    return lines


def _config_value(each: model.Connection, key: str, value: model.Value, filled: object, values: Values) -> list[str]:
    """A setting. A secret that is written out becomes one that is read: a mask could be refused by the plugin."""
    if isinstance(value, model.Constant) and values.shown(value.scalar) == MASK:
        name = re.sub(r"\W+", "_", key if key.startswith(each.name.text) else f"{each.name.text}_{key}").upper()
        return [setting(word(key), f'"${{secrets.{name}}}"', MASKED)]
    return values.lines(key, value, filled)


# ---------------------------------------------------------------- inputs and outputs


def _input(each: model.Input, number: int, known: Known) -> list[str]:
    declared = known.root.get("inputs")
    node = declared.items[number] if isinstance(declared, nodes.Sequence) else None
    given = keys_of(node)

    def note(key: str) -> str:
        return "" if key in given else DEFAULT

    lines = [setting("name", each.name.text), setting("type", each.type_name, note("type"))]
    lines += text_lines("description:", literal(each.description)) if each.description is not None else []
    lines.append(setting("required", data(each.required), note("required")))
    if each.has_default:
        lines.append(_default(each, inside(node, "default"), known))
    elif not each.required:
        lines += default_of("default", None)
    lines.append(setting("secret", data(each.secret), note("secret")))
    lines += [setting("enum", data(each.enum))] if each.enum is not None else []
    rules = {key: getattr(each, key) for key in _RULES}
    return lines + [setting(key, data(value)) for key, value in rules.items() if value is not None]


def _default(each: model.Input, node: nodes.Node | None, known: Known) -> str:
    said = each.default not in (None, "", [], {})
    hidden = said and (each.secret or (node is not None and Values(known.masked).hides(node)))
    if not hidden:
        return setting("default", data(each.default))
    bound = (each.enum, each.pattern, each.min_length, each.max_length)
    if each.type_name in ("string", "any") and all(rule is None for rule in bound):
        return setting("default", '"***"', MASKED)
    return remark("default: ***, masked: a secret is written out here")


def _output(each: model.Output, values: Values) -> list[str]:
    kind = setting("type", "any", DEFAULT) if each.type_name is None else setting("type", each.type_name)
    lines = [setting("name", word(literal(each.name.text))), kind, *values.lines("value", each.value)]
    return lines + (text_lines("description:", literal(each.description)) if each.description is not None else [])
