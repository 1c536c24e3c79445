"""What goes wrong between a flow and a server: classes, retries, transactions as they are sent, and what is left."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.servers.process import Server

import flowlang

from .conftest import Place
from .replica import Replica

# PyMongo 4.20 leaves a socket whose connecting is cancelled to the garbage collector. Only such a one is let pass:
# it has no address at the other end. Those that were connected are counted below, at the server.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:unclosed <socket\.socket fd=\d+, family=\d+, type=\d+, proto=\d+, laddr=[^r]*>:ResourceWarning"
)

FIND = "- mongo_find: {id: s, collection: c}"
INSERT = "- mongo_insert: {id: s, collection: c, documents: {_id: 1}}"


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What a test leaves to the garbage collector is collected in that test."""
    yield
    gc.collect()


@pytest.fixture
async def replica(mongodb_url: str) -> AsyncIterator[Replica]:
    async with Replica(urlsplit(mongodb_url).port or 27017) as proxy:
        yield proxy


@pytest.fixture
def set_(replica: Replica, mongo: Place) -> Place:
    """The same database, as a replica set."""
    place = Place(mongo.url)
    place.url, place.name = replica.url, mongo.name
    return place


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (13, ("permission", False, False)),
        (18, ("auth", False, False)),
        (26, ("not_found", False, False)),
        (43, ("unavailable", True, False)),
        (50, ("timeout", True, True)),
        (91, ("unavailable", True, True)),
        (112, ("conflict", True, False)),
        (121, ("validation", False, False)),
        (189, ("unavailable", True, True)),
        (292, ("limit", False, False)),
        (462, ("rate_limited", True, False)),
        (10107, ("unavailable", True, False)),
        (10334, ("limit", False, False)),
        (11000, ("conflict", False, False)),
        (11600, ("unavailable", True, True)),
        (13435, ("unavailable", True, False)),
        (99999, ("validation", False, False)),
    ],
)
async def test_each_code_of_the_server_has_its_class(
    set_: Place, replica: Replica, code: int, expected: tuple[str, bool, bool]
) -> None:
    replica.failures["find"] = [{"ok": 0.0, "code": code, "errmsg": f"said {code}"}]
    failed = await set_.error(FIND)
    assert (failed.type, failed.retryable, failed.outcome_unknown) == expected
    assert f"said {code}" in failed.detail
    assert "full error" not in failed.detail


async def test_a_write_concern_that_is_not_met_leaves_an_unknown_outcome(set_: Place, replica: Replica) -> None:
    late = {"code": 64, "errmsg": "waiting for replication timed out"}
    replica.failures["update"] = [{"ok": 1.0, "n": 1, "nModified": 1, "writeConcernError": late}]
    failed = await set_.error("- mongo_update: {collection: c, filter: {}, update: {$set: {a: 1}}}")
    assert (failed.type, failed.outcome_unknown) == ("unavailable", True)


async def test_a_reply_that_is_lost_is_not_asked_for_again(set_: Place, replica: Replica) -> None:
    """Neither by the driver nor by the step, since the insert is not idempotent."""
    replica.failures["insert"] = [None]
    failed = await set_.error(INSERT + "\n  retry: {max_attempts: 3, delay: 1ms}")
    assert (failed.type, failed.outcome_unknown, failed.attempt) == ("connection_lost", True, 1)
    assert len(replica.named("insert")) == 1
    assert await set_.got("- mongo_count: {id: s, collection: c}") == {"count": 1}


async def test_attempts_of_driver_and_step_do_not_multiply(set_: Place, replica: Replica) -> None:
    """Three attempts of a read are three commands; a URL that asks for the driver's gets one more each."""
    replica.failures["find"] = [None] * 3
    failed = await set_.error(FIND + "\n  retry: {max_attempts: 3, delay: 1ms}")
    assert (failed.type, failed.attempt) == ("connection_lost", 3)
    assert len(replica.named("find")) == 3
    replica.failures["find"] = [None]
    set_.url += "&retryReads=true"
    await set_.got(FIND)
    assert len(replica.named("find")) == 5


