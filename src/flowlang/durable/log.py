"""The journal of a run as the store keeps it: a log of commits, each a row with the entries that it brought.

    number ─ entries, as JSON ─ checksum

Rows are only ever added, and of each number there is one, so that to write a commit twice is to write it once. What an
entry says of a call goes over what those before it said; one that is `withdrawn` takes them out, as if the call had not
been made. A commit that was given up and is done late has a lower number than whatever was written since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar
from zlib import crc32

import msgspec
from msgspec.structs import replace

from flowlang.durable.records import Recorded, StoredStep, key
from flowlang.exceptions import StoreError

Entry = TypeVar("Entry", bound=Recorded)
Reader = Callable[[bytes], Iterable[Entry]]
"""Reads an array of entries. Raises ValueError."""

ADD = "INSERT INTO flowlang_journal (run_id, seq, entries, checksum)"
_LONGEST = 8 * 1024 * 1024  # bytes of entries that share a row
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[StoredStep]).decode
outcomes: Reader[Recorded] = msgspec.json.Decoder(list[Recorded]).decode
"""Reads of each entry only what came of the call."""


class Commit(NamedTuple):
    """A row of the log."""

    seq: int
    entries: str
    checksum: int


class DamagedLog(StoreError):
    """A row of a log cannot be read. `known`: the entries that those before it say, by their keys."""

    def __init__(self, run_id: str, seq: int, known: Mapping[str, Any]) -> None:
        super().__init__(f"the journal of run `{run_id}` is damaged: what was committed as number {seq} cannot be read")
        self.seq = seq
        self.known = known


class Past(NamedTuple, Generic[Entry]):
    """What is recorded of a run: the last entry of each call, by its `key`, and the number of the next commit."""

    known: dict[str, Entry]
    commits: int

    @property
    def steps(self) -> Sequence[Entry]:
        """The entries, in no order."""
        return list(self.known.values())


def commits(seq: int, steps: Sequence[StoredStep]) -> list[Commit]:
    """`steps` as rows, numbered from `seq` on; nearly always it is one."""
    data = _encode(steps)
    if len(data) <= _LONGEST or len(steps) == 1:
        return [Commit(seq, data.decode(), crc32(data))]
    half = len(steps) // 2
    first = commits(seq, steps[:half])
    return [*first, *commits(seq + len(first), steps[half:])]


def whole(known: Mapping[str, StoredStep]) -> Reader[StoredStep]:
    """Reads entries whole. One has the inputs that came with an earlier one of its call, in `known`."""

    def read(data: bytes) -> Iterator[StoredStep]:
        return (_with_inputs(each, known.get(key(each.path, each.nth))) for each in _decode(data))

    return read


def add(known: dict[str, Entry], rows: Sequence[Sequence[Any]], read: Reader[Entry], run_id: str) -> int:
    """Add what rows of a log say, in the order of their numbers, to what those before them said: the number of the last
    one. Raises `DamagedLog`."""
    try:
        found = read(_joined(rows))
    except ValueError:
        _add_sound(known, rows, read, run_id)
    else:
        _put(known, found)
    return int(rows[-1][0])


def _add_sound(known: dict[str, Entry], rows: Sequence[Sequence[Any]], read: Reader[Entry], run_id: str) -> None:
    """One by one, up to the one that is damaged."""
    for row in rows:
        try:
            found = read(_joined([row]))
        except ValueError as error:
            raise DamagedLog(run_id, row[0], known) from error
        _put(known, found)


def _joined(rows: Iterable[Sequence[Any]]) -> bytes:
    """The entries of commits as one array: to decode many at once takes half as long. Raises ValueError where a
    checksum is wrong."""
    texts = []
    for seq, entries, checksum in rows:
        data = entries.encode()
        if crc32(data) != checksum:
            raise ValueError(f"the checksum of number {seq} is wrong")
        texts.append(data[1:-1])
    return b"[" + b",".join(texts) + b"]"


def _put(known: dict[str, Entry], entries: Iterable[Entry]) -> None:
    for each in entries:
        if each.state == "withdrawn":
            del known[key(each.path, each.nth)]
        else:
            known[key(each.path, each.nth) if each.nth else each.path] = each


def _with_inputs(step: StoredStep, before: StoredStep | None) -> StoredStep:
    return step if before is None or step.inputs is not None else replace(step, inputs=before.inputs)
