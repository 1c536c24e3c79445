"""Many writes at once: what is asked for, and what became of a part of it when it failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flowlang.connections.mongodb.query import Reader
from flowlang.connections.mongodb.values import refused
from flowlang.exceptions import FlowExecutionError
from flowlang.tasks.values import Data

_MOST_NAMED = 10
_KINDS: Mapping[str, tuple[str, ...]] = {
    "insert_one": ("document",),
    "update_one": ("filter", "update", "upsert"),
    "update_many": ("filter", "update", "upsert"),
    "replace_one": ("filter", "document", "upsert"),
    "delete_one": ("filter",),
    "delete_many": ("filter",),
}


@contextmanager
def failed_documents(first: int, sent: int, *, ordered: bool) -> Iterator[None]:
    """Around an insert of `sent` documents, the first of which has the number `first`: an error names those refused,
    and how many are in, with those of earlier batches."""
    from pymongo.errors import BulkWriteError

    try:
        yield
    except BulkWriteError as error:
        errors = _errors(error)
        numbers = [first + each["index"] for each in errors if "index" in each]
        inserted = sent if not numbers else numbers[0] - first if ordered else sent - len(numbers)
        raise _failed("document", numbers, errors, f"{first - 1 + inserted} inserted") from error


@contextmanager
def failed_operations() -> Iterator[None]:
    """Around a bulk write: an error names the operations that failed, and what was done."""
    from pymongo.errors import BulkWriteError

    words = {"nInserted": "inserted", "nModified": "changed", "nRemoved": "deleted", "nUpserted": "made"}
    try:
        yield
    except BulkWriteError as error:
        errors, counts = _errors(error), error.details or {}
        numbers = [1 + each["index"] for each in errors if "index" in each]
        done = ", ".join(f"{counts[key]} {word}" for key, word in words.items() if counts.get(key))
        raise _failed("operation", numbers, errors, done or "nothing") from error


def _errors(error: Any) -> list[Mapping[str, Any]]:
    details = error.details or {}
    found: list[Mapping[str, Any]] = details.get("writeErrors") or details.get("writeConcernErrors") or []
    return found


def _failed(what: str, numbers: list[int], errors: list[Mapping[str, Any]], kept: str) -> FlowExecutionError:
    text = str(errors[0].get("errmsg", "")) if errors else "the server refused a part of it"
    told = FlowExecutionError(f"{what} {numbers[0]}: {text}" if numbers else text)
    if len(numbers) > 1:
        more = f" and {len(numbers) - _MOST_NAMED} more" if len(numbers) > _MOST_NAMED else ""
        told.add_note(f"refused: {what}s {', '.join(map(str, numbers[:_MOST_NAMED]))}{more}")
    told.add_note(f"kept all the same: {kept}")
    return told


def requests(operations: Any, read: Reader) -> list[Any]:
    """The driver's requests for what a flow lists."""
    operations = operations.value if isinstance(operations, Data) else operations
    if not isinstance(operations, list):
        raise refused("`operations` must be a list")
    return [_request(each, read, f"`operations[{index}]`") for index, each in enumerate(operations)]


def _request(entry: Any, read: Reader, where: str) -> Any:
    """One request. An operation that is computed as a whole has only data: in it nothing is an operator."""
    if isinstance(entry, Data) or not isinstance(entry, dict) or len(entry) != 1:
        raise refused(f"{where} must be an object with one key, written in the flow: {', '.join(_KINDS)}")
    ((kind, parts),) = entry.items()
    if kind not in _KINDS:
        raise refused(f"{where} has the key `{kind}`; known: {', '.join(_KINDS)}")
    known = _KINDS[kind]
    if not isinstance(parts, dict) or not parts.keys() <= set(known) or not (set(known) - {"upsert"}) <= parts.keys():
        raise refused(f"{where}: `{kind}` needs an object with {', '.join(f'`{each}`' for each in known)}")
    readers: dict[str, Callable[[Any, str], Any]] = {
        "filter": read.filter, "update": read.update, "document": read.document
    }  # fmt: skip
    made = [readers[each](parts[each], f"`{where[1:-1]}.{kind}.{each}`") for each in known if each != "upsert"]
    return _made(kind, made, parts)


def _made(kind: str, made: list[Any], parts: Mapping[str, Any]) -> Any:
    import pymongo

    name = "".join(word.capitalize() for word in kind.split("_"))  # `update_one` is UpdateOne
    more = {"upsert": bool(parts.get("upsert", False))} if "upsert" in _KINDS[kind] else {}
    return getattr(pymongo, name)(*made, **more)
