"""Declared inputs: their type, their rules, and whether a default keeps them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping as Table
from dataclasses import replace
from types import MappingProxyType

from flowlang.diagnostics import Edit, Fix, Position, Span
from flowlang.document import codes, yaml_codes
from flowlang.document.context import Context
from flowlang.document.fields import Fields, kind_of, wrong_type
from flowlang.document.findings import meant, replacing
from flowlang.document.model import Constant, Input, Name
from flowlang.document.nodes import Mapping, Node, Scalar, Sequence
from flowlang.document.patterns import matches, pattern_problem
from flowlang.document.scalars import plain_value
from flowlang.document.texts import quote, shown
from flowlang.expressions import types
from flowlang.expressions.durations import FORMS, nearest_duration, parse_duration
from flowlang.expressions.types import Type
from flowlang.records import frozen

MAX_PATTERNS = 500
TYPES: dict[str, Type] = {
    "string": types.STRING,
    "integer": types.INTEGER,
    "number": types.NUMBER,
    "boolean": types.BOOLEAN,
    "object": types.OBJECT,
    "array": types.ARRAY,
    "timestamp": types.TIMESTAMP,
    "duration": types.DURATION,
    "any": types.ANY,
}
TYPE_ALIASES = {
    "str": "string",
    "text": "string",
    "int": "integer",
    "float": "number",
    "decimal": "number",
    "bool": "boolean",
    "dict": "object",
    "map": "object",
    "mapping": "object",
    "list": "array",
    "date": "timestamp",
    "datetime": "timestamp",
    "time": "timestamp",
    "timedelta": "duration",
    "interval": "duration",
}
_FORMS = {"duration": FORMS, "timestamp": "2026-03-01, 2026-03-01T09:30:00, 2026-03-01T09:30:00+01:00"}
_RULES: dict[str, tuple[str, ...]] = {
    "pattern": ("string",),
    "minimum": ("integer", "number"),
    "maximum": ("integer", "number"),
    "min_length": ("string", "array"),
    "max_length": ("string", "array"),
    "items": ("array",),
    "properties": ("object",),
}
_SCHEMA = ("type", "required", "default", "description", "secret", "enum", *_RULES)
_ALIASES = {
    "min": "minimum",
    "max": "maximum",
    "regex": "pattern",
    "values": "enum",
    "choices": "enum",
    "options": "enum",
    "id": "name",
    "minLength": "min_length",
    "maxLength": "max_length",
    "value": "default",
    "help": "description",
}


def read_inputs(fields: Fields, key: str = "inputs", kind: str = "input") -> tuple[Input, ...]:
    """The declarations under `key`; `kind` is what each of them is, in findings."""
    found: dict[str, Input] = {}
    for node in _items(fields, key):
        if not isinstance(node, Mapping):
            help_ = f"write `{{name: {node.text}}}`" if isinstance(node, Scalar) and node.text.isidentifier() else None
            wrong_type(fields.context, key, node, "objects with `name` and `type`", help_)
            continue
        each = _input(fields.context, node, kind)
        if each is None:
            continue
        earlier = found.setdefault(each.name.text, each)
        if earlier is not each:
            message = f"{kind} {shown(each.name.text)} is already defined at {earlier.name.span.start}"
            fields.findings.add(codes.ALREADY_DEFINED, message, each.name.span, "rename or remove one")
    return tuple(found.values())


def _items(fields: Fields, key: str) -> tuple[Node, ...]:
    """The declarations; those of an object of names are taken for the list that it should be."""
    node = fields.node(key)
    if not isinstance(node, Mapping) or node.key("name"):
        return fields.items(key)
    fields.wrong(key, node, "a list", "write each as `- {name: …, type: …}`")
    found = []
    for each, value in node.entries:
        name = Scalar("name", "name", each.style, each.source, each.start, each.stop)
        rest = value.entries if isinstance(value, Mapping) else ()
        found.append(Mapping(((name, each), *rest), each.source, each.start, each.stop))
    return tuple(found)


def _input(context: Context, node: Mapping, kind: str) -> Input | None:
    article = "an" if kind[0] in "aeiou" else "a"
    fields = Fields(context, node, f"{article} {kind}", ("name", *_SCHEMA), also=_ALIASES)
    written = fields.node("name")
    fields.required("name")
    name: Name | None = None
    if fields.text("name") is not None and isinstance(written, Scalar):
        name = context.name(written, kind)
    rules = _rules(fields)
    required = fields.boolean("required", False)
    has_default = "default" in fields
    default = _default(fields, rules) if has_default else None
    if required and has_default:
        _unused_default(fields)
    if name is None:
        return None
    declared = rules.as_type()
    written_null = has_default and _is_null(fields.entries["default"][1])
    if not required and (written_null or not has_default):
        declared = declared.or_null()
    return Input(
        name=name,
        type=declared,
        type_name=rules.type_name,
        required=required,
        has_default=has_default,
        default=default,
        description=rules.description,
        secret=rules.secret,
        enum=rules.enum,
        pattern=rules.pattern,
        minimum=rules.minimum,
        maximum=rules.maximum,
        min_length=rules.min_length,
        max_length=rules.max_length,
        items=rules.items,
        properties=rules.properties,
        span=node.span,
        default_span=fields.entries["default"][1].span if has_default else None,
    )


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _unused_default(fields: Fields) -> None:
    where = fields.node("required")
    place = fields.span("required").start
    message = f"`default` is never used because `required: true` ({place})"
    key, value = fields.entries["default"]
    line = fields.context.source.span(key.start, key.start).start.line
    fix = None
    if isinstance(value, Scalar) and isinstance(where, Scalar) and _alone(fields.context, key, value):
        start, end = Position(line, 1), Position(line + 1, 1)
        fix = Fix("remove `default`", (Edit(Span(start, end, fields.context.source.file), ""),))
    fields.findings.add(codes.UNUSED_DEFAULT, message, key.span, "remove one", fix=fix, severity="warning")


def _alone(context: Context, key: Scalar, value: Scalar) -> bool:
    """Whether a key and its value are all that stands on their line."""
    text = context.source.text
    start = text.rfind("\n", 0, key.start) + 1
    stop = text.find("\n", value.stop)
    rest = text[value.stop : stop if stop >= 0 else len(text)].strip()
    return stop >= 0 and not text[start : key.start].strip() and not rest and "\n" not in text[key.start : value.stop]


# ---------------------------------------------------------------- types and rules


@frozen
class Rules:
    """What is declared about a value: its type and what it must keep to."""

    type_name: str
    description: str | None
    secret: bool
    enum: tuple[object, ...] | None
    pattern: str | None
    minimum: float | None
    maximum: float | None
    min_length: int | None
    max_length: int | None
    items: Table[str, object] | None
    properties: Table[str, object] | None
    item_rules: Rules | None
    property_rules: Table[str, Rules] | None

    def as_type(self) -> Type:
        declared = TYPES[self.type_name]
        if self.item_rules is not None:
            declared = types.array(self.item_rules.as_type())
        if self.property_rules is not None:
            required = frozenset(name for name, each in (self.properties or {}).items() if _says_required(each))
            fields = {name: each.as_type() for name, each in self.property_rules.items()}
            declared = types.record(fields, required=required)
        if self.enum is not None or self.secret:
            declared = replace(declared, enum=self.enum, secret=self.secret)
        return declared


def _rules(fields: Fields) -> Rules:
    type_name = fields.word("type", tuple(TYPES), TYPE_ALIASES) or "any"
    for rule, fitting in _RULES.items():
        if rule in fields and type_name not in fitting and ("type" not in fields or type_name != "any"):
            wanted = " or ".join(f"`type: {each}`" for each in fitting)
            given = f"this is `type: {type_name}`" if "type" in fields else "there is no `type`"
            message = f"`{rule}` needs {wanted}, {given}"
            fields.findings.add(codes.BAD_RULE, message, fields.span(rule))
    description = fields.text("description")
    item = _nested(fields, "items", fields.object("items", "an object such as `{type: string}`"))
    properties = _properties(fields)
    rules = Rules(
        type_name,
        description.text if description else None,
        fields.boolean("secret", False),
        None,
        _pattern(fields),
        fields.number("minimum"),
        fields.number("maximum"),
        fields.integer("min_length", least=0),
        fields.integer("max_length", least=0),
        MappingProxyType(item[0]) if item else None,
        MappingProxyType({name: MappingProxyType(each[0]) for name, each in properties.items()})
        if properties
        else None,
        item[1] if item and type_name == "array" else None,
        {name: each[1] for name, each in properties.items()} if properties and type_name == "object" else None,
    )
    _ordered(fields, "minimum", "maximum", rules.minimum, rules.maximum)
    _ordered(fields, "min_length", "max_length", rules.min_length, rules.max_length)
    return replace(rules, enum=_enum(fields, rules))


def _says_required(declaration: object) -> bool:
    return isinstance(declaration, Table) and declaration.get("required") is True


def _ordered(fields: Fields, low: str, high: str, least: float | None, most: float | None) -> None:
    if least is not None and most is not None and least > most:
        message = f"`{low}` ({least}) is above `{high}` ({most}), so no value fits"
        fields.findings.add(codes.BAD_RULE, message, fields.span(low), "swap them")


def _pattern(fields: Fields) -> str | None:
    written = fields.text("pattern")
    if written is None:
        return None
    fields.context.patterns += 1
    if fields.context.patterns > MAX_PATTERNS:
        if fields.context.patterns == MAX_PATTERNS + 1:
            message = f"the file declares more than {MAX_PATTERNS} patterns"
            fields.findings.add(yaml_codes.LIMIT, message, written.span)
        return None
    problem = pattern_problem(written.text)
    if problem is None:
        return written.text
    message = f"{shown(written.text)} cannot be a pattern: {problem}"
    fields.findings.add(codes.BAD_PATTERN, message, written.span)
    return None


def _enum(fields: Fields, rules: Rules) -> tuple[object, ...] | None:
    if "enum" not in fields:
        return None
    values: list[object] = []
    for node in fields.items("enum"):
        value = plain(fields.context, node)
        values.append(value)
        if value is not None and not fits(value, rules.type_name):
            wrong_type(fields.context, "enum", node, f"values of type {rules.type_name}")
    if not values and isinstance(fields.node("enum"), Sequence):
        fields.findings.add(codes.BAD_RULE, "`enum` is empty, so no value fits", fields.span("enum"))
    return tuple(values) or None


Nested = tuple[dict[str, object], Rules]


def _nested(fields: Fields, key: str, node: Mapping | None) -> Nested | None:
    """The declaration of an item or property: as plain data, and read."""
    if node is None:
        return None
    inner = Fields(fields.context, node, f"`{key}`", _SCHEMA, also=_ALIASES)
    rules = _rules(inner)
    inner.boolean("required", False)
    if "default" in inner:
        _default(inner, rules)
    found = {name: plain(fields.context, value) for name, (_, value) in inner.entries.items()}
    return found | {"type": rules.type_name}, rules


def _properties(fields: Fields) -> dict[str, Nested]:
    found = {}
    declared = fields.object("properties")
    for name, node in declared.entries if declared is not None else ():
        if not isinstance(node, Mapping):
            word = node.text if isinstance(node, Scalar) and node.text in TYPES else None
            wrong_type(fields.context, name.text, node, "an object", word and f"write `{{type: {word}}}`")
            continue
        nested = _nested(fields, name.text, node)
        if nested is not None:
            found[name.text] = nested
    return found


# ---------------------------------------------------------------- defaults


def _default(fields: Fields, rules: Rules) -> object:
    """The default as plain data; None when it breaks the rules."""
    node = fields.node("default")
    if node is None:
        return None
    before = len(fields.findings.all)
    value = plain(fields.context, node)
    if value is None or len(fields.findings.all) > before:
        return None
    if not fits(value, rules.type_name):
        _misfit(fields, node, rules.type_name)
        return None
    reason = broken_rule(value, rules)
    if reason is None:
        return value
    fields.findings.add(codes.BAD_DEFAULT, f"the default {reason}", node.span)
    return None


def _misfit(fields: Fields, node: Node, type_name: str) -> None:
    help_ = fix = None
    if isinstance(node, Scalar) and type_name == "string":
        help_, fix = f"quote it: `{quote(node.text)}`", replacing(node.span, quote(node.text), safe=True)
    elif isinstance(node, Scalar) and isinstance(node.value, str):
        help_ = _converted(node.text, type_name)
    message = f"`default` expects {type_name}, this is {kind_of(node)}"
    if isinstance(node, Scalar) and type_name == "boolean" and node.style == "plain" and help_:
        message = f'`default` expects boolean; YAML 1.2 reads `{node.text}` as the text "{node.text}"'
    elif isinstance(node, Scalar) and isinstance(node.value, str) and type_name in _FORMS:
        message = f"{shown(node.text)} is not a {type_name}"
    notes = (f"forms {_FORMS[type_name]}",) if type_name in _FORMS else ()
    fields.findings.add(codes.BAD_DEFAULT, message, node.span, help_, notes=notes, fix=fix)


def _converted(text: str, type_name: str) -> str | None:
    if type_name == "duration":
        word = nearest_duration(text)
        return word and meant(word)
    if type_name == "boolean":
        word = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(text.lower(), text.lower())
        return meant(word) if word in ("true", "false") else None
    if len(text) < 40 and fits(plain_value(text), type_name):
        return meant(text)
    return None


def fits(value: object, type_name: str) -> bool:
    """Whether plain data (as YAML or JSON gives it) is of the declared type; null is not looked at here."""
    if type_name == "any":
        return True
    if type_name == "integer":
        return type(value) is int
    if type_name == "number":
        return type(value) in (int, float)
    if type_name == "duration":
        return parse_duration(value) is not None
    if type_name == "timestamp":
        return isinstance(value, str) and _is_timestamp(value)
    python = {"string": str, "boolean": bool, "object": dict, "array": list}[type_name]
    return isinstance(value, python)


def _is_timestamp(text: str) -> bool:
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def broken_rule(value: object, rules: Rules) -> str | None:
    """Which rule `value`, which is of the declared type, breaks, as the end of a sentence; None when none."""
    if rules.enum is not None and not any(value == each and type(value) is type(each) for each in rules.enum):
        return f"is not in `enum`: {', '.join(shown(str(each)) for each in rules.enum[:8])}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if rules.minimum is not None and value < rules.minimum:
            return f"is below `minimum` ({rules.minimum})"
        if rules.maximum is not None and value > rules.maximum:
            return f"is above `maximum` ({rules.maximum})"
    if isinstance(value, str | list):
        if rules.min_length is not None and len(value) < rules.min_length:
            return f"is shorter than `min_length` ({rules.min_length})"
        if rules.max_length is not None and len(value) > rules.max_length:
            return f"is longer than `max_length` ({rules.max_length})"
    if isinstance(value, str) and rules.pattern is not None and not matches(rules.pattern, value):
        return f"does not match `pattern` ({shown(rules.pattern)[1:-1]})"
    return _broken_part(value, rules)


def _broken_part(value: object, rules: Rules) -> str | None:
    parts: list[tuple[str, object, Rules]] = []
    if isinstance(value, list) and rules.item_rules is not None:
        parts = [(f"[{number}]", each, rules.item_rules) for number, each in enumerate(value)]
    if isinstance(value, dict) and rules.property_rules is not None:
        declared = rules.property_rules
        parts = [(f".{name}", each, declared[name]) for name, each in value.items() if name in declared]
    for where, each, inner in parts:
        if each is not None and not fits(each, inner.type_name):
            return f"is not of the declared type at `{where}`, which expects {inner.type_name}"
        reason = None if each is None else broken_rule(each, inner)
        if reason is not None:
            return f"breaks a rule at `{where}`: it {reason}"
    return None


def plain(context: Context, node: Node) -> object:
    """A node as plain data. Expressions are refused: what is declared is fixed before the run."""
    if isinstance(node, Mapping):
        return {key.text: plain(context, value) for key, value in node.entries}
    if isinstance(node, Sequence):
        return [plain(context, each) for each in node.items]
    if not isinstance(node.value, str) or "${" not in node.text:
        return node.value
    value = context.scalar(node)
    if isinstance(value, Constant):
        return value.value
    message = f"{shown(node.text)} is computed, and a declaration is fixed"
    context.findings.add(codes.NOT_CONSTANT, message, node.span, "compute it in `vars` or in a step")
    return None
