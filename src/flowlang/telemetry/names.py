"""What spans and metrics are called: the one table that the code sends by and the docs are written from.

What the semantic conventions of OpenTelemetry have a name for has that name (their stable parts: `code.*`,
`db.system.name`, `error.type`, `http.*`); the rest is below `flowlang.`.
https://opentelemetry.io/docs/specs/semconv/
"""

from __future__ import annotations

from flowlang.records import frozen

# ---------------------------------------------------------------- attributes

RUN_ID = "flowlang.run.id"
FLOW = "flowlang.flow.name"
STATE = "flowlang.state"
PATH = "flowlang.step.path"
OPERATION = "flowlang.step.operation"
ATTEMPTS = "flowlang.step.attempts"
CACHED = "flowlang.step.cached"
ATTEMPT = "flowlang.attempt.number"
DELAY = "flowlang.attempt.retry_delay"
CONNECTION = "flowlang.connection.name"
TYPE = "flowlang.connection.type"
WAITED = "flowlang.lease.waited"
IN_USE = "flowlang.pool.in_use"
CAPACITY = "flowlang.pool.capacity"
ERROR = "error.type"
FILE = "code.file.path"
LINE = "code.line.number"
COLUMN = "code.column.number"
SERVER = "server.address"
PORT = "server.port"
SYSTEM = "db.system.name"
NAMESPACE = "db.namespace"
QUERY = "db.query.text"
COMMAND = "db.operation.name"
COLLECTION = "db.collection.name"
CODE = "db.response.status_code"
URL = "url.full"
RESENT = "http.request.resend_count"
METHOD_ORIGINAL = "http.request.method_original"
METHOD = "http.request.method"
STATUS = "http.response.status_code"

ATTRIBUTES = {
    RUN_ID: "the run's id, as in events and results",
    FLOW: "the name of the flow that was started",
    STATE: "how it ended: `succeeded`, `failed`, `cancelled`; a run also `timed_out` or `skipped`",
    PATH: "the step's path, as in `orders[3].charge`",
    OPERATION: "the task or the verb",
    ATTEMPTS: "how many attempts it took",
    CACHED: "true: answered from the cache, without an attempt",
    ATTEMPT: "the number of the attempt, from 1",
    DELAY: "seconds until the next attempt, which follows a failed one",
    CONNECTION: "the connection's name in the flow",
    TYPE: "the connection's type",
    WAITED: "seconds the step waited for a handle",
    IN_USE: "handles that were out once this one was taken",
    CAPACITY: "how many handles there can be; not there when nothing bounds them",
    ERROR: "the class of the failure, as in `retry.on`; of a request also the status that is one, or `cancelled`",
    FILE: "the file of the flow",
    LINE: "where the failure is, from 1",
    COLUMN: "where the failure is, from 1",
    SERVER: "the host, or the path of a socket; not there where several servers may answer",
    PORT: "its port",
    SYSTEM: "of a database's connection: `postgresql`, `mysql`, `sqlite`, `mongodb`, `redis`",
    NAMESPACE: "the database: its name, of Redis its number, of SQLite its file",
    QUERY: "a statement of SQL as the flow has it, with `?` for each value; not there when one of them is secret",
    COMMAND: "the command of MongoDB or Redis",
    COLLECTION: "the collection of MongoDB",
    CODE: "of a database, what its server calls a failure: an SQLSTATE, a number, the first word of Redis's answer",
    METHOD: "of a request; `_OTHER` for one that is in no standard",
    METHOD_ORIGINAL: "that one",
    URL: "where it goes, as results show it: secrets are masked, the signatures of presigned links are `REDACTED`",
    STATUS: "of the reply to a request; on an attempt, of its last",
    RESENT: "how many requests came before it for the same purpose: redirects, and renewed tokens",
}


@frozen
class SpanKind:
    """A kind of span: what it is called, what it lasts, and the attributes it may have."""

    name: str
    covers: str
    attributes: tuple[str, ...]