BLOCK = """
- transaction: store
  do:
    - mongo_insert: {collection: c, documents: {_id: 1}}
    - mongo_find: {id: inside, collection: c, filter: {_id: 1}}
    - mongo_update: {collection: c, filter: {_id: "%s"}, update: {$set: {a: 1}}}
"""


async def test_a_transaction_is_one_session_with_a_commit(set_: Place, replica: Replica) -> None:
    """Sent with one session and number, begun by the first command, committed with majority once."""
    await set_.got(BLOCK % 1)
    sent = replica.named("insert", "find", "update", "commitTransaction", "abortTransaction")
    assert [next(iter(each)) for each in sent] == ["insert", "find", "update", "commitTransaction"]
    assert len({(bytes(each["lsid"]["id"]), each["txnNumber"], each["autocommit"]) for each in sent}) == 1
    assert [each.get("startTransaction") for each in sent] == [True, None, None, None]
    assert sent[0]["readConcern"] == {"level": "snapshot"}
    assert sent[3]["writeConcern"]["w"] == "majority"


async def test_a_failing_step_aborts_the_transaction(set_: Place, replica: Replica) -> None:
    replica.failures["update"] = [{"ok": 0.0, "code": 121, "errmsg": "no"}]
    failed = await set_.error(BLOCK % 1)
    assert (failed.type, failed.outcome_unknown) == ("validation", False)
    assert [next(iter(each)) for each in replica.named("commitTransaction", "abortTransaction")] == ["abortTransaction"]


async def test_a_write_conflict_in_a_transaction_may_be_repeated(set_: Place, replica: Replica) -> None:
    labels = ["TransientTransactionError"]
    replica.failures["update"] = [{"ok": 0.0, "code": 112, "errmsg": "conflict", "errorLabels": labels}]
    failed = await set_.error(BLOCK % 1)
    assert (failed.type, failed.retryable) == ("conflict", True)


async def test_a_block_that_met_a_transient_error_is_sent_anew_as_a_whole(set_: Place, replica: Replica) -> None:
    """By `retry` of the block: aborted, and then all of it again under a number of its own."""
    labels = ["TransientTransactionError"]
    replica.failures["find"] = [{"ok": 0.0, "code": 251, "errmsg": "no such transaction", "errorLabels": labels}]
    await set_.got(BLOCK.replace("{_id: 1}}\n", "{n: 1}}\n", 1) % 1 + "  retry: {max_attempts: 2, delay: 1ms}\n")
    sent = replica.named("insert", "find", "update", "commitTransaction", "abortTransaction")
    words = [next(iter(each)) for each in sent]
    assert words == ["insert", "find", "abortTransaction", "insert", "find", "update", "commitTransaction"]
    assert [each.get("startTransaction") for each in sent] == [True, None, None, True, None, None, None]
    numbers = [(bytes(each["lsid"]["id"]), each["txnNumber"]) for each in sent]
    assert len(set(numbers[:3])) == len(set(numbers[3:])) == 1
    assert numbers[0] != numbers[3]


async def test_a_commit_whose_answer_is_lost_is_asked_for_once_more(set_: Place, replica: Replica) -> None:
    """It may be: the server knows a transaction by its number, and then answers what it answered before."""
    replica.failures["commitTransaction"] = [None]
    await set_.got(BLOCK % 1)
    first, second = replica.named("commitTransaction")
    assert (first["lsid"], first["txnNumber"]) == (second["lsid"], second["txnNumber"])
    assert (second["writeConcern"]["w"], second["autocommit"]) == ("majority", False)
    assert replica.named("abortTransaction") == []


