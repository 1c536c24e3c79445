"""What the kit is made of: checks, the capabilities that a plugin may be without, outcomes and the report."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from flowlang.records import frozen

if TYPE_CHECKING:
    from flowlang.conformance.subject import Subject

Tier = Literal["contract", "quality"]
Status = Literal["passed", "failed", "waived", "skipped"]
TIERS: tuple[Tier, ...] = ("contract", "quality")
READ_MORE = "docs/conformance.md"

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "static": "What can be seen without opening anything",
        "config": "How settings reach the plugin, and what is refused",
        "lifecycle": "Opening, closing, cancelling, and a service that goes away",
        "concurrency": "Pools, leases, and connections beside each other",
        "operations": "What the tasks take and give",
        "errors": "What failures are called, and what follows from them",
        "secrets": "Credentials stay where they belong",
        "scaffold": "What is written for users: snippets, examples, helpers, docs",
    }
)

CAPABILITIES: Mapping[str, str] = MappingProxyType(
    {
        "network": "the service is reached over TCP, at an address that stands in the config",
        "credentials": "the service asks for credentials and refuses wrong ones",
        "clean_failure": "the driver closes what it had begun when opening fails half-way",
        "pool": "leases come from a pool of several handles",
        "streaming": "a task gives a stream",
        "reads": "a task reads",
        "writes": "a task changes something",
        "values": "what one task writes another reads back",
        "sessions": "a handle carries state from one use to the next",
        "batches": "a task writes several items in one call",
        "slow": "an operation can be made to take seconds at the service",
        "tls": "the link can be encrypted",
        "driver": "it needs a package that may be missing",
        "permission": "the service can refuse an operation to an account",
        "not_found": "an operation can name what does not exist",
        "conflict": "an operation can meet a state that forbids it",
        "validation": "an operation can be given what the service refuses as invalid",
        "rate_limited": "the service asks to slow down",
        "unavailable": "the service can answer that it cannot serve now",
    }
)


class Failed(AssertionError):
    """The plugin does not do what the check wants."""


class Absent(Exception):
    """The plugin has no such feature, as the kit sees for itself; the text says what it is without."""


class Unproven(Exception):
    """The check cannot be carried out; the text says what the author may add."""


@frozen
class Check:
    """One thing that a plugin proves. `needs` are the capabilities without which there is nothing to prove."""

    group: str
    name: str
    tier: Tier
    needs: tuple[str, ...]
    function: Callable[[Subject], Awaitable[None]]
    text: str
    """What it wants, in words."""

    @property
    def id(self) -> str:
        return f"{self.group}/{self.name}"

    @property
    def title(self) -> str:
        return " ".join(self.text.partition("\n\n")[0].split())


CheckFunction = Callable[["Subject"], Awaitable[None]]
_CHECKS: dict[str, Check] = {}


def check(tier: Tier, *needs: str) -> Callable[[CheckFunction], CheckFunction]:
    """Register a check: its module names the group, its function the check, its docstring what it wants."""

    def mark(function: CheckFunction) -> CheckFunction:
        group = function.__module__.rpartition(".")[2]
        name = function.__name__.replace("_", "-")
        register(Check(group, name, tier, needs, function, inspect.cleandoc(function.__doc__ or "")))
        return function

    return mark


def register(found: Check) -> None:
    """Make a check known."""
    assert found.group in GROUPS, found.group
    assert CAPABILITIES.keys() >= set(found.needs), found.needs
    _CHECKS[found.id] = found


def all_checks() -> tuple[Check, ...]:
    """Every check, by group and in the order in which their modules state them."""
    from importlib import import_module

    for group in GROUPS:
        import_module(f"flowlang.conformance.{group}")
    order = list(GROUPS)
    return tuple(sorted(_CHECKS.values(), key=lambda each: order.index(each.group)))


# ---------------------------------------------------------------- outcomes


@frozen
class Outcome:
    """How one check ended. `reason`: why it failed, was waived or skipped; empty when it passed."""

    check: Check
    status: Status
    reason: str = ""
    duration: float = 0.0  # seconds

    @property
    def message(self) -> str:
        """The reason with what the check wants and where that is explained."""
        if self.status != "failed":
            return self.reason
        return f"{self.check.id}: {self.reason}\n  wanted: {self.check.title}\n  read: {READ_MORE}#{self.check.group}"


@frozen
class Report:
    """What a plugin proved. `ok`: at least one check was carried out and none failed."""

    plugin: str
    outcomes: tuple[Outcome, ...]

    @property
    def ok(self) -> bool:
        return self.count("passed") > 0 and self.count("failed") == 0

    @property
    def score(self) -> float:
        """Of the quality checks that are not waived, the part that passed: 0 to 1. One that could not be carried out
        proves nothing, so it counts as not passed."""
        counted = [each for each in self.of("quality") if each.status != "waived"]
        return sum(each.status == "passed" for each in counted) / len(counted) if counted else 0.0

    def of(self, tier: Tier) -> tuple[Outcome, ...]:
        return tuple(each for each in self.outcomes if each.check.tier == tier)

    def count(self, status: Status, tier: Tier | None = None) -> int:
        return sum(each.status == status for each in (self.of(tier) if tier else self.outcomes))

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if not self.outcomes:
            yield f"{self.plugin}: no check was selected, which proves nothing"
            return
        for each in self.outcomes:
            if each.status != "passed":
                yield f"{each.status:8}{each.message if each.status == 'failed' else f'{each.check.id}: {each.reason}'}"
        for tier in TIERS:
            if of_tier := self.of(tier):
                told = ", ".join(
                    f"{self.count(each, tier)} {each}" for each in ("passed", "failed", "waived", "skipped")
                )
                yield f"{self.plugin}: {tier}: {told} of {len(of_tier)}"
        if self.of("quality"):
            yield f"{self.plugin}: score {self.score:.0%}"