_PLACE = (SERVER, PORT, SYSTEM, NAMESPACE)

SPANS = (
    SpanKind("run FLOW", "a run, with its clean-up", (RUN_ID, FLOW, FILE, STATE, ERROR)),
    SpanKind(
        "PATH, indices left out",
        "a step, with the waits between its attempts; a block has the spans of its steps below it",
        (PATH, OPERATION, CONNECTION, STATE, ATTEMPTS, CACHED, ERROR, FILE, LINE, COLUMN),
    ),
    SpanKind(
        "TASK",
        "an attempt of a task (kind *client* where it has a connection); a block that is tried again has one for each "
        "attempt after the first",
        (
            ATTEMPT,
            OPERATION,
            CONNECTION,
            TYPE,
            *_PLACE,
            QUERY,
            COMMAND,
            COLLECTION,
            CODE,
            STATUS,
            STATE,
            DELAY,
            ERROR,
        ),
    ),
    SpanKind(
        "lease CONNECTION",
        "a handle that a step has; that of a stream lasts until its last row, that of a transaction until its end",
        (CONNECTION, TYPE, *_PLACE, WAITED, IN_USE, CAPACITY),
    ),
    SpanKind(
        "METHOD",
        "a request of HTTP, until the head of its reply (kind *client*): each page, each for a token, and each after a "
        "redirect or a renewed token, has its own. For a method that is in no standard the name is `HTTP`",
        (CONNECTION, METHOD, METHOD_ORIGINAL, URL, SERVER, PORT, STATUS, RESENT, ERROR),
    ),
    SpanKind("connect CONNECTION", "the opening of a connection that succeeded", (CONNECTION, TYPE, *_PLACE)),
)

# ---------------------------------------------------------------- metrics

SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 3600.0)
"""The bounds of the buckets of histograms: from the fastest step to the longest wait for a person."""


@frozen
class Metric:
    """An instrument, with the attributes of its points: few and of few values, so that series stay few."""

    name: str
    instrument: str
    unit: str
    description: str
    attributes: tuple[str, ...]
    bounds: tuple[float, ...] = SECONDS


_RUN = (FLOW, STATE, ERROR)
_STEP = (FLOW, OPERATION, STATE, ERROR)
_POOL = (CONNECTION, TYPE)

RUN_DURATION = Metric("flowlang.run.duration", "histogram", "s", "How long runs take", _RUN)
RUNS_ACTIVE = Metric("flowlang.run.active", "up-down counter", "{run}", "Runs that are under way", (FLOW,))
STEP_DURATION = Metric("flowlang.step.duration", "histogram", "s", "How long steps take, retries included", _STEP)
STEP_ATTEMPTS = Metric("flowlang.step.attempts", "counter", "{attempt}", "Attempts of tasks that have ended", _STEP)
STEP_RETRIES = Metric(
    "flowlang.step.retries", "counter", "{attempt}", "Failures that another attempt follows", (FLOW, OPERATION, ERROR)
)
LEASE_WAIT = Metric("flowlang.lease.wait", "histogram", "s", "How long steps wait for a handle that they get", _POOL)
LEASE_DURATION = Metric("flowlang.lease.duration", "histogram", "s", "How long steps have a handle", _POOL)
POOL_IN_USE = Metric("flowlang.pool.in_use", "up-down counter", "{handle}", "Handles that steps have", _POOL)
REQUEST_DURATION = Metric(
    "http.client.request.duration",
    "histogram",
    "s",
    "How long the heads of replies are waited for",
    (METHOD, SERVER, PORT, STATUS, ERROR),
    (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)

METRICS = (
    RUN_DURATION,
    RUNS_ACTIVE,
    STEP_DURATION,
    STEP_ATTEMPTS,
    STEP_RETRIES,
    LEASE_WAIT,
    LEASE_DURATION,
    POOL_IN_USE,
    REQUEST_DURATION,
)