@pytest.mark.parametrize("retry", ["", "  retry: {max_attempts: 3, delay: 1ms}\n"])
async def test_a_commit_that_is_never_answered_has_an_unknown_outcome(
    set_: Place, replica: Replica, retry: str
) -> None:
    """The block is not run again: all of it may have been kept."""
    replica.failures["commitTransaction"] = [None] * 9
    failed = await set_.error(BLOCK % 1 + retry)
    assert (failed.type, failed.outcome_unknown, failed.attempt) == ("connection_lost", True, 1)
    assert len(replica.named("commitTransaction")) == 2
    assert len(replica.named("insert")) == 1


async def test_a_commit_that_the_server_refuses_keeps_nothing(set_: Place, replica: Replica) -> None:
    """A conflict at the commit is told as one, and the block may be run again."""
    labels = ["TransientTransactionError"]
    refusal = {"ok": 0.0, "code": 112, "errmsg": "conflict", "errorLabels": labels}
    replica.failures["commitTransaction"] = [refusal]
    failed = await set_.error(BLOCK % 1)
    assert (failed.type, failed.retryable, failed.outcome_unknown) == ("conflict", True, False)


async def test_a_commit_that_a_majority_has_not_taken_is_unknown(set_: Place, replica: Replica) -> None:
    late = {"code": 64, "errmsg": "waiting for replication timed out"}
    replica.failures["commitTransaction"] = [{"ok": 1.0, "writeConcernError": late}] * 9
    failed = await set_.error(BLOCK % 1)
    assert (failed.type, failed.outcome_unknown) == ("unavailable", True)


async def test_a_single_server_says_that_it_has_no_transactions(place: Place) -> None:
    failed = await place.error(BLOCK % 1)
    assert (failed.type, "need a replica set" in failed.detail) == ("config", True)
    assert await place.got("- mongo_count: {id: s, collection: c}") == {"count": 0}


# ---------------------------------------------------------------- servers that go away


async def test_no_server_is_a_connect_failure() -> None:
    place = Place("mongodb://127.0.0.1:1/t")
    failed = await place.error(FIND, config=", server_selection_timeout_ms: 200")
    assert (failed.type, failed.retryable) == ("connect", True)


@pytest.mark.slow
async def test_a_server_that_is_killed_and_comes_back(own_ferretdb: Server) -> None:
    """Between two steps: the next one fails as retryable, and its repetition finds the data again."""
    place = Place(own_ferretdb.url + "t")
    seen: list[Any] = []

    def sink(event: Any) -> None:
        seen.append(type(event).__name__)
        if type(event).__name__ == "StepSucceeded" and seen.count("StepSucceeded") == 1:
            own_ferretdb.kill()
        if type(event).__name__ == "AttemptFailed":
            restarted.set()

    restarted = asyncio.Event()

    async def revive() -> None:
        await restarted.wait()
        await asyncio.to_thread(own_ferretdb.start)

    helper = asyncio.create_task(revive())
    steps = (
        INSERT.replace("id: s, ", "") + "\n" + FIND + "\n  retry: {max_attempts: 20, delay: 500ms, backoff: constant}"
    )
    try:
        got = await place.got(steps, config=", server_selection_timeout_ms: 2000", on_event=sink)
    finally:
        helper.cancel() if not restarted.is_set() else await helper
    assert got["documents"] == [{"_id": 1}]
    assert "AttemptFailed" in seen


async def test_a_frozen_server_is_given_up_by_the_limit_of_the_step(own_mongodb: Server) -> None:
    """And the run ends all the same, with nothing left behind."""
    place = Place(own_mongodb.url + "t")

    def sink(event: Any) -> None:
        if type(event).__name__ == "StepSucceeded":
            own_mongodb.pause()

    failed = await place.error(INSERT.replace("id: s, ", "") + f"\n{FIND}\n  timeout: 300ms", on_event=sink)
    own_mongodb.resume()
    assert failed.type == "timeout"


# ---------------------------------------------------------------- what is left


