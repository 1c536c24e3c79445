"""Values on their way out of the database: where the driver's own are none of FlowLang's."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flowlang.connections.postgres.encoding import Convert, text_of

AS_TEXT = "inet cidr bit varbit point line lseg box path polygon circle tid pg_lsn txid_snapshot pg_snapshot".split()
"""Types of the server's that travel as text, since the driver's own classes for them are none of FlowLang's."""


def _number(text: str) -> float | Decimal:
    """A number of a JSON text: as decimal where a float would change it."""
    number = float(text)
    return number if Decimal(repr(number)) == Decimal(text) else Decimal(text)


def _loaded(text: str) -> Any:
    return json.loads(text, parse_float=_number)


def range_text(value: Any) -> str:
    """A range as the server writes it."""
    if value.isempty:
        return "empty"

    def bound(edge: Any) -> str:
        if edge is None:
            return ""
        text = text_of(edge)
        return f'"{text}"' if re.search(r"[\s,()\[\]]", text) else text

    opening, closing = "[" if value.lower_inc else "(", "]" if value.upper_inc else ")"
    return f"{opening}{bound(value.lower)},{bound(value.upper)}{closing}"


def _plain(value: Any) -> Any:
    """What composite types hold: objects, with the names of their parts where they have names."""
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if hasattr(value, "isempty"):
        return range_text(value)
    if hasattr(value, "items") and not isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return value


def _each(convert: Convert) -> Convert:
    def converted(value: Any) -> Any:
        if isinstance(value, list):
            return [converted(each) for each in value]
        return None if value is None else convert(value)

    return converted


def _moment(value: datetime.datetime) -> datetime.datetime:
    """Infinity comes without a zone."""
    return value if value.tzinfo is not None else value.replace(tzinfo=datetime.UTC)


_BUILT_IN: Mapping[str, Convert] = {
    "json": _loaded,
    "jsonb": _loaded,
    "timestamptz": _moment,
    "char": bytes.decode,
}


_KINDS: Mapping[str, type] = {
    "bool": bool,
    "int2": int,
    "int4": int,
    "int8": int,
    "oid": int,
    "float4": float,
    "float8": float,
    "numeric": Decimal,
    "text": str,
    "varchar": str,
    "bpchar": str,
    "name": str,
    "bytea": bytes,
}


def kind_of(type_: Any) -> type | None:
    """The class of every value that the driver gives for a type, null aside; None where that is not certain."""
    return _KINDS.get(type_.name) if type_.schema == "pg_catalog" else None


def decoder(type_: Any) -> Convert | None:
    """What makes a value of FlowLang out of the driver's; None where it is one already."""
    name = type_.name.removesuffix("[]")
    if name in _BUILT_IN and type_.schema == "pg_catalog":
        return _each(_BUILT_IN[name]) if type_.kind == "array" else _BUILT_IN[name]
    plain = type_.kind == "scalar" or (type_.kind == "array" and type_.schema == "pg_catalog" and name != "record")
    return None if plain and not name.endswith("range") else _plain
