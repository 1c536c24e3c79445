"""What happens to each kind of value on its way into MongoDB and back, through flows."""

from __future__ import annotations

import datetime
import math
import uuid
from decimal import Decimal
from typing import Any

import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, ObjectId, Regex, Timestamp
from tests.mongodb.naughty import STRINGS

from .conftest import Place

ZONE = datetime.timezone(datetime.timedelta(hours=2))
UTC = datetime.UTC
MAP: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (0, 0),
    (2**31, 2**31),
    (2**63 - 1, 2**63 - 1),
    (-(2**63), -(2**63)),
    (1.5, 1.5),
    (5e-324, 5e-324),
    (float("inf"), float("inf")),
    (-0.0, -0.0),
    ("", ""),
    ("text", "text"),
    ("$text", "$text"),
    ("a\0b", "a\0b"),
    ("x" * 1_000_000, "x" * 1_000_000),
    (b"\x00\xff", b"\x00\xff"),
    (bytearray(b"a"), b"a"),
    (Decimal("12.30"), Decimal("12.30")),
    (Decimal("-1E+30"), Decimal("-1E+30")),
    (Decimal("0." + "1" * 34), Decimal("0." + "1" * 34)),
    (datetime.datetime(2026, 3, 1, 12, 30, 0, 123999, UTC), datetime.datetime(2026, 3, 1, 12, 30, 0, 123000, UTC)),
    (datetime.datetime(2026, 3, 1, 12, 30, tzinfo=ZONE), datetime.datetime(2026, 3, 1, 10, 30, tzinfo=UTC)),
    (datetime.datetime(2026, 3, 1), datetime.datetime(2026, 3, 1, tzinfo=UTC)),  # noqa: DTZ001 - one without
    (datetime.datetime(1, 1, 1, tzinfo=UTC), datetime.datetime(1, 1, 1, tzinfo=UTC)),
    (datetime.date(2026, 3, 1), "2026-03-01"),
    (datetime.time(12, 30), "12:30:00"),
    (datetime.timedelta(days=1, hours=2), "P1DT2H"),
    (uuid.UUID(int=1), uuid.UUID(int=1)),
    ([1, "ä", None, [2.5]], [1, "ä", None, [2.5]]),
    ({"b": {"a": [True]}, "a": {}}, {"b": {"a": [True]}, "a": {}}),
    ({"$oid": "0123456789abcdef01234567"}, "0123456789abcdef01234567"),
    ("0123456789abcdef01234567", "0123456789abcdef01234567"),
]
KEEP = """
- mongo_insert: {collection: c, documents: {_id: 1, v: "${inputs.v}"}}
- mongo_batch_insert: {collection: c, documents: "${ [{'_id': 2, 'v': inputs.v}] }"}
- mongo_update: {collection: c, filter: {_id: 3}, update: {$set: {v: "${inputs.v}"}}, upsert: true}
- mongo_replace: {collection: c, filter: {_id: 4}, document: {v: "${inputs.v}"}, upsert: true}
- mongo_find: {id: s, collection: c, sort: {_id: 1}}
"""


@pytest.mark.parametrize(("value", "stored"), MAP, ids=[f"{type(v).__name__}{n}" for n, (v, _) in enumerate(MAP)])
async def test_each_value_comes_back_as_the_type_page_says(mongo: Place, value: Any, stored: Any) -> None:
    """The same through every way of writing, and of the same type."""
    found = [each["v"] for each in (await mongo.got(KEEP, {"v": value}))["documents"]]
    assert found == [stored] * 4
    assert {type(each) for each in found} == {type(stored)}
    if stored == 0:
        assert {math.copysign(1, each) for each in found} == {math.copysign(1, stored)}


async def test_nan_is_kept(mongo: Place) -> None:
    found = [each["v"] for each in (await mongo.got(KEEP, {"v": float("nan")}))["documents"]]
    assert all(math.isnan(each) for each in found)


async def test_the_naughty_strings_come_back_and_are_found(mongo: Place) -> None:
    """As values, as `_id`, and by a filter; whatever they look like."""
    steps = """
    - mongo_batch_insert: {collection: c, documents: "${ [{'_id': each, 'v': each} for each in inputs.strings] }"}
    - for_each: ${inputs.strings}
      id: s
      as: text
      do:
        - mongo_find: {id: by_value, collection: c, filter: {v: "${text}", _id: {$in: ["${text}"]}}}
      collect: ${by_value.documents[0].v}
    """
    strings = sorted(set(STRINGS))
    assert len(strings) > 300
    assert (await mongo.got(steps, {"strings": strings}))["results"] == strings


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2**63, "64 bits"),
        (-(2**63) - 1, "64 bits"),
        (10**400, "64 bits"),
        ([{"deep": 2**63}], "64 bits"),
        (Decimal("1." + "1" * 40), "34 digits"),
        ("\ud800", "half a character"),
        ({"a": object()}, "type object"),
        ({1: 2}, "no text"),
        ({"nul\0": 2}, "NUL"),
    ],
    ids=["big", "small", "huge", "deep", "decimal", "surrogate", "object", "key", "nul"],
)
async def test_what_mongodb_cannot_hold_is_refused(mongo: Place, value: Any, words: str) -> None:
    failed = await mongo.error('- mongo_insert: {collection: c, documents: {v: "${inputs.v}"}}', {"v": value})
    assert (failed.type, words in failed.detail) == ("validation", True), failed.detail
    assert (await mongo.got("- mongo_count: {id: s, collection: c}")) == {"count": 0}


