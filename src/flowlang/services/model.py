"""What a service file says, as data. Everything in it is checked, and its expressions are compiled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from flowlang.diagnostics import Span
from flowlang.document.model import Input, Retry
from flowlang.expressions.types import Type
from flowlang.records import frozen
from flowlang.services.keys import Keying
from flowlang.services.templates import Formula
from flowlang.tasks.spec import Effect

Merge = Literal["join", "add"]


@frozen
class Rate:
    """At most `requests` requests in `per` seconds."""

    requests: int
    per: float


@frozen
class Rule:
    """A reply that is a failure, whatever its status: of class `error_class`. The formulas read `status`, `headers` and
    `body`; `retry_after` gives seconds, `retry_at` the time as seconds since 1970."""

    when: Formula
    error_class: str
    message: Formula | None
    retryable: bool | None
    retry_after: Formula | None
    retry_at: Formula | None


@frozen
class Request:
    """What is sent. `parts` gives an object with `path` and those of `query`, `headers`, `json`, `form` and `body` that
    the file has."""

    method: str
    parts: Formula
    expect: tuple[int, ...] | None


@frozen
class Pages:
    """A list that comes in pages: where its items stand in one, and how it leads to the next."""

    items: str | None
    next: Mapping[str, Any]
    max_pages: Formula | None


@frozen
class Batches:
    """One request for each `size` items of the list that `of` gives. `merge` says how each output becomes one."""

    of: Formula
    size: int
    merge: Mapping[str, Merge]


@frozen
class Output:
    """An output of an operation. `type` is the declared one, else what is known of its value."""

    name: str
    type: Type
    declared: bool
    description: str


@frozen
class Operation:
    """One operation: a task of the connection type. `keying`: where its requests have a key. `outputs` gives an object
    of them; with `pages` what becomes of one item, None when nothing does."""

    name: str
    task: str
    description: str
    effect: Effect
    idempotent: bool
    keying: Keying | None
    params: tuple[Input, ...]
    request: Request
    pages: Pages | None
    batches: Batches | None
    declared: tuple[Output, ...]
    outputs: Formula | None
    span: Span


@frozen
class Service:
    """A service. `base_url`, `auth` and `headers` are formulas over `config`; `fixed_url` is the address when it
    depends on nothing."""

    name: str
    version: str
    description: str
    prefix: str
    settings: tuple[Input, ...]
    base_url: Formula
    fixed_url: str | None
    auth: Formula | None
    headers: Formula | None
    rate: Rate | None
    retry: Retry | None
    rules: tuple[Rule, ...]
    ping: str | None
    operations: tuple[Operation, ...]
    file: str
    text: str
