"""Operators stand in the flow; what expressions give is data, and data with operators is refused."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Place

USERS = [{"_id": 1, "name": "ada", "password": "secret"}, {"_id": 2, "name": "$password", "password": "x"}]
ATTACKS: list[Any] = [
    {"$ne": None},
    {"$gt": ""},
    {"$regex": ".*"},
    {"$in": ["ada"]},
    {"$exists": True},
    {"$not": {"$eq": 1}},
    {"$where": "return true"},
    {"$expr": {"$eq": [1, 1]}},
    {"$function": {"body": "function() {return true}", "args": [], "lang": "js"}},
    {"a": {"$ne": 1}},
    [{"$ne": 1}],
    {"name.first": "x"},
    {"__proto__": {"admin": True}},
    {"a": [{"b": {"$gt": 1}}]},
    {"nul\0": 1},
    {"$oid": {"$ne": None}},
    {"$oid": "no id"},
    {"$oid": "0" * 24, "$ne": 1},
]
PLACES = [
    '- mongo_find: {collection: c, filter: {name: "${inputs.x}"}}',
    '- mongo_find: {collection: c, filter: {$or: [{name: {$in: ["${inputs.x}"]}}]}}',
    '- mongo_find: {collection: c, filter: {_id: "${inputs.x}"}}',
    "- mongo_find_one: {collection: c, filter: \"${ {'name': inputs.x} }\"}",
    '- mongo_find: {collection: c, projection: {name: "${inputs.x}"}}',
    '- mongo_count: {collection: c, filter: {name: "${inputs.x}"}}',
    '- mongo_distinct: {collection: c, field: name, filter: {name: "${inputs.x}"}}',
    '- mongo_delete: {collection: c, filter: {name: "${inputs.x}"}}',
    '- mongo_update: {collection: c, filter: {name: "${inputs.x}"}, update: {$set: {a: 1}}}',
    '- mongo_update: {collection: c, filter: {}, update: {$set: {a: "${inputs.x}"}}}',
    "- mongo_update: {collection: c, filter: {}, update: {$set: \"${ {'a': inputs.x} }\"}}",
    '- mongo_replace: {collection: c, filter: {}, document: {a: "${inputs.x}"}}',
    '- mongo_insert: {collection: c, documents: {a: "${inputs.x}"}}',
    '- mongo_batch_insert: {collection: c, documents: [{a: "${inputs.x}"}]}',
    '- mongo_aggregate: {collection: c, pipeline: [{$match: {name: "${inputs.x}"}}]}',
    '- mongo_aggregate: {collection: c, pipeline: [{$project: {name: "${inputs.x}"}}]}',
    '- mongo_bulk_write: {collection: c, operations: [{delete_many: {filter: {name: "${inputs.x}"}}}]}',
    '- mongo_find_one_and_update: {collection: c, filter: {name: "${inputs.x}"}, update: {$set: {a: 1}}}',
]


async def _filled(mongo: Place) -> None:
    await mongo.got("- mongo_insert: {collection: c, documents: '${inputs.users}'}", {"users": USERS})


@pytest.mark.parametrize("step", PLACES)
async def test_operators_in_data_are_refused_wherever_they_stand(mongo: Place, step: str) -> None:
    """With the place named and nothing changed."""
    await _filled(mongo)
    head = "- for_each: ${inputs.attacks}\n  id: s\n  as: x\n  max_failures: 100\n  do:\n    "
    loop = head + step.replace("inputs.x", "x")
    told: list[Any] = []
    result = await mongo.run(loop, {"attacks": ATTACKS}, on_event=told.append)
    assert result.outputs["got"]["failed"] == len(ATTACKS), result.outputs
    classes = {each.failure.type for each in told if hasattr(each, "failure") and each.failure is not None}
    assert classes == {"validation"}
    left = await mongo.got("- mongo_find: {id: s, collection: c, sort: {_id: 1}}")
    assert left["documents"] == USERS


@pytest.mark.parametrize("key", ["$ne", "a.b", "__proto__"])
async def test_the_message_names_the_place_and_the_key(mongo: Place, key: str) -> None:
    failed = await mongo.error('- mongo_find: {collection: c, filter: {name: "${inputs.x}"}}', {"x": {key: 1}})
    assert f"`{key}`" in failed.detail
    assert failed.detail.startswith("`filter.name`")


async def test_operators_written_in_the_flow_are_the_query(mongo: Place) -> None:
    await _filled(mongo)
    step = '- mongo_find: {id: s, collection: c, filter: {name: {$ne: "${inputs.x}"}, _id: {$in: [1, 2]}, "a.b": null}}'
    assert (await mongo.got(step, {"x": "ada"}))["documents"] == [USERS[1]]


async def test_a_step_may_declare_that_its_data_holds_operators(mongo: Place) -> None:
    """Code for the server is refused all the same."""
    await _filled(mongo)
    step = '- mongo_count: {id: s, collection: c, filter: "${inputs.x}", allow_operators: true}'
    assert await mongo.got(step, {"x": {"name": {"$gt": "a"}}}) == {"count": 1}
    failed = await mongo.error(step, {"x": {"$where": "true"}})
    assert "$where" in failed.detail


async def test_a_text_from_data_never_names_a_field(mongo: Place) -> None:
    """`$password` from outside would compare with, or show, that field."""
    await _filled(mongo)
    for step in (
        '- mongo_aggregate: {collection: c, pipeline: [{$project: {name: "${inputs.x}"}}]}',
        '- mongo_aggregate: {collection: c, pipeline: [{$project: {name: {$concat: ["${inputs.x}", ""]}}}]}',
        '- mongo_aggregate: {collection: c, pipeline: [{$match: {$expr: {$eq: ["$name", "${inputs.x}"]}}}]}',
        "- mongo_aggregate: {collection: c, pipeline: [{$addFields: \"${ {'a': {'b': [inputs.x]}} }\"}]}",
        '- mongo_find: {collection: c, filter: {$expr: {$eq: ["$name", "${inputs.x}"]}}}',
        '- mongo_find: {collection: c, projection: {shown: "${inputs.x}"}}',
        '- mongo_update: {collection: c, filter: {}, update: [{$set: {a: "${inputs.x}"}}]}',
    ):
        failed = await mongo.error(step, {"x": "$password"})
        assert (failed.type, "name of a field" in failed.detail) == ("validation", True), step
        assert any("$literal" in note for note in failed.notes)


async def test_literal_and_match_take_any_text(mongo: Place) -> None:
    await _filled(mongo)
    stages = '[{$match: {name: "${inputs.x}"}}, {$project: {v: {$literal: "${inputs.x}"}}}]'
    literal = f"- mongo_aggregate: {{id: s, collection: c, pipeline: {stages}}}"
    assert (await mongo.got(literal, {"x": "$password"}))["documents"] == [{"_id": 2, "v": "$password"}]
    update = '- mongo_update: {id: s, collection: c, filter: {_id: 1}, update: {$set: {note: "${inputs.x}"}}}'
    assert (await mongo.got(update, {"x": "$password"}))["modified_count"] == 1


@pytest.mark.parametrize(
    "filter_",
    [
        "{$where: \"this.name == '${inputs.x}'\"}",
        '{$expr: {$function: {body: "${inputs.x}", args: [], lang: js}}}',
        '{$expr: {$accumulator: {init: "${inputs.x}", accumulate: f, merge: f, lang: js}}}',
    ],
)
async def test_code_for_the_server_holds_no_data(mongo: Place, filter_: str) -> None:
    failed = await mongo.error(f"- mongo_find: {{collection: c, filter: {filter_}}}", {"x": "' || '1' == '1"})
    assert (failed.type, "code that the server runs" in failed.detail) == ("validation", True)


@pytest.mark.parametrize("update", ["{a: 1}", "{}", "\"${ {'a': 1} }\"", "{$set: {a: 1}, b: 2}"])
async def test_an_update_consists_of_operators(mongo: Place, update: str) -> None:
    """A mistyped one would replace the whole document in other clients."""
    failed = await mongo.error(f"- mongo_update: {{collection: c, filter: {{}}, update: {update}}}")
    assert (failed.type, "`mongo_replace`" in failed.detail) == ("validation", True)
