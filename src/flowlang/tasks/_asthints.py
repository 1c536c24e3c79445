"""What the hints of a Python file say, read from its syntax tree as far as names can be followed inside the file."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from flowlang.expressions import types as t
from flowlang.expressions.types import Type
from flowlang.records import frozen
from flowlang.tasks.spec import Form

_SIMPLE: Mapping[str, Type] = MappingProxyType(
    {
        "str": t.STRING,
        "int": t.INTEGER,
        "float": t.NUMBER,
        "bool": t.BOOLEAN,
        "bytes": t.BYTES,
        "object": t.ANY,
        "None": t.NULL,
        "typing.Any": t.ANY,
        "decimal.Decimal": t.DECIMAL,
        "datetime.datetime": t.TIMESTAMP,
        "datetime.date": t.DATE,
        "datetime.time": t.TIME,
        "datetime.timedelta": t.DURATION,
        "uuid.UUID": t.UUID,
    }
)
_LISTS = frozenset({"list", "tuple", "set", "frozenset", "Sequence", "Iterable", "Collection", "List", "Tuple", "Set"})
_OBJECTS = frozenset({"dict", "Mapping", "MutableMapping", "Dict"})
_GENERATORS = frozenset({"AsyncGenerator", "AsyncIterator", "AsyncIterable"})
_WRAPPERS = frozenset({"Annotated", "Required", "NotRequired", "ReadOnly", "Final", "Awaitable", "Coroutine"})


class Computed:
    """A default that is no literal; its text stands for it wherever specs are shown."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


@frozen
class Hint:
    """What one annotation says of a parameter or a result."""

    type: Type = t.ANY
    form: Form = "plain"
    secret: bool = False
    keeps: bool = False
    choices: tuple[object, ...] | None = None


