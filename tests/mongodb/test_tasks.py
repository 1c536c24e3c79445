"""What each task does to a collection, through flows. `place` stands for both servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import flowlang

from .conftest import Place

FILLED = """
- mongo_insert:
    collection: c
    documents: [{_id: 1, n: 1, k: a}, {_id: 2, n: 2, k: b}, {_id: 3, n: 3, k: a}]
"""


async def test_find_filters_sorts_skips_and_limits(place: Place) -> None:
    query = "filter: {n: {$gte: 1}}, projection: [n], sort: {n: -1}, skip: 1, limit: 1"
    steps = f"- mongo_find: {{id: s, collection: c, {query}}}"
    assert await place.got(FILLED + steps) == {"documents": [{"_id": 2, "n": 2}], "count": 1}


async def test_find_without_a_filter_gives_all(place: Place) -> None:
    found = await place.got(
        FILLED + "- mongo_find: {id: s, collection: c, sort: [{k: 1}, {n: -1}], projection: {k: 0}}"
    )
    assert found["documents"] == [{"_id": 3, "n": 3}, {"_id": 1, "n": 1}, {"_id": 2, "n": 2}]


async def test_find_one_tells_whether_there_is_one(place: Place) -> None:
    steps = FILLED + "- mongo_find_one: {id: s, collection: c, filter: {k: '${inputs.k}'}, sort: {n: -1}}"
    assert await place.got(steps, {"k": "a"}) == {"document": {"_id": 3, "n": 3, "k": "a"}, "found": True}
    assert await place.got(steps.replace(FILLED, ""), {"k": "z"}) == {"document": None, "found": False}


async def test_insert_gives_the_ids_in_order(place: Place) -> None:
    found = await place.got("- mongo_insert: {id: s, collection: c, documents: [{a: 1}, {_id: x}, {_id: 7}]}")
    assert found["count"] == 3
    assert found["inserted_ids"][1:] == ["x", 7]
    assert len(found["inserted_ids"][0]) == 24
    assert await place.got("- mongo_insert: {id: s, collection: c, documents: {a: 1}}")
    assert await place.got("- mongo_insert: {id: s, collection: c, documents: []}") == {"inserted_ids": [], "count": 0}
    assert await place.got("- mongo_count: {id: s, collection: c}") == {"count": 4}


async def test_update_one_many_and_upsert(place: Place) -> None:
    update = "- mongo_update: {id: s, collection: c, filter: {k: %s}, update: {$inc: {n: 10}}, many: %s, upsert: %s}"
    assert await place.got(FILLED + update % ("a", "false", "false")) == {
        "matched_count": 1,
        "modified_count": 1,
        "upserted_id": None,
    }
    assert (await place.got(update % ("a", "true", "false")))["modified_count"] == 2
    made = await place.got(update % ("new", "false", "true"))
    assert made["matched_count"] == 0
    assert len(made["upserted_id"]) == 24


async def test_replace_keeps_the_id(place: Place) -> None:
    replaced = "- mongo_replace: {id: s, collection: c, filter: {_id: 2}, document: {n: 20}}"
    assert (await place.got(FILLED + replaced))["matched_count"] == 1
    found = await place.got("- mongo_find_one: {id: s, collection: c, filter: {_id: 2}}")
    assert found["document"] == {"_id": 2, "n": 20}


async def test_delete_one_and_many(place: Place) -> None:
    delete = "- mongo_delete: {id: s, collection: c, filter: {k: a}, many: %s}"
    assert await place.got(FILLED + delete % "false") == {"deleted_count": 1}
    assert await place.got(delete % "true") == {"deleted_count": 1}
    assert await place.got("- mongo_delete: {id: s, collection: c, filter: {}, many: true}") == {"deleted_count": 1}


async def test_distinct(place: Place) -> None:
    found = await place.got(FILLED + "- mongo_distinct: {id: s, collection: c, field: k, filter: {n: {$lt: 4}}}")
    assert (sorted(found["values"]), found["count"]) == (["a", "b"], 2)


async def test_find_one_and_update_gives_the_document_after_or_before(place: Place) -> None:
    change = "filter: {k: a}, update: {$inc: {n: 5}}, sort: {n: -1}, give: %s"
    step = f"- mongo_find_one_and_update: {{id: s, collection: c, {change}}}"
    assert (await place.got(FILLED + step % "after"))["document"]["n"] == 8
    assert (await place.got(step % "before"))["document"]["n"] == 8
    none = await place.got(step.replace("{k: a}", "{k: z}") % "after")
    assert none == {"document": None, "found": False}


async def test_aggregate_in_stages(place: Place) -> None:
    stages = "[{$match: {n: {$gte: '${inputs.least}'}}}, {$group: {_id: $k, sum: {$sum: $n}}}, {$sort: {_id: 1}}]"
    found = await place.got(FILLED + f"- mongo_aggregate: {{id: s, collection: c, pipeline: {stages}}}", {"least": 2})
    assert found == {"documents": [{"_id": "a", "sum": 3}, {"_id": "b", "sum": 2}], "count": 2}


async def test_aggregate_into_writes_and_aggregate_does_not(mongo: Place) -> None:
    into = "- mongo_aggregate_into: {collection: c, pipeline: [{$match: {k: a}}, {$out: made}]}\n"
    assert await mongo.got(FILLED + into + "- mongo_count: {id: s, collection: made}") == {"count": 2}
    refused = await mongo.error(
        FILLED.replace("c\n", "d\n") + "- mongo_aggregate: {collection: d, pipeline: [{$out: x}]}"
    )
    assert "use `mongo_aggregate_into`" in refused.detail
    refused = await mongo.error("- mongo_aggregate_into: {collection: c, pipeline: [{$match: {}}]}")
    assert "last stage" in refused.detail


async def test_a_lookup_joins_collections(mongo: Place) -> None:
    stage = "{$lookup: {from: c, localField: n, foreignField: _id, as: same}}"
    found = await mongo.got(FILLED + f"- mongo_aggregate: {{id: s, collection: c, pipeline: [{stage}]}}")
    assert [len(each["same"]) for each in found["documents"]] == [1, 1, 1]


async def test_bulk_write_counts_each_kind(place: Place) -> None:
    steps = """
    - mongo_bulk_write:
        id: s
        collection: c
        operations:
          - insert_one: {document: {_id: 4, n: 4}}
          - update_one: {filter: {_id: "${inputs.id}"}, update: {$set: {n: 0}}}
          - update_many: {filter: {k: a}, update: {$set: {m: 1}}}
          - replace_one: {filter: {_id: 9}, document: {n: 9}, upsert: true}
          - delete_one: {filter: {_id: 2}}
          - delete_many: {filter: {k: zz}}
    """
    head = "\n".join("    " + line for line in FILLED.strip().splitlines())
    assert await place.got(head + steps, {"id": 1}) == {
        "inserted_count": 1,
        "matched_count": 3,
        "modified_count": 3,
        "deleted_count": 1,
        "upserted_count": 1,
    }


@pytest.mark.parametrize(
    ("operations", "words"),
    [
        ("[{insert: {document: {}}}]", "`insert`; known"),
        ("[{insert_one: {}}]", "`insert_one` needs"),
        ("[{delete_one: {filter: {}, upsert: true}}]", "`delete_one` needs"),
        ("['${inputs.whole}']", "one key, written in the flow"),
        ("[{insert_one: {document: {}}, delete_one: {filter: {}}}]", "one key"),
    ],
)
async def test_a_faulty_operation_is_named(mongo: Place, operations: str, words: str) -> None:
    whole = {"delete_many": {"filter": {}}}
    failed = await mongo.error(f"- mongo_bulk_write: {{collection: c, operations: {operations}}}", {"whole": whole})
    assert (failed.type, words in failed.detail) == ("validation", True)


async def test_batch_insert_takes_a_stream(place: Place) -> None:
    steps = """
    - mongo_batch_insert: {collection: a, documents: "${inputs.rows}", batch_size: 100}
    - mongo_stream: {id: rows, collection: a, batch_size: 70}
    - mongo_batch_insert: {id: s, collection: b, documents: "${rows.documents}", batch_size: 100}
    """
    rows = [{"_id": n, "v": f"ä{n}"} for n in range(1050)]
    assert await place.got(steps, {"rows": rows}) == {"inserted_count": 1050, "batches": 11, "collection": "b"}
    found = await place.got("- mongo_find: {id: s, collection: b, sort: {_id: 1}}")
    assert found["documents"] == rows
    assert rows[0] == {"_id": 0, "v": "ä0"}


async def test_a_failure_in_the_middle_says_which_documents_and_what_stays(place: Place) -> None:
    rows = [{"_id": n % 5} for n in range(8)]
    step = "- mongo_batch_insert: {collection: %s, documents: '${inputs.rows}', batch_size: 3, ordered: %s}"
    failed = await place.error(step % ("a", "true"), {"rows": rows})
    assert (failed.type, failed.retryable) == ("conflict", False)
    assert failed.detail.startswith("document 6: E11000")
    assert "kept all the same: 5 inserted" in failed.notes
    failed = await place.error(step.replace("batch_size: 3", "batch_size: 100") % ("b", "false"), {"rows": rows})
    assert "refused: documents 6, 7, 8" in failed.notes
    assert "kept all the same: 5 inserted" in failed.notes


async def test_indexes_are_made_listed_and_dropped(mongo: Place) -> None:
    make = "- mongo_create_index: {id: s, collection: c, keys: {k: 1, n: -1}, unique: true}"
    assert await mongo.got(FILLED + make) == {"name": "k_1_n_-1"}
    assert await mongo.got(make) == {"name": "k_1_n_-1"}
    listed = await mongo.got("- mongo_list_indexes: {id: s, collection: c}")
    assert listed["count"] == 2
    ours = next(each for each in listed["indexes"] if each["name"] == "k_1_n_-1")
    assert (ours["keys"], ours["unique"]) == ({"k": 1, "n": -1}, True)
    failed = await mongo.error("- mongo_insert: {collection: c, documents: {k: a, n: 1}}")
    assert failed.type == "conflict"
    drop = "- mongo_drop_index: {id: s, collection: c, name: k_1_n_-1}"
    assert await mongo.got(drop) == {"dropped": True}
    assert await mongo.got(drop) == {"dropped": False}
    refused = await mongo.error("- mongo_drop_index: {collection: c, name: '*'}")
    assert "every index" in refused.detail


async def test_indexes_on_the_other_server(ferret: Place) -> None:
    make = "- mongo_create_index: {id: s, collection: c, keys: {k: 1}, name: by_k}"
    assert await ferret.got(make) == {"name": "by_k"}
    assert (await ferret.got("- mongo_list_indexes: {id: s, collection: c}"))["count"] == 2
    assert await ferret.got("- mongo_drop_index: {id: s, collection: c, name: by_k}") == {"dropped": True}


async def test_a_collection_is_dropped(place: Place) -> None:
    drop = "- mongo_drop_collection: {id: s, collection: c}"
    assert await place.got(FILLED + drop) == {"dropped": True}
    assert await place.got(drop) == {"dropped": False}


@pytest.mark.parametrize("name", ["", "a$b", "system.users", ".a", "a\0b"])
async def test_a_collection_has_a_name_of_its_own(mongo: Place, name: str) -> None:
    failed = await mongo.error("- mongo_count: {collection: '${inputs.name}'}", {"name": name})
    assert (failed.type, "`collection`" in failed.detail) == ("validation", True)


async def test_the_example_runs_on_an_empty_server(mongo: Place) -> None:
    """Twice: it begins by taking away what it left."""
    path = Path(flowlang.__file__).parent / "connections/mongodb/example.yaml"
    text = path.read_text().replace("flowlang_example", mongo.name)
    for _ in range(2):
        result = await flowlang.run(text=text, env={"MONGODB_URL": mongo.url})
        assert result.status == "succeeded", result.failure
        assert result.outputs == {
            "saved": 3,
            "marked": 2,
            "customers": [
                {"_id": "Ada", "orders": 2, "total": 50},
                {"_id": "Grace", "orders": 1, "total": 25},
            ],
        }


async def test_many_steps_at_once_share_the_pool(mongo: Place) -> None:
    steps = """
    - for_each: ${range(200)}
      as: n
      max_concurrency: 16
      do:
        - mongo_update: {collection: c, filter: {_id: "${n % 10}"}, update: {$inc: {n: 1}}, upsert: true}
    - mongo_aggregate: {id: s, collection: c, pipeline: [{$group: {_id: null, n: {$sum: $n}}}]}
    """
    prepared: list[Any] = [{"_id": n, "n": 0} for n in range(10)]
    await mongo.got("- mongo_insert: {collection: c, documents: '${inputs.d}'}", {"d": prepared})
    assert (await mongo.got(steps))["documents"] == [{"_id": None, "n": 200}]


async def test_a_key_makes_each_document_once(mongo: Place) -> None:
    """The `_id`s are made of it: a second run with the key leaves what is there, and another key inserts anew."""
    step = (
        "- mongo_insert: {id: s, collection: c, documents: [{n: 1}, {n: 2}, {}], idempotency_key: '${inputs.key}'}\n"
        "- mongo_update: {collection: c, filter: {n: 1}, update: {$set: {seen: true}}}"
    )
    first = await mongo.got(step, {"key": "order 7"})
    assert await mongo.got(step, {"key": "order 7"}) == first
    assert await mongo.got(step, {"key": "order 8"}) != first
    assert first["count"] == len(set(first["inserted_ids"])) == 3
    assert (await mongo.got("- mongo_count: {id: s, collection: c, filter: {}}"))["count"] == 6
    assert (await mongo.got("- mongo_count: {id: s, collection: c, filter: {seen: true}}"))["count"] == 1


async def test_a_key_in_batches(mongo: Place) -> None:
    step = """
        - mongo_batch_insert:
            {id: s, collection: c, documents: "${inputs.all}", batch_size: 2, idempotency_key: load}
    """
    for _ in range(2):
        assert (await mongo.got(step, {"all": [{"n": each} for each in range(5)]}))["inserted_count"] == 5
    assert (await mongo.got("- mongo_count: {id: s, collection: c, filter: {}}"))["count"] == 5


async def test_a_key_and_an_id_of_the_flow(mongo: Place) -> None:
    """There is only one place for the two."""
    failure = await mongo.error("- mongo_insert: {collection: c, documents: {_id: 1}, idempotency_key: k}")
    assert (failure.type, "document 1 has an `_id`" in failure.detail) == ("validation", True)