async def test_ids_find_their_documents_as_text_and_extended(mongo: Place, raw: Any) -> None:
    """What a find gave as `_id` finds it again, at every place where an id may stand."""
    first, other = ObjectId(), ObjectId()
    await raw["c"].insert_many([{"_id": first, "friend": other}, {"_id": other, "friend": first}])
    inputs = {"id": str(first), "other": str(other)}
    for filter_ in (
        '{_id: "${inputs.id}"}',
        '{_id: {$in: ["${inputs.id}"]}}',
        '{_id: {$in: "${[inputs.id]}"}}',
        '{_id: {$ne: "${inputs.other}"}}',
        '{_id: {$oid: "${inputs.id}"}}',
        '{friend: {$oid: "${inputs.other}"}}',
        "\"${ {'_id': inputs.id} }\"",
        "\"${ {'friend': {'$oid': inputs.other}} }\"",
        '{$or: [{_id: "${inputs.id}"}, {_id: nobody}]}',
    ):
        found = await mongo.got(f"- mongo_find: {{id: s, collection: c, filter: {filter_}}}", inputs)
        assert found["documents"] == [{"_id": str(first), "friend": str(other)}], filter_
    stages = '[{$match: {_id: "${inputs.id}"}}]'
    found = await mongo.got(f"- mongo_aggregate: {{id: s, collection: c, pipeline: {stages}}}", inputs)
    assert found["count"] == 1


async def test_extended_ids_survive_a_copy(mongo: Place, raw: Any) -> None:
    document = {"_id": ObjectId(), "friend": ObjectId(), "tags": [ObjectId()]}
    await raw["a"].insert_one(dict(document))
    copy = """
    - mongo_find: {id: all, collection: a}
    - mongo_insert: {id: s, collection: b, documents: "${all.documents}"}
    """
    made = await mongo.got(copy, config=", object_ids: extended")
    assert made["inserted_ids"] == [{"$oid": str(document["_id"])}]
    assert await raw["b"].find_one() == document


async def test_an_id_that_is_no_object_id_stays_text(mongo: Place, raw: Any) -> None:
    await mongo.got(
        "- mongo_insert: {collection: c, documents: [{_id: 0123456789abcdef0123456}, {_id: ffffffffffffffffffffffff}]}"
    )
    kinds = {type(each["_id"]) async for each in raw["c"].find()}
    assert kinds == {str, ObjectId}


async def test_types_that_only_mongodb_has_are_read_as_the_type_page_says(mongo: Place, raw: Any) -> None:
    await raw["c"].insert_one(
        {
            "_id": 1,
            "long": Int64(5),
            "decimal": Decimal128("1.10"),
            "regex": Regex("^a", "i"),
            "code": Code("f()"),
            "stamp": Timestamp(7, 2),
            "max": MaxKey(),
            "odd": Binary(b"x", 128),
            "list": [ObjectId("0" * 24)],
        }
    )
    found = (await mongo.got("- mongo_find_one: {id: s, collection: c}"))["document"]
    assert found == {
        "_id": 1,
        "long": 5,
        "decimal": Decimal("1.10"),
        "regex": "/^a/i",
        "code": "f()",
        "stamp": {"t": 7, "i": 2},
        "max": "MaxKey",
        "odd": b"x",
        "list": ["0" * 24],
    }
    assert [type(found[each]) for each in ("long", "code", "odd")] == [int, str, bytes]
    values = (await mongo.got("- mongo_distinct: {id: s, collection: c, field: long}"))["values"]
    assert [(each, type(each)) for each in values] == [(5, int)]
    by_group = "[{$group: {_id: $decimal, all: {$push: $$ROOT.list}}}]"
    grouped = await mongo.got(f"- mongo_aggregate: {{id: s, collection: c, pipeline: {by_group}}}")
    assert grouped["documents"] == [{"_id": Decimal("1.10"), "all": [["0" * 24]]}]


async def test_the_other_server_keeps_what_it_has_types_for(ferret: Place) -> None:
    values = [each for each in MAP if not isinstance(each[0], (Decimal, float, list))]
    kept = """
    - mongo_insert: {collection: c, documents: "${inputs.d}"}
    - mongo_find: {id: s, collection: c, sort: {_id: 1}}
    """
    documents = [{"_id": number, "v": value} for number, (value, _) in enumerate(values)]
    found = await ferret.got(kept, {"d": documents})
    assert [each["v"] for each in found["documents"]] == [stored for _, stored in values]
