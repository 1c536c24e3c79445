"""What may stand at a place of a flow, and what it means: the schema of a flow file, followed along the place's path.

Of JSON Schema this understands what the schema of a flow is made of. An object of which only the keys are known is
enough: `if` asks for keys and for words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flowlang.lsp.outline import Level
from flowlang.records import frozen

Schema = Mapping[str, Any]
_DEEPEST = 24


@frozen
class Offer:
    """A key or a word that may stand at a place. `doc` is markdown."""

    label: str
    doc: str = ""
    default: object = None
    required: bool = False
    holds: str = ""  # of a key: the kind of its value, `object`, `array` or another


class Structure:
    """A schema of flow files that can be asked about places."""

    def __init__(self, root: Schema) -> None:
        self.root = root

    def at(self, levels: Sequence[Level]) -> list[Schema]:
        """The schemas for what stands at the end of `levels`: the value of the last key, an item, or an object."""
        found: list[Schema] = [self.root]
        for number, level in enumerate(levels):
            last = number == len(levels) - 1
            if level.kind == "list":
                found = [each for schema in self._applying(found, []) for each in _items(schema)]
            elif level.key is None:
                if not last:
                    return []
                return list(self._applying(found, level.keys))
            else:
                found = self._below(found, level.keys, level.key)
        return list(self._applying(found, None))

    def keys(self, levels: Sequence[Level]) -> list[Offer]:
        """The keys that may be written where the last of `levels` has none yet."""
        present = levels[-1].keys
        found: dict[str, Offer] = {}
        schemas = self.at(levels)
        required = {name for schema in schemas for name in schema.get("required", ())}
        for schema in schemas:
            for name, each in schema.get("properties", {}).items():
                if name not in present and name not in found and isinstance(each, Mapping):
                    holds = self._kind(each)
                    found[name] = Offer(name, self.doc([each]), each.get("default"), name in required, holds)
        return list(found.values())

    def words(self, levels: Sequence[Level]) -> list[Offer]:
        """The words that may stand as the value at a place."""
        found: dict[str, Offer] = {}
        for schema in self.at(levels):
            words = schema.get("enum", [schema["const"]] if "const" in schema else [])
            about = schema.get("markdownEnumDescriptions", ())
            for number, word in enumerate(words):
                if isinstance(word, (str, int, float)):
                    text = str(word).lower() if isinstance(word, bool) else str(word)
                    found.setdefault(text, Offer(text, about[number] if number < len(about) else ""))
            if schema.get("type") == "boolean":
                found |= {each: Offer(each) for each in ("true", "false")}
        return list(found.values())

    def about(self, levels: Sequence[Level]) -> str:
        """What the key or item at the end of `levels` means."""
        *around, last = levels
        if last.kind == "list" or last.key is None:
            return ""
        schemas = self.at(around) if around else [self.root]
        return self.doc(self._below(schemas, last.keys, last.key))

    def kinds(self, levels: Sequence[Level]) -> set[str]:
        """The names of the definitions that the value at a place is an instance of: `condition`, `connection`, …"""
        *around, last = levels
        if last.kind == "list":
            schemas = [each for schema in self.at(around) for each in _items(schema)]
        elif last.key is None:
            return set()
        else:
            schemas = self._below(self.at(around) if around else [self.root], last.keys, last.key)
        return {str(each["$ref"]).rpartition("/")[2] for each in schemas if "$ref" in each}

    def doc(self, schemas: Sequence[Schema]) -> str:
        for each in schemas:
            if "markdownDescription" in each or "description" in each:
                return str(each.get("markdownDescription") or each["description"])
        return next((self.doc([self._referred(each)]) for each in schemas if "$ref" in each), "")

    # ------------------------------------------------------------ the schema

    def _below(self, schemas: Sequence[Schema], keys: Mapping[str, Any], key: str) -> list[Schema]:
        applying = list(self._applying(schemas, keys))
        found = [each["properties"][key] for each in applying if key in each.get("properties", {})]
        if not found:
            found = [each["additionalProperties"] for each in applying if "additionalProperties" in each]
        return [each for each in found if isinstance(each, Mapping)]

    def _applying(self, schemas: Sequence[Schema], value: Any, depth: int = 0) -> Iterator[Schema]:
        """Each of `schemas` and all that it is made of, as far as it applies to `value`."""
        if depth > _DEEPEST:
            return
        for schema in schemas:
            yield schema
            inner: list[Schema] = [*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())]
            if "$ref" in schema:
                inner.append(self._referred(schema))
            if "if" in schema:
                branch = schema.get("then" if self._holds(schema["if"], value) else "else")
                inner += [branch] if branch is not None else []
            if inner:
                yield from self._applying(inner, value, depth + 1)

    def _referred(self, schema: Schema) -> Schema:
        found: Any = self.root
        for part in str(schema["$ref"])[2:].split("/"):
            found = found.get(part, {}) if isinstance(found, Mapping) else {}
        return found if isinstance(found, Mapping) else {}

    def _holds(self, test: Schema, value: Any) -> bool:
        """Whether `value` passes; of the values in an object only words on one line are known."""
        if "$ref" in test:
            return self._holds(self._referred(test), value)
        if not _is(value, test.get("type")):
            return False
        if "const" in test and value != test["const"]:
            return False
        if "pattern" in test and not (isinstance(value, str) and re.search(test["pattern"], value)):
            return False
        if "anyOf" in test and not any(self._holds(each, value) for each in test["anyOf"]):
            return False
        if "not" in test and self._holds(test["not"], value):
            return False
        if not isinstance(value, Mapping):
            return True
        if not all(each in value for each in test.get("required", ())):
            return False
        if "propertyNames" in test and not set(value) <= set(test["propertyNames"]["enum"]):
            return False
        return all(self._holds(each, value[key]) for key, each in test.get("properties", {}).items() if key in value)

    def _kind(self, schema: Schema) -> str:
        for each in self._applying([schema], None):
            kind = each.get("type")
            if kind is not None:
                return kind if isinstance(kind, str) else "object" if kind == ["object", "null"] else ""
        return ""


def _items(schema: Schema) -> list[Schema]:
    items = schema.get("items")
    return [items] if isinstance(items, Mapping) else []


_KINDS: dict[str, tuple[type, ...]] = {
    "object": (Mapping,),
    "string": (str,),
    "array": (list,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def _is(value: Any, kind: Any) -> bool:
    if kind is None:
        return True
    return any(isinstance(value, _KINDS[each]) for each in ([kind] if isinstance(kind, str) else kind))
