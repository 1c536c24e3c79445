"""The class of a failure comes from where it was raised and from its causes."""

from __future__ import annotations

import asyncio
import concurrent.futures
import datetime
import http.client
import socket
import sqlite3
import ssl
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import tenacity

from flowlang.connections import ConnectionPlugin
from flowlang.connections.errors import Classified, cause_lines, classify
from flowlang.exceptions import ConnectionError as HostConnectionError
from flowlang.exceptions import FlowExecutionError


def plugin(table: Any) -> ConnectionPlugin:
    return type("Tabled", (ConnectionPlugin,), {"name": "tabled", "error_table": table})()


def raised(*chain: BaseException) -> BaseException:
    """The first of `chain`, each chained to the next as `raise … from …` does."""
    for above, below in pairwise(chain):
        above.__cause__ = below
        above.__suppress_context__ = True
    return chain[0]


@pytest.mark.parametrize(
    ("error", "in_task", "in_connect"),
    [
        (ConnectionRefusedError("no"), "connect", "connect"),
        (socket.gaierror(-2, "unknown name"), "connect", "connect"),
        (ConnectionResetError("gone"), "connection_lost", "connection_lost"),
        (BrokenPipeError("gone"), "connection_lost", "connection_lost"),
        (ConnectionAbortedError("gone"), "connection_lost", "connection_lost"),
        (asyncio.IncompleteReadError(b"", 5), "connection_lost", "connection_lost"),
        (EOFError(), "connection_lost", "connection_lost"),
        (http.client.RemoteDisconnected("gone"), "connection_lost", "connection_lost"),
        (TimeoutError(), "timeout", "timeout"),
        (concurrent.futures.TimeoutError(), "timeout", "timeout"),
        (ssl.SSLError("handshake"), "connect", "connect"),
        (ssl.SSLCertVerificationError("expired"), "connect", "connect"),
        (ssl.SSLEOFError("cut"), "connection_lost", "connection_lost"),
        (PermissionError("no"), "permission", "permission"),
        (FileNotFoundError("no"), "not_found", "not_found"),
        (OSError(113, "no route"), "connect", "connect"),
        (OSError(28, "disk full"), "limit", "limit"),
        (ModuleNotFoundError("no driver"), "task", "config"),
        (ConnectionError("something"), "connection_lost", "connect"),
        (HostConnectionError("something"), "task", "connect"),
        (FlowExecutionError("something"), "task", "connect"),
        (asyncio.CancelledError(), "cancelled", "cancelled"),
        (ValueError("anything"), "task", "connect"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
def test_the_standard_library_has_its_classes(error: BaseException, in_task: str, in_connect: str) -> None:
    assert classify(error, None, "task").error_class == in_task
    assert classify(error, None, "connect").error_class == in_connect


def test_an_outcome_is_unknown_only_when_something_was_sent() -> None:
    for error in (TimeoutError(), ConnectionResetError()):
        assert classify(error, None, "task").outcome_unknown
        assert not classify(error, None, "connect").outcome_unknown
    assert not classify(ConnectionRefusedError(), None, "task").outcome_unknown


def test_the_cause_decides_whatever_wraps_it() -> None:
    """Wrapped by hand, implicitly, by a retry library, or by an exception of the plugin's own."""

    class Private(Exception):
        """Stands for the guide's fallback copy of FlowExecutionError."""

    refused = ConnectionRefusedError("no")
    assert classify(raised(Private("x"), RuntimeError("y"), refused), None, "task").error_class == "connect"
    assert classify(raised(HostConnectionError("x"), TimeoutError()), None, "connect").error_class == "timeout"

    def handling(*, hidden: bool) -> None:
        try:
            raise refused
        except ConnectionRefusedError:
            if hidden:
                raise Private("while handling") from None
            raise Private("while handling")  # noqa: B904 - the implicit context is what is tested

    with pytest.raises(Private) as caught:
        handling(hidden=True)
    assert classify(caught.value, None, "task").error_class == "task"
    with pytest.raises(Private) as caught:
        handling(hidden=False)
    assert classify(caught.value, None, "task").error_class == "connect"

    @tenacity.retry(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none())
    def always() -> None:
        raise Private("x") from refused

    with pytest.raises(tenacity.RetryError) as given_up:
        always()
    given_up.value.__cause__ = None
    given_up.value.__suppress_context__ = True
    assert classify(given_up.value, None, "task").error_class == "connect"


def test_a_cancellation_below_does_not_make_a_failure_a_cancellation() -> None:
    assert classify(raised(RuntimeError("pool"), asyncio.CancelledError()), None, "task").error_class == "task"
    assert classify(raised(TimeoutError(), asyncio.CancelledError()), None, "task").error_class == "timeout"


@pytest.mark.parametrize(
    "table",
    [
        {sqlite3.IntegrityError: "conflict"},
        {"sqlite3.IntegrityError": "conflict"},
        {"sqlite3.DatabaseError": "conflict", "sqlite3.Error": "unavailable"},
        {"sqlite3.Error": "unavailable", "sqlite3.DatabaseError": "conflict"},
        lambda self, error: "conflict" if isinstance(error, sqlite3.IntegrityError) else None,
    ],
    ids=["a class", "its name", "the nearest of the MRO", "in any order", "a method"],
)
def test_the_plugins_table_is_looked_up_along_the_chain(table: Any) -> None:
    error = raised(FlowExecutionError("insert failed"), sqlite3.IntegrityError("UNIQUE"))
    assert classify(error, plugin(table), "task") == Classified("conflict", retryable=False)


def test_the_plugins_table_goes_before_the_standard_one() -> None:
    error = raised(HostConnectionError("x"), TimeoutError("pool"), KeyError("login"))
    assert classify(error, plugin({KeyError: "auth"}), "connect").error_class == "auth"


def test_a_name_matches_where_a_package_exports_it() -> None:
    kind = type("UniqueViolation", (Exception,), {"__module__": "driver.exceptions._all"})
    assert classify(kind(), plugin({"driver.UniqueViolation": "conflict"}), "task").error_class == "conflict"
    assert classify(kind(), plugin({"drive.UniqueViolation": "conflict"}), "task").error_class == "task"


def test_a_table_may_say_more_than_the_class() -> None:
    busy = Classified("conflict", retryable=True, retry_after=0.5)
    assert classify(KeyError(), plugin({KeyError: busy}), "task") == busy


@pytest.mark.parametrize("table", [lambda self, error: 1 / 0, lambda self, error: "nonsense"], ids=["fails", "lies"])
def test_a_defective_table_does_not_hide_the_failure(table: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert classify(TimeoutError(), plugin(table), "task").error_class == "timeout"
    assert "error table" in caplog.text


def test_what_flowlangs_own_error_states_wins() -> None:
    stated = FlowExecutionError("gone", error_class="not_found")
    table = plugin({KeyError: "auth"})
    assert classify(raised(stated, KeyError()), table, "task").error_class == "not_found"
    assert classify(raised(RuntimeError("outer"), stated, KeyError()), table, "task").error_class == "not_found"


def test_explicit_retryable_and_retry_after_are_honoured_on_any_link() -> None:
    class Limited(Exception):
        retry_after = datetime.timedelta(seconds=3)

    error = raised(RuntimeError("x"), FlowExecutionError("y", retryable=False), Limited())
    found = classify(error, plugin({Limited: "rate_limited"}), "task")
    assert found == Classified("rate_limited", retryable=False, retry_after=3.0)
    outer = FlowExecutionError("x", retryable=True, retry_after=9)
    found = classify(raised(outer, FlowExecutionError("y", retryable=False)), None, "task")
    assert (found.retryable, found.retry_after) == (True, 9.0)


@pytest.mark.parametrize("value", ["soon", -1, float("nan"), float("inf"), True, None])
def test_a_retry_after_that_is_no_time_is_ignored(value: Any) -> None:
    error = RuntimeError("x")
    error.retry_after = value  # type: ignore[attr-defined]
    assert classify(error, None, "task").retry_after is None


def test_of_a_group_the_first_leaf_that_classifies_counts() -> None:
    group = ExceptionGroup("several", [ValueError("?"), ExceptionGroup("in", [raised(KeyError(), TimeoutError())])])
    assert classify(group, None, "task").error_class == "timeout"
    group = ExceptionGroup("several", [TimeoutError(), KeyError()])
    assert classify(group, plugin({KeyError: "auth"}), "task").error_class == "timeout"
    assert classify(raised(RuntimeError("x"), group), None, "connect").error_class == "timeout"


def test_a_certificate_that_does_not_verify_is_not_retried() -> None:
    assert not classify(ssl.SSLCertVerificationError("expired"), None, "connect").retryable
    assert classify(ssl.SSLError("handshake"), None, "connect").retryable


def _loop() -> BaseException:
    one, two = RuntimeError("one"), RuntimeError("two")
    one.__cause__, two.__cause__ = two, one
    return one


def _long() -> BaseException:
    return raised(*(RuntimeError(str(number)) for number in range(500)))


def _wide() -> BaseException:
    leaves: list[Exception] = [RuntimeError("x")] * 40
    for _ in range(5):
        leaves = [ExceptionGroup("many", leaves)] * 40
    return ExceptionGroup("all", leaves)


@pytest.mark.parametrize("make", [_loop, _long, _wide])
def test_odd_chains_end(make: Callable[[], BaseException]) -> None:
    error = make()
    assert classify(error, None, "task").error_class == "task"
    assert 1 <= len(cause_lines(error)) <= 32


def test_the_chain_is_told_in_the_drivers_own_words() -> None:
    error = raised(FlowExecutionError("insert failed"), sqlite3.IntegrityError("UNIQUE\n constraint"), KeyError("k"))
    assert cause_lines(error) == (
        "FlowExecutionError: insert failed",
        "sqlite3.IntegrityError: UNIQUE constraint",
        "KeyError: 'k'",
    )


def test_lines_are_bounded_and_cannot_redraw_a_terminal() -> None:
    class Torn(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert len(cause_lines(RuntimeError("x" * 10_000))[0]) <= 600
    assert "\x1b" not in cause_lines(RuntimeError("\x1b[2J"))[0]
    assert "cannot be shown" in cause_lines(Torn())[0]
    assert cause_lines(TimeoutError()) == ("TimeoutError",)
