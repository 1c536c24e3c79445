"""Reading a config's JSON Schema: its properties through `$ref` and `allOf`, its types, which fields are secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from flowlang.expressions.types import (
    ANY,
    ARRAY,
    BOOLEAN,
    INTEGER,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    Type,
    array,
    record,
    union,
)

Schema = Mapping[str, Any]
Path = tuple[str | int, ...]

_DEEPEST = 32
_TYPES = {
    "string": STRING,
    "integer": INTEGER,
    "number": NUMBER,
    "boolean": BOOLEAN,
    "null": NULL,
    "array": ARRAY,
    "object": OBJECT,
}


def parts(schema: object, root: Schema, *, alternatives: bool = False, depth: int = 0) -> Iterator[Schema]:
    """`schema` and every schema that applies to the same value: `$ref` (within `root`) and `allOf`.

    With `alternatives` also what may apply: `anyOf`, `oneOf`, `if`/`then`/`else`, `dependentSchemas`.
    """
    if not isinstance(schema, (dict, Mapping)) or depth > _DEEPEST:  # `dict` first: to ask an abstract class is dear
        return
    yield schema
    if _COMPOSING.isdisjoint(schema):
        return
    inner: list[object] = [*schema.get("allOf", ())]
    if "$ref" in schema:
        inner.append(referred(schema["$ref"], root))
    if alternatives:
        inner += [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("dependentSchemas", {}).values()]
        inner += [schema.get(each) for each in ("if", "then", "else")]
    for each in inner:
        yield from parts(each, root, alternatives=alternatives, depth=depth + 1)


_COMPOSING = frozenset(("allOf", "$ref", "anyOf", "oneOf", "dependentSchemas", "if", "then", "else"))


def referred(reference: object, root: Schema) -> object:
    """What a reference within the same schema (`#/$defs/x`) names; None for any other."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: Any = root
    for part in reference[1:].strip("/").split("/") if reference != "#" else ():
        key = part.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def property_schema(schema: object, key: str | int, root: Schema) -> Schema:
    """The schema of one key of an object, or of one item of a list; empty when nothing is said of it."""
    for part in parts(schema, root, alternatives=True):
        if isinstance(key, int):
            prefix = part.get("prefixItems", ())
            found = prefix[key] if key < len(prefix) else part.get("items")
        else:
            found = part.get("properties", {}).get(key)
            found = _by_pattern(part, key) if found is None else found
        if isinstance(found, Mapping):
            return found
    return {}


def _by_pattern(part: Schema, key: str) -> object:
    for pattern, found in part.get("patternProperties", {}).items():
        if re.search(pattern, key):
            return found
    return part.get("additionalProperties")


def at(schema: Schema, path: Path) -> Schema:
    """The schema of what stands at `path`."""
    found: Schema = schema
    for key in path:
        found = property_schema(found, key, schema)
    return found


def properties(schema: object, root: Schema) -> dict[str, Schema]:
    """The declared keys of an object, in the schema's order."""
    found: dict[str, Schema] = {}
    for part in parts(schema, root, alternatives=True):
        for name, each in part.get("properties", {}).items():
            found.setdefault(name, each if isinstance(each, Mapping) else {})
    return found


def required(schema: object, root: Schema) -> list[str]:
    """The keys that must be there. Of alternatives (`anyOf`, `oneOf`) the first one counts."""
    found: list[str] = []
    for part in parts(schema, root):
        found += part.get("required", ())
        for alternatives in (part.get("anyOf"), part.get("oneOf")):
            if alternatives:
                found += required(alternatives[0], root)
    return list(dict.fromkeys(found))


def is_closed(schema: object, root: Schema) -> bool:
    """Whether keys beyond the declared ones are refused: yes, unless the schema lists none or says otherwise."""
    lists_some = False
    for part in parts(schema, root, alternatives=True):
        lists_some = lists_some or "properties" in part
        if (
            part.get("additionalProperties", False) is not False
            or part.get("unevaluatedProperties", False) is not False
        ):
            return False
    return lists_some


