"""What the driver reads, as FlowLang's values; the table of types is in `values`.

The driver decodes with its plain codec, in C, and what has no place in a flow is replaced afterwards. Decoders of the
driver's own (`TypeDecoder`) would do the same at more than twice the cost: with any of them it takes an answer apart in
Python and decodes it again (`bson._decode_all_selective`).
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any

from flowlang.connections.mongodb.values import OID, unknown_to_the_driver

if TYPE_CHECKING:
    from bson.codec_options import CodecOptions


def codec() -> CodecOptions[dict[str, Any]]:
    """How the driver reads and writes values."""
    from bson.codec_options import CodecOptions, DatetimeConversion, TypeRegistry

    return CodecOptions(
        document_class=dict,
        tz_aware=True,
        tzinfo=datetime.UTC,
        uuid_representation=4,  # bson.binary.UuidRepresentation.STANDARD
        datetime_conversion=DatetimeConversion.DATETIME_AUTO,
        type_registry=TypeRegistry(fallback_encoder=unknown_to_the_driver),
    )


class Answers:
    """Replaces the driver's own types in what it read. `extended`: ObjectIds become `{$oid: …}`, not text."""

    def __init__(self, *, extended: bool = False) -> None:
        from bson import Binary, Code, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
        from bson.datetime_ms import DatetimeMS
        from bson.dbref import DBRef
        from bson.decimal128 import Decimal128
        from bson.son import SON

        self._by_type: dict[type, Callable[[Any], Any]] = {
            dict: self._document,
            list: self._list,
            SON: lambda value: self._document(dict(value)),  # in what the driver asks by itself, such as indexes
            ObjectId: (lambda value: {OID: str(value)}) if extended else str,
            Decimal128: Decimal128.to_decimal,
            Int64: int,
            Binary: bytes,
            Code: str.__str__,
            Regex: _regex,
            Timestamp: lambda value: {"t": value.time, "i": value.inc},
            MinKey: lambda _: "MinKey",
            MaxKey: lambda _: "MaxKey",
            DBRef: lambda value: self._document(dict(value.as_doc())),
            DatetimeMS: _no_date,
        }

    def documents(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The same documents, changed in place. Raises ValueError for a date that FlowLang does not have."""
        kinds = set(map(type, chain.from_iterable(map(dict.values, found))))
        if not kinds.isdisjoint(self._by_type):
            for each in found:
                self._document(each)
        return found

    def value(self, value: Any) -> Any:
        """One value of any type; lists and documents are changed in place. Raises as `documents`."""
        change = self._by_type.get(type(value))
        return value if change is None else change(value)

    def _document(self, document: dict[str, Any]) -> dict[str, Any]:
        by_type = self._by_type
        for key, value in document.items():
            change = by_type.get(type(value))
            if change is not None:
                document[key] = change(value)
        return document

    def _list(self, values: list[Any]) -> list[Any]:
        values[:] = map(self.value, values)
        return values


def _regex(value: Any) -> str:
    letters = zip("ilmsux", (2, 4, 8, 16, 32, 64), strict=True)  # the flags of Python's `re`
    return f"/{value.pattern}/{''.join(letter for letter, flag in letters if value.flags & flag)}"


def _no_date(value: Any) -> Any:
    raise ValueError(f"a date of {int(value)} ms lies outside of the years 1 to 9999: leave its field out")
