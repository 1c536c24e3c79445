"""The kinds of finding about test files and about tests that fail, each with its page."""

from __future__ import annotations

from flowlang.diagnostics import code

NO_FLOW = code(
    "no-flow-to-test",
    """A test file does not lead to a flow.

    `orders.test.yaml` tests `orders.yaml` beside it, unless it names another with `flow:`, relative to its own folder.

        flow: ../flows/orders.yaml
        tests:
          - name: an empty order is refused
    """,
)
UNKNOWN_STEP = code(
    "unknown-step",
    """A test names a step or a task that the flow does not have.

    A step is named by its id (`charge`), by the end of its path (`orders.charge`) or with its turn in a loop
    (`orders[2].charge`). A task is named by its name, and means every call of it.
    """,
)
NOT_A_CALL = code(
    "not-a-call",
    """A test wants to stand in for a step that calls nothing.

    Tasks and subflows are mocked. What a `set`, an `if` or a loop does follows from the calls around it.
    """,
)
EXPECTATION = code(
    "expectation",
    """A flow did not do what its test expects.

    The finding stands at what the test expects. `${…}`, `{$contains: …}` and `{$that: …}` say less exactly what is
    wanted where an exact value says too much.
    """,
)
NOT_MOCKED = code(
    "not-mocked",
    """A step would have called a real service in a test.

    In a test a step with a connection is carried out only where the test says so: mock it, or list the connection
    under `real`.

        real: [db]
        mocks:
          charge: {returns: {id: ch_1}}
    """,
)
IDLE_MOCK = code(
    "idle-mock",
    """A mock of a test was never used.

    Either the flow took another way than the test is about, or the mock is left over. Where it is right that nothing
    calls it, say `may_be_idle: true`. Mocks that all tests of a file share may be idle.
    """,
)
USED_UP = code(
    "mock-used-up",
    """A step was called more often than its mock has answers.

    `each` has one answer for each call. `returns` and `raises` answer every call.
    """,
)
RECORDING = code(
    "recording",
    """A call is not the one that was recorded.

    The recording is made by `flowlang test --record`, against the real services. When the flow, its inputs or what the
    services gave have changed since, record again.
    """,
)
STUCK = code(
    "stuck",
    """The flow of a test waits for something that never comes.

    Nothing was ready, no timer was running and nothing real was under way. A `wait` for a signal needs the signal:

        signals:
          - {name: approved, at: 10m, payload: {by: ada}}
    """,
)
REFUSED = code(
    "refused",
    """The run of a test was refused before it began.

    Its inputs, secrets or environment are not what the flow declares. A test that expects this says
    `status: invalid`.
    """,
)