# ---------------------------------------------------------------- types


def kinds(schema: object, root: Schema) -> frozenset[str]:
    """The JSON types that a value may have; empty when the schema does not restrict them."""
    allowed: frozenset[str] = frozenset()
    for part in parts(schema, root):
        found = _own_kinds(part, root)
        allowed = found if not allowed else (allowed & found or allowed) if found else allowed
    return allowed


def _own_kinds(part: Schema, root: Schema) -> frozenset[str]:
    if "type" in part:
        stated = part["type"]
        return frozenset([stated] if isinstance(stated, str) else stated)
    for key in ("anyOf", "oneOf"):
        each = [kinds(alternative, root) for alternative in part.get(key, ())]
        if each and all(each):
            return frozenset().union(*each)
    if "enum" in part or "const" in part:
        return frozenset(_kind_of(value) for value in part.get("enum", [part.get("const")]))
    return frozenset()


def _kind_of(value: object) -> str:
    table = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array"), (dict, "object"))
    return next((name for python, name in table if isinstance(value, python)), "null")


def type_of_schema(schema: object, root: Schema | None = None, depth: int = 0) -> Type:
    """The type that `check` and editors reason with; `ANY` where the schema does not say."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return ANY
    root = schema if root is None else root
    allowed = kinds(schema, root)
    members = [_solid(kind, schema, root, depth) for kind in sorted(allowed - {"null"})]
    if {"integer", "number"} <= allowed:
        members = [each for each in members if each.kind != "integer"]
    found = union(*members) if members else (NULL if allowed else ANY)
    enum = next((tuple(part["enum"]) for part in parts(schema, root) if "enum" in part), None)
    if enum is not None and found.kind != "any":
        found = replace(found, enum=enum)
    if "null" in allowed:
        found = found.or_null()
    secret = any(part.get("writeOnly") is True for part in parts(schema, root))
    return replace(found, secret=True) if secret else found


def _solid(kind: str, schema: Schema, root: Schema, depth: int) -> Type:
    if kind == "object":
        declared = properties(schema, root)
        if not declared:
            return OBJECT
        fields = {}
        for name, each in declared.items():
            found = type_of_schema(each, root, depth + 1)
            fields[name] = replace(found, secret=True) if is_secret(name, each, root) else found
        return record(fields, open=not is_closed(schema, root))
    if kind == "array":
        items = next((part["items"] for part in parts(schema, root) if "items" in part), None)
        return array(type_of_schema(items, root, depth + 1)) if isinstance(items, Mapping) else ARRAY
    return _TYPES.get(kind, ANY)


# ---------------------------------------------------------------- secrets

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET_WORDS = frozenset(
    "password passwords passwd pwd passphrase passcode secret secrets token tokens credential credentials "
    "apikey apikeys authorization cookie".split()
)
_KEY_KINDS = frozenset("api access private secret signing encryption shared account auth master session".split())
# `token_url` and `password_file` tell where a secret is, not what it is.
_ABOUT = frozenset(
    "url uri endpoint type name names file path dir ttl expiry expires lifetime length size count limit max timeout "
    "version method header field env prefix provider policy audience scope scopes issuer algorithm rotation "
    "refresh".split()
)


def is_secret(name: str, schema: object, root: Schema | None = None) -> bool:
    """Whether a field must never be shown: what its schema says (`writeOnly`), else what its name says."""
    for part in parts(schema, root or {}):
        if isinstance(part.get("writeOnly"), bool):
            return bool(part["writeOnly"])
        if part.get("type") in ("integer", "number", "boolean"):
            return False
    words = [each.lower() for each in _WORDS.findall(name)]
    if not words or words[-1] in _ABOUT:
        return False
    keyed = any(one in _KEY_KINDS and two in ("key", "keys") for one, two in pairwise(words))
    return keyed or not _SECRET_WORDS.isdisjoint(words)