@dataclass(slots=True)
class Hints:
    """The names of one file. `names` maps what the file calls something to where it comes from."""

    names: dict[str, str] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    _records: dict[str, Type] = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)

    def learn(self, statement: ast.Import | ast.ImportFrom) -> None:
        """Remember what an import brings."""
        for each in statement.names:
            if isinstance(statement, ast.ImportFrom):
                module = "." * statement.level + (statement.module or "")
                self.names[each.asname or each.name] = f"{module}.{each.name}"
            elif each.asname:
                self.names[each.asname] = each.name
            else:
                root = each.name.partition(".")[0]
                self.names[root] = root

    def dotted(self, node: ast.expr) -> str:
        """Where a name comes from, as `module.name`; empty when it is no name."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            before = self.dotted(node.value)
            return f"{before}.{node.attr}" if before else ""
        return ""

    # ── hints ───────────────────────────────────────────────────────────────────────────────────────────────

    def hint(self, node: ast.expr) -> Hint:
        """What an annotation says."""
        if isinstance(node, ast.Constant):
            return self._constant_hint(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return _either([self.hint(node.left), self.hint(node.right)])
        if isinstance(node, ast.Subscript):
            return self._generic_hint(node)
        return self._named_hint(self.dotted(node))

    def _constant_hint(self, node: ast.Constant) -> Hint:
        if node.value is None:
            return Hint(t.NULL)
        if isinstance(node.value, str):
            try:
                return self.hint(ast.parse(node.value, mode="eval").body)
            except (SyntaxError, ValueError):
                return Hint()
        return Hint()

    def _named_hint(self, name: str) -> Hint:
        if name in _SIMPLE:
            return Hint(_SIMPLE[name])
        if name in self.classes:
            return Hint(self._record(name))
        last = name.rpartition(".")[2]
        if name.startswith("flowlang"):
            return _flowlang_hint(last)
        if _builtin_or_typing(name):
            if last in _LISTS:
                return Hint(t.ARRAY)
            if last in _OBJECTS:
                return Hint(t.OBJECT)
        return Hint()

    def _generic_hint(self, node: ast.Subscript) -> Hint:
        name = self.dotted(node.value)
        last = name.rpartition(".")[2]
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name.startswith("flowlang") and last == "Secret":
            inner = self.hint(items[0])
            return replace(inner, type=replace(inner.type, secret=True), secret=True)
        if name.startswith("flowlang") and last == "Kept":
            return replace(self.hint(items[0]), keeps=True)
        if name.startswith("flowlang") and last == "Query":
            return replace(self.hint(items[0]), form="query")
        if not _builtin_or_typing(name) or not items:
            return Hint()
        if last == "Literal":
            return _literal_hint(items)
        if last in ("Optional", "Union"):
            members = [self.hint(each) for each in items]
            return _either([*members, Hint(t.NULL)] if last == "Optional" else members)
        if last in _WRAPPERS:
            return self.hint(items[-1] if last == "Coroutine" else items[0])
        if last in _GENERATORS:
            batch = self.hint(items[0]).type
            return Hint(t.stream(batch.items if batch.kind == "array" and batch.items is not None else t.ANY))
        if last in _LISTS:
            solid = [each for each in items if not (isinstance(each, ast.Constant) and each.value is Ellipsis)]
            return Hint(t.array(t.union(*(self.hint(each).type for each in solid)) if solid else t.ANY))
        return Hint(t.OBJECT) if last in _OBJECTS else Hint()

    def _record(self, name: str) -> Type:
        """A TypedDict of the file, with what it inherits; any other class is unknown."""
        if name in self._records:
            return self._records[name]
        if name in self._open:
            return t.OBJECT  # it contains itself
        self._open.add(name)
        fields: dict[str, Type] = {}
        required: set[str] = set()
        known = False
        for base in self.classes[name].bases:
            dotted = self.dotted(base)
            if dotted.rpartition(".")[2] == "TypedDict":
                known = True
            elif dotted in self.classes:
                above = self._record(dotted)
                known = known or above.kind == "object"
                fields.update(above.fields or {})
                required |= above.required
        total = not any(
            each.arg == "total" and isinstance(each.value, ast.Constant) and each.value.value is False
            for each in self.classes[name].keywords
        )
        for each in self.classes[name].body:
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                fields[each.target.id] = self.hint(each.annotation).type
                if self._is_required(each.annotation, total=total):
                    required.add(each.target.id)
        self._open.discard(name)
        self._records[name] = t.record(fields, required=frozenset(required)) if known else t.ANY
        return self._records[name]

    def _is_required(self, annotation: ast.expr, *, total: bool) -> bool:
        """Whether a key of a TypedDict must be there: as its own hint says, else as the class does."""
        if isinstance(annotation, ast.Subscript):
            mark = self.dotted(annotation.value).rpartition(".")[2]
            if mark in ("Required", "NotRequired"):
                return mark == "Required"
        return total


def _either(members: list[Hint]) -> Hint:
    """A union. What is said of one member beside its type holds for the whole."""
    solid = [each for each in members if each.type.kind != "null"]
    form: Form = next((each.form for each in solid if each.form != "plain"), "plain")
    choices: tuple[object, ...] | None = None
    if solid and all(each.choices is not None for each in solid):
        choices = tuple(dict.fromkeys(value for each in solid for value in each.choices or ()))
    if form != "plain" and all(each.type.kind in ("string", "identifier", "sql") for each in solid):
        found = t.SQL if form == "sql" else t.STRING
    else:
        found = t.one_of(*(each.type for each in solid)) if solid else t.NULL
    if choices is not None and found.kind not in ("any", "null"):
        found = replace(found, enum=choices)
    found = found.or_null() if len(solid) < len(members) else found
    secret, keeps = any(each.secret for each in members), any(each.keeps for each in members)
    return Hint(found, form, secret, keeps, choices)


def _literal_hint(items: list[ast.expr]) -> Hint:
    values = tuple(literal(each) for each in items)
    if any(isinstance(each, Computed) for each in values):
        return Hint()
    found = t.union(*(t.type_of(each) for each in values))
    solid = tuple(each for each in values if each is not None)
    return Hint(found if found.kind == "any" else replace(found, enum=solid), choices=solid)


def _flowlang_hint(last: str) -> Hint:
    if last == "Sql":
        return Hint(t.SQL, "sql")
    if last == "Ident":
        return Hint(t.IDENTIFIER, "ident")
    if last == "UrlPath":
        return Hint(t.STRING, "path")
    if last == "Table":
        return Hint(t.array(t.OBJECT))
    return Hint(t.stream(t.ANY)) if last == "Stream" else Hint()


def _builtin_or_typing(name: str) -> bool:
    return "." not in name or name.rpartition(".")[0] in ("typing", "typing_extensions", "collections.abc")


def literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return Computed(ast.unparse(node))
