"""Functions of lists and objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flowlang.expressions.functions.model import (
    Function,
    items_of,
    parameter,
    want_flag,
    want_list,
    want_object,
    want_text,
)
from flowlang.expressions.runtime import ExpressionError, Work, check_size, fallback, kind_of, present
from flowlang.expressions.types import (
    ANY,
    ARRAY,
    BOOLEAN,
    BYTES,
    INTEGER,
    OBJECT,
    STRING,
    Type,
    array,
    record,
    union,
)


def _len(value: Any) -> int:
    if isinstance(value, (str, list, dict, tuple, bytes)):
        return len(value)
    if value is not None and hasattr(type(value), "__len__"):
        return len(value)
    raise ExpressionError(f"`len` counts a text, a list or an object, this is {kind_of(value)}")


def _member(item: Any, field: str, function: str) -> Any:
    try:
        return want_object(item, function)[field]
    except KeyError:
        raise ExpressionError(f"`{function}`: an item has no `{field}`") from None


def _sorted(work: Work, values: Any, key: Any = None, reverse: Any = False) -> list[Any]:
    items = want_list(values, "sorted")
    work.charge(2 * len(items))
    down = want_flag(reverse, "sorted")
    field = None if key is None else want_text(key, "sorted")
    keys = items if field is None else [_member(each, field, "sorted") for each in items]
    if any(isinstance(each, (list, tuple, Mapping)) for each in keys):
        raise ExpressionError("`sorted` cannot order lists or objects" + ("; give it a `key`" if key is None else ""))
    try:
        order = sorted(range(len(items)), key=keys.__getitem__, reverse=down)
    except TypeError:
        kinds = " and ".join(sorted({kind_of(each) for each in keys}))
        raise ExpressionError(f"`sorted` cannot order {kinds}") from None
    return [items[at] for at in order]


def _keys(work: Work, value: Any) -> list[Any]:
    given = want_object(value, "keys")
    work.charge(len(given) >> 2)
    return list(given)


def _values(work: Work, value: Any) -> list[Any]:
    given = want_object(value, "values")
    work.charge(len(given) >> 2)
    return list(given.values())


def _pairs(work: Work, value: Any) -> list[list[Any]]:
    given = want_object(value, "items")
    work.charge(len(given))
    return [[key, each] for key, each in given.items()]


def _coalesce(*values: Any) -> Any:
    return next((each for each in values if each is not None), None)


def _flatten(work: Work, values: Any) -> list[Any]:
    result: list[Any] = []
    for item in want_list(values, "flatten"):
        inner = item if isinstance(item, (list, tuple)) else [item]
        work.charge(1 + (len(inner) >> 2))
        check_size(len(result) + len(inner), False)
        result.extend(inner)
    return result


def _hashable(value: Any) -> Any:
    """A key under which equal values meet; lists and objects by what they hold."""
    if isinstance(value, bool):
        return (bool, value)
    if isinstance(value, (list, tuple)):
        return (list, *map(_hashable, value))
    if isinstance(value, Mapping):
        return (dict, frozenset((key, _hashable(each)) for key, each in value.items()))
    return value


def _unique(work: Work, values: Any, key: Any = None) -> list[Any]:
    items = want_list(values, "unique")
    work.charge(2 * len(items))
    field = None if key is None else want_text(key, "unique")
    seen: dict[Any, Any] = {}
    for item in items:
        seen.setdefault(_key_of(work, item, field, "unique"), item)
    return list(seen.values())


def _key_of(work: Work, item: Any, field: str | None, function: str) -> Any:
    value = item if field is None else _member(item, field, function)
    if isinstance(value, (list, tuple, dict)):
        work.sized(value)
    try:
        key = _hashable(value)
        hash(key)
    except (TypeError, RecursionError):
        raise ExpressionError(f"`{function}` cannot compare {kind_of(value)}") from None
    return key


def _group_by(work: Work, values: Any, key: Any) -> list[dict[str, Any]]:
    items, field = want_list(values, "group_by"), want_text(key, "group_by")
    work.charge(2 * len(items))
    groups: dict[Any, dict[str, Any]] = {}
    for item in items:
        name = _key_of(work, item, field, "group_by")
        group = groups.setdefault(name, {"key": _member(item, field, "group_by"), "items": []})
        group["items"].append(item)
    return list(groups.values())


def _zip(work: Work, *lists: Any) -> list[list[Any]]:
    sequences = [want_list(each, "zip") for each in lists]
    sizes = {len(each) for each in sequences}
    if len(sizes) > 1:
        shown = " and ".join(map(str, sorted(sizes)))
        raise ExpressionError(f"`zip` needs lists of one length, these have {shown} items")
    work.charge(sum(map(len, sequences)))
    return [list(each) for each in zip(*sequences, strict=True)]


def _merge(work: Work, *objects: Any) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    for each in objects:
        given = want_object(each, "merge")
        work.charge(len(given) >> 1)
        result.update(given)
    return result


def _names(names: Sequence[Any], function: str) -> Iterable[str]:
    for each in names:
        if isinstance(each, (list, tuple)):
            yield from (want_text(name, function) for name in each)
        else:
            yield want_text(each, function)


def _pick(work: Work, value: Any, *names: Any) -> dict[Any, Any]:
    given = want_object(value, "pick")
    wanted = list(_names(names, "pick"))
    work.charge(len(wanted))
    return {name: given[name] for name in wanted if name in given}


def _omit(work: Work, value: Any, *names: Any) -> dict[Any, Any]:
    given = want_object(value, "omit")
    unwanted = set(_names(names, "omit"))
    work.charge(len(given) + len(unwanted))
    return {key: each for key, each in given.items() if key not in unwanted}


def _default(value: Any, otherwise: Any) -> Any:
    return fallback(value, lambda: otherwise)


def _default_type(arguments: Sequence[Type]) -> Type:
    return union(arguments[0].not_null(), arguments[1]) if arguments[0].kind != "null" else arguments[1]


def _coalesced(arguments: Sequence[Type]) -> Type:
    solid = [each.not_null() for each in arguments if each.kind != "null"]
    if arguments and (arguments[-1].nullable or arguments[-1].kind == "null"):
        solid.append(Type("null"))
    return union(*solid) if solid else ANY


def _flat(arguments: Sequence[Type]) -> Type:
    inner = items_of(arguments[0])
    return array(items_of(inner)) if inner.kind == "array" else ARRAY


def _same_list(arguments: Sequence[Type]) -> Type:
    return array(items_of(arguments[0]))


def _grouped(arguments: Sequence[Type]) -> Type:
    return array(record({"key": ANY, "items": _same_list(arguments)}))


def _value_types(given: Type) -> Type:
    return union(*given.fields.values()) if given.fields and not given.open else ANY


def _merged(arguments: Sequence[Type]) -> Type:
    fields: dict[str, Type] = {}
    known = True
    for each in arguments:
        known = known and each.fields is not None and not each.open
        fields.update(each.fields or {})
    return record(fields) if known else OBJECT


_LIST = parameter("list", ARRAY)
_KEY = parameter("key", STRING, optional=True)

FUNCTIONS = (
    Function(
        "len",
        (parameter("value", STRING, ARRAY, OBJECT, BYTES),),
        INTEGER,
        "How many characters a text, items a list, or keys an object has.",
        "len(['a', 'b'])",
        "2",
        _len,
    ),
    Function(
        "sorted",
        (_LIST, _KEY, parameter("reverse", BOOLEAN, optional=True)),
        _same_list,
        "The list in order; of objects by the field `key`.",
        "sorted([{'n': 2}, {'n': 1}], key='n')",
        '[{"n": 1}, {"n": 2}]',
        _sorted,
        doc="Equal items keep their order, with `reverse=true` too.",
        work=True,
    ),
    Function(
        "keys",
        (parameter("object", OBJECT),),
        array(STRING),
        "The keys of an object.",
        "keys({'a': 1, 'b': 2})",
        '["a", "b"]',
        _keys,
        work=True,
    ),
    Function(
        "values",
        (parameter("object", OBJECT),),
        lambda a: array(_value_types(a[0])),
        "The values of an object.",
        "values({'a': 1, 'b': 2})",
        "[1, 2]",
        _values,
        work=True,
    ),
    Function(
        "items",
        (parameter("object", OBJECT),),
        array(ARRAY),
        "The pairs of key and value of an object.",
        "[k + '=' + str(v) for k, v in items({'a': 1})]",
        '["a=1"]',
        _pairs,
        work=True,
    ),
    Function(
        "default",
        (parameter("path"), parameter("otherwise")),
        _default_type,
        "What `path` leads to, or `otherwise` when it is missing, was skipped, or is null.",
        "default({'a': {}}.a.b, 'none')",
        '"none"',
        _default,
        doc="Beside `has` the only place where a missing key is not an error.",
        lazy=True,
    ),
    Function(
        "has",
        (parameter("path"),),
        BOOLEAN,
        "Whether `path` leads to a value that is not null.",
        "has({'a': {}}.a.b)",
        "false",
        present,
        lazy=True,
    ),
    Function(
        "coalesce",
        (parameter("values", variadic=True),),
        _coalesced,
        "The first of the values that is not null.",
        "coalesce(null, 'b', 'c')",
        '"b"',
        _coalesce,
    ),
    Function(
        "flatten",
        (_LIST,),
        _flat,
        "The items of the lists in a list, one level up.",
        "flatten([[1, 2], [3], 4])",
        "[1, 2, 3, 4]",
        _flatten,
        work=True,
    ),
    Function(
        "unique",
        (_LIST, _KEY),
        _same_list,
        "The list without repeated items; of objects by the field `key`.",
        "unique([3, 1, 3])",
        "[3, 1]",
        _unique,
        doc="The first of equal items stays.",
        work=True,
    ),
    Function(
        "group_by",
        (_LIST, parameter("key", STRING)),
        _grouped,
        "The objects of a list in groups `{key, items}` by the field `key`, in order of appearance.",
        "[g.key + str(len(g['items'])) for g in group_by([{'c': 'x'}, {'c': 'y'}, {'c': 'x'}], 'c')]",
        '["x2", "y1"]',
        _group_by,
        work=True,
    ),
    Function(
        "zip",
        (parameter("lists", ARRAY, variadic=True),),
        array(ARRAY),
        "The first items of the lists together, then the second, and so on.",
        "zip([1, 2], ['a', 'b'])",
        '[[1, "a"], [2, "b"]]',
        _zip,
        doc="The lists must be of one length.",
        work=True,
    ),
    Function(
        "merge",
        (parameter("objects", OBJECT, variadic=True),),
        _merged,
        "One object of several; a later key replaces an earlier one.",
        "merge({'a': 1}, {'b': 2})",
        '{"a": 1, "b": 2}',
        _merge,
        work=True,
    ),
    Function(
        "pick",
        (parameter("object", OBJECT), parameter("names", STRING, ARRAY, variadic=True)),
        OBJECT,
        "The object with only the named keys.",
        "pick({'a': 1, 'b': 2}, 'a')",
        '{"a": 1}',
        _pick,
        work=True,
    ),
    Function(
        "omit",
        (parameter("object", OBJECT), parameter("names", STRING, ARRAY, variadic=True)),
        OBJECT,
        "The object without the named keys.",
        "omit({'a': 1, 'b': 2}, 'a')",
        '{"b": 2}',
        _omit,
        work=True,
    ),
)
