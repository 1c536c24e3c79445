"""Examining a plugin: each selected check on an event loop of its own, each ending as an outcome."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from flowlang.conformance.calls import Operations
from flowlang.conformance.model import (
    CAPABILITIES,
    GROUPS,
    TIERS,
    Absent,
    Check,
    Failed,
    Outcome,
    Report,
    Status,
    Unproven,
    all_checks,
)
from flowlang.conformance.subject import Subject
from flowlang.connections.base import ConnectionPlugin

LIMIT = 30.0  # seconds for one check


def selected(tiers: Collection[str] = TIERS, groups: Collection[str] = tuple(GROUPS)) -> tuple[Check, ...]:
    """The checks of these tiers and groups."""
    return tuple(each for each in all_checks() if each.tier in tiers and each.group in groups)


def check_plugin(
    plugin: type[ConnectionPlugin],
    config: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
    *,
    capabilities: Mapping[str, str] | None = None,
    operations: Operations | None = None,
    settings: Mapping[str, Any] | None = None,
    tiers: Collection[str] = TIERS,
    groups: Collection[str] = tuple(GROUPS),
) -> Report:
    """Examine `plugin` against the service that `config` leads to.

    `config` may be a function that makes a fresh place for each check. `capabilities`: what the plugin is without →
    the reason; its checks are waived. `operations`: further calls that unlock checks. `settings`: further attributes
    of the `Subject` (`side_links`, `wrong_config`, `other_config`, `tls_config`).
    """
    waived = checked_capabilities(capabilities or {})
    found = []
    for each in selected(tiers, groups):
        subject = Subject(plugin, config() if callable(config) else config, operations)
        for name, value in (settings or {}).items():
            setattr(subject, name, value)
        found.append(carried_out(each, subject, waived))
    return Report(plugin.name, tuple(found))


def checked_capabilities(stated: Mapping[str, str]) -> Mapping[str, str]:
    """`stated`, refused when it names an unknown capability or gives no reason."""
    for name, reason in stated.items():
        if name not in CAPABILITIES:
            raise ValueError(f"no capability {name!r}; there are: {', '.join(CAPABILITIES)}")
        if not str(reason or "").strip():
            raise ValueError(f"say why the plugin is without {name!r}: the reason is shown in the report")
    return stated


def carried_out(check: Check, subject: Subject, waived: Mapping[str, str]) -> Outcome:
    """One check, on a fresh event loop in this thread (in another one, when this one has a running loop)."""
    for name in check.needs:
        if name in waived:
            return Outcome(check, "waived", f"no {name}: {waived[name]}")
    started = time.perf_counter()
    status, reason = _outside_of_loops(lambda: asyncio.run(_ended(check, subject)))
    return Outcome(check, status, reason, time.perf_counter() - started)


async def _ended(check: Check, subject: Subject) -> tuple[Status, str]:
    limit = asyncio.timeout(LIMIT)
    try:
        async with limit:
            await check.function(subject)
    except Absent as absent:
        return "waived", str(absent)
    except Unproven as unproven:
        return "skipped", str(unproven)
    except Failed as failed:
        return "failed", str(failed)
    except TimeoutError as error:
        return "failed", f"it did not end within {LIMIT:g} s" if limit.expired() else _told(error)
    except Exception as error:  # noqa: BLE001 - foreign code: what it raises where nothing may be raised is the finding
        return "failed", _told(error)
    return "passed", ""


def _told(error: BaseException) -> str:
    from flowlang.connections.errors import cause_lines

    return "it raised " + ", caused by ".join(cause_lines(error))


def _outside_of_loops(work: Callable[[], tuple[Status, str]]) -> tuple[Status, str]:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    found: list[tuple[Status, str]] = []
    thread = threading.Thread(target=lambda: found.append(work()), name="conformance-check")
    thread.start()
    thread.join()
    return found[0]
