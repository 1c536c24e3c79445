"""The tables of a store. One text for both databases: what differs are the types that `{…}` stands for.

Times are seconds since the epoch, by the clock of the database (`{now}`), which all workers share.
"""

from __future__ import annotations

FORMAT = 2
"""Of the tables, their indexes, and of what stands in the journal: one more with each change of them. A store that says
it is of ours is taken as it is."""

UPGRADES: dict[int, tuple[str, ...]] = {}
"""The statements that make a store of format N one of format N + 1, journals of runs in flight included."""

STATES = (
    "queued", "running", "waiting", "cancelling", "succeeded", "failed", "timed_out", "cancelled", "skipped",
    "lost", "needs_attention", "parked",
)  # fmt: skip
ENDED = frozenset({"succeeded", "failed", "timed_out", "cancelled", "skipped", "lost"})
"""Over for good (`lost`: one in memory, whose process died). The others go on by themselves, or when somebody decides
(`needs_attention`, `parked`)."""

TURN_KEPT = "CASE WHEN waits_for LIKE 'concurrency@%' THEN waits_for END"
"""What a run that goes on still waits for: its turn, until it is let in (see `gates`)."""

META = "CREATE TABLE IF NOT EXISTS flowlang_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)"  # in every format
TABLES = (
    # A flow as it was when a run began: all texts that it reaches, by the hash of them.
    """CREATE TABLE IF NOT EXISTS flowlang_flows (
        hash TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        file TEXT NOT NULL,
        texts TEXT NOT NULL,
        stored_at {float} NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS flowlang_runs (
        id TEXT PRIMARY KEY,
        flow TEXT NOT NULL,
        hash TEXT NOT NULL,
        state TEXT NOT NULL,
        durable INTEGER NOT NULL DEFAULT 1,
        queue TEXT NOT NULL DEFAULT 'default',
        priority INTEGER NOT NULL DEFAULT 0,
        dedup TEXT,
        due_at {float} NOT NULL,
        created_at {float} NOT NULL,
        started_at {float},
        ended_at {float},
        owner TEXT,
        token TEXT,
        takeovers INTEGER NOT NULL DEFAULT 0,
        refused INTEGER NOT NULL DEFAULT 0,
        attempt INTEGER NOT NULL DEFAULT 0,
        cancel INTEGER NOT NULL DEFAULT 0,
        waits_for TEXT,
        gate TEXT,
        inputs TEXT NOT NULL,
        options TEXT NOT NULL,
        started_by TEXT NOT NULL DEFAULT 'manual',
        origin TEXT,
        outputs TEXT,
        error TEXT,
        reason TEXT
    )""",
    "CREATE UNIQUE INDEX IF NOT EXISTS flowlang_runs_dedup ON flowlang_runs (queue, dedup) WHERE dedup IS NOT NULL",
    # Which run is next, and when the next one is due.
    """CREATE INDEX IF NOT EXISTS flowlang_runs_next ON flowlang_runs (queue, priority DESC, due_at)
        WHERE state IN ('queued', 'waiting')""",
    """CREATE INDEX IF NOT EXISTS flowlang_runs_due ON flowlang_runs (queue, due_at)
        WHERE state IN ('queued', 'waiting')""",
    # How many have begun lately, for the rates of queues.
    "CREATE INDEX IF NOT EXISTS flowlang_runs_begun ON flowlang_runs (queue, started_at) WHERE started_at IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS flowlang_runs_owner ON flowlang_runs (owner) WHERE owner IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS flowlang_runs_gate ON flowlang_runs (gate) WHERE gate IS NOT NULL",
    # Who queues at a gate.
    "CREATE INDEX IF NOT EXISTS flowlang_runs_waits ON flowlang_runs (waits_for) WHERE waits_for IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS flowlang_runs_created ON flowlang_runs (created_at)",
    "CREATE INDEX IF NOT EXISTS flowlang_runs_ended ON flowlang_runs (ended_at) WHERE ended_at IS NOT NULL",
    # The journal: see `log`.
    """CREATE TABLE IF NOT EXISTS flowlang_journal (
        run_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        entries TEXT NOT NULL,
        checksum BIGINT NOT NULL,
        PRIMARY KEY (run_id, seq)
    ){compact}""",
    # What listeners were told, in chunks of lines (see `lines`), secrets masked.
    """CREATE TABLE IF NOT EXISTS flowlang_events (
        run_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        lines TEXT NOT NULL,
        PRIMARY KEY (run_id, seq)
    ){compact}""",
    """CREATE TABLE IF NOT EXISTS flowlang_signals (
        id {serial_key},
        run_id TEXT NOT NULL,
        name TEXT NOT NULL,
        payload TEXT NOT NULL,
        sent_at {float} NOT NULL,
        taken_by TEXT
    )""",
    "CREATE INDEX IF NOT EXISTS flowlang_signals_run ON flowlang_signals (run_id, name)",
    """CREATE TABLE IF NOT EXISTS flowlang_queues (
        name TEXT PRIMARY KEY,
        concurrency INTEGER,
        worker_concurrency INTEGER,
        rate_limit INTEGER,
        rate_period {float}
    )""",
    """CREATE TABLE IF NOT EXISTS flowlang_executors (
        id TEXT PRIMARY KEY,
        host TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started_at {float} NOT NULL,
        seen_at {float} NOT NULL,
        lease {float} NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS flowlang_schedules (
        id TEXT PRIMARY KEY,
        hash TEXT NOT NULL,
        flow TEXT NOT NULL,
        rule TEXT NOT NULL,
        options TEXT NOT NULL,
        next_at {float},
        last_at {float},
        paused INTEGER NOT NULL DEFAULT 0
    )""",
)