async def test_a_closed_connection_leaves_no_task_and_no_socket(set_: Place, replica: Replica) -> None:
    """Also after failures, a stream that is not read to its end, and a cancellation in the middle of a command."""
    before = asyncio.all_tasks()
    rows = [{"_id": n} for n in range(3000)]
    await set_.got("- mongo_batch_insert: {id: s, collection: c, documents: '${inputs.rows}'}", {"rows": rows})
    leave = """
    - mongo_stream: {id: rows, collection: c, batch_size: 10}
    - for_each: ${rows.documents}
      as: row
      do:
        - exit
    """
    assert (await set_.run(leave)).status == "succeeded"
    replica.failures["find"] = [{"ok": 0.0, "code": 13, "errmsg": "no"}]
    await set_.error(FIND)
    await set_.error("- mongo_find: {collection: c}\n  timeout: 1ms")
    running = asyncio.create_task(set_.run("- for_each: ${range(1000)}\n  do:\n    - mongo_find: {collection: c}"))
    await replica.until(lambda: len(replica.named("find")) > 4)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await replica.until(lambda: replica.links == 0)
    gc.collect()
    links = {task for task in asyncio.all_tasks() - before if "_client" not in repr(task.get_coro())}
    assert links == set()


async def test_the_pool_bounds_the_sockets(set_: Place, replica: Replica) -> None:
    most = 0

    def sink(event: Any) -> None:
        nonlocal most
        most = max(most, replica.links)

    steps = """
    - for_each: ${range(60)}
      max_concurrency: 30
      do:
        - mongo_count: {collection: c}
    """
    result = await set_.run(steps, config=", max_pool_size: 2", on_event=sink)
    assert result.status == "succeeded", result.failure
    assert 2 <= most <= 4  # two for the work, up to two that watch the server


async def test_a_pool_of_one_serves_fifty_branches(mongo: Place) -> None:
    branches = "\n".join(f"    - mongo_insert: {{collection: c, documents: {{_id: {n}}}}}" for n in range(50))
    await mongo.run(f"- parallel:\n{branches}", config=", max_pool_size: 1")
    assert await mongo.got("- mongo_count: {id: s, collection: c}") == {"count": 50}


# ---------------------------------------------------------------- what is refused before


@pytest.mark.parametrize(
    ("url", "more", "words"),
    [
        ("postgres://h", "", "must begin with"),
        ("mongodb://", "", "must begin with"),
        ("mongodb://h/?tlsInsecure=true", "", "tls_verify: false"),
        ("mongodb://h/?tls=true&tlsAllowInvalidCertificates=true", "", "tls_verify: false"),
        ("mongodb://h/?tlsallowinvalidhostnames=true", "", "tls_verify: false"),
        ("mongodb://h/?maxPoolSize=5", "", "`max_pool_size`"),
        ("mongodb://h/?w=0", "", "no failure is ever seen"),
        ("mongodb://h/?uuidRepresentation=pythonLegacy", "", "no option"),
        ("mongodb://u:hunter22@h/?authMechanism=PLAIN", "", "`tls: true`"),
        ("mongodb://h/?unicode_decode_error_handler=ignore", "", "no option"),
        ("mongodb://h", ", min_pool_size: 200", "larger than"),
    ],
)
def test_a_config_is_refused_before_any_socket(url: str, more: str, words: str) -> None:
    text = f'flow: t\nconnections:\n  store: {{type: mongodb, url: "{url}", database: d{more}}}\nsteps:\n  - log: x\n'
    found = [each.message for each in flowlang.check(text=text).findings]
    assert any(words in each for each in found), found
    assert not any("hunter22" in each for each in found if "store" in each)


@pytest.mark.parametrize("name", ["a.b", "a/b", "a$b", "a b", "x" * 64])
def test_a_database_has_a_name_that_the_server_takes(name: str) -> None:
    head = f'flow: t\nconnections:\n  store: {{type: mongodb, url: "mongodb://h", database: "{name}"}}\n'
    text = head + "steps:\n  - log: x\n"
    assert any("`database`" in each.message for each in flowlang.check(text=text).findings)
