"""From what a flow writes to what the server is sent: filters, updates, pipelines.

In a query, keys that begin with `$` are operators, dotted keys are paths, and in the language of aggregation a text
that begins with `$` is the value of a field. Whoever writes the flow may use all of that; what an expression gives is
data and means itself. Data with such keys is refused, and so is a text with `$` where it would name a field; `$literal`
around it says that it does not. Code for the server (`$where`, `$function`, `$accumulator`) never holds data.
"""

from __future__ import annotations

from typing import Any

from flowlang.connections.mongodb.values import CODE, Plain, as_id, check_name, is_oid, of_oid, refused
from flowlang.tasks.values import Data, Ident, without_marks

_SCRIPTS = frozenset({"body", "init", "accumulate", "merge", "finalize"})
_COMPARING = frozenset({"$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$not"})


class Reader:
    """Reads one part of a query. `operators`: what the flow computes may hold operators, as its step declares."""

    def __init__(self, *, operators: bool = False) -> None:
        self._operators = operators
        self._plain = Plain(operators=operators)

    def filter(self, value: Any, where: str = "`filter`") -> dict[str, Any]:
        """A filter; null is the empty one."""
        return {} if value is None else self._object(value, where, computes=False)

    def update(self, value: Any, where: str = "`update`") -> Any:
        """An update: an object of operators, or a pipeline."""
        if isinstance(value, list):
            return self.pipeline(value, where)
        made = self._object(value, where, computes=False)
        if not made or not all(key.startswith("$") for key in made):
            raise refused(f"{where} must consist of operators such as `$set`; `mongo_replace` replaces a document")
        return made

    def document(self, value: Any, where: str) -> dict[str, Any]:
        """A document to store. Nothing in it is an operator, wherever it comes from."""
        return Plain().document(_data(value), where)

    def pipeline(self, value: Any, where: str = "`pipeline`") -> list[dict[str, Any]]:
        """The stages of an aggregation."""
        if not isinstance(value, list):
            raise refused(f"{where} must be a list of stages")
        return [self._object(each, f"{where}[{index}]", computes=True) for index, each in enumerate(value)]

    def projection(self, value: Any) -> dict[str, Any] | list[str] | None:
        """The fields to give: an object, or a list of names."""
        value = value.value if isinstance(value, Data) and not isinstance(value.value, dict) else value
        if value is None or not isinstance(value, list):
            return None if value is None else self._object(value, "`projection`", computes=True)
        names: list[Any] = [each.value if isinstance(each, Data) else each for each in value]
        for each in names:
            if not isinstance(each, str) or each.startswith("$"):
                raise refused("a list in `projection` must hold names of fields")
        return names

    def order(self, value: Any, where: str = "`sort`") -> list[tuple[str, Any]] | None:
        """Fields with their directions: an object, or a list of objects, in the order that counts."""
        if value is None:
            return None
        value = value.value if isinstance(value, Data) and isinstance(value.value, list) else value
        parts = value if isinstance(value, list) else [value]
        pairs = [pair for each in parts for pair in self._object(each, where, computes=False).items()]
        for name, direction in pairs:
            if direction not in (1, -1) and not isinstance(direction, (dict, str)):
                raise refused(f"{where}: the direction of `{name}` must be 1 or -1")
        return pairs or None

    # ------------------------------------------------------------ parts

    def _object(self, value: Any, where: str, *, computes: bool) -> dict[str, Any]:
        if isinstance(value, Data):
            self._no_fields(value.value, where, computes=computes)
            return self._plain.document(value.value, where)
        if not isinstance(value, dict):
            raise refused(f"{where} must be an object")
        made = {}
        for key, each in value.items():
            check_name(key, where)
            inside = f"{where[:-1]}.{key}`" if where.endswith("`") else f"{where}.{key}"
            made[key] = self._entry(key, each, inside, computes=computes)
        return made

    def _entry(self, key: str, value: Any, where: str, *, computes: bool) -> Any:
        if key in CODE:
            _no_data(key, value, where)
        if key == "$literal":
            return self._plain.value(_data(value), where)
        if not computes and (key == "_id" or key.endswith("._id")):
            return self._id(value, where)
        computes = key == "$expr" or (computes and key != "$match")
        return self._value(value, where, computes=computes)

    def _id(self, value: Any, where: str) -> Any:
        """What `_id` is compared with: a text that looks like an ObjectId is one, inside of operators too."""
        if isinstance(value, dict) and not is_oid(value):
            made = self._object(value, where, computes=False)
            return {key: _ids(each) if key in _COMPARING else each for key, each in made.items()}
        return as_id(self._value(value, where, computes=False))

    def _value(self, value: Any, where: str, *, computes: bool) -> Any:
        if isinstance(value, Data):
            self._no_fields(value.value, where, computes=computes)
            return self._plain.value(value.value, where)
        if isinstance(value, dict):
            if is_oid(value):
                return of_oid(_data(value), where)
            return self._object(value, where, computes=computes)
        if isinstance(value, list):
            return [self._value(each, f"{where}[{index}]", computes=computes) for index, each in enumerate(value)]
        if isinstance(value, Ident):
            raise refused(f"{where}: a name made by ident() is no value")
        return value

    def _no_fields(self, value: Any, where: str, *, computes: bool) -> None:
        """Refuse texts of data that would be read as the value of a field."""
        if not computes or self._operators:
            return
        if isinstance(value, str) and value.startswith("$"):
            error = refused(
                f"{where} comes from data and begins with `$`: MongoDB would read it as the name of a field"
            )
            error.add_note("write `{$literal: …}` around the expression")
            raise error
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            self._no_fields(each, where, computes=True)


def _ids(value: Any) -> Any:
    return [as_id(each) for each in value] if isinstance(value, list) else as_id(value)


def _no_data(key: str, value: Any, where: str) -> None:
    """Refuse data in code. The arguments of a function are no code."""
    parts = isinstance(value, dict) and key != "$where"
    scripts = [value.get(each) for each in _SCRIPTS] if parts else [value]
    if any(_holds_data(each) for each in scripts):
        raise refused(f"{where} is code that the server runs: it must stand in the flow as it is, without expressions")


def _holds_data(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_data, value.values()))
    return isinstance(value, Data) or (isinstance(value, list) and any(map(_holds_data, value)))


def _data(value: Any) -> Any:
    """A part of a query in which nothing is an operator: its marks are of no use."""
    return without_marks(value)
