"""The page of the kit for the docs: every check with what it wants, the mutants, and how the built-in plugins do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowlang.conformance.model import CAPABILITIES, GROUPS, TIERS, Check, all_checks

_MARKS = {"passed": "✓", "failed": "✗", "waived": "–", "skipped": "?"}
_INTRODUCTION = """\
What every connection plugin has to prove, as tests that a plugin author gets for nothing: one class, one fixture.

```python file=test_prices.py
import pytest
from flowlang_prices import PricesPlugin

from flowlang.testing import PluginConformance


class TestPrices(PluginConformance):
    plugin = PricesPlugin
    capabilities = {"streaming": "the list is short"}

    @pytest.fixture
    def config(self):
        return {"prices": {"pen": 120}}
```

pytest then runs a test for each check, and [`flowlang plugin test`](cli.md#proving-a-plugin) prints how they ended with
the score. The same without pytest:

```python file=examine.py
from flowlang_prices import PricesPlugin

from flowlang.testing import check_plugin

report = check_plugin(PricesPlugin, {"prices": {"pen": 120}}, tiers=("contract",))
print(report)
```

- **Tiers.** `contract`: what a plugin written by the guide, word for word, passes whole. `quality`: what is scored;
  the score is the part that passed of the quality checks that are not waived.
- **Outcomes.** *Passed*; *failed*, with what was wanted; *waived*, because the plugin has no such feature: the kit
  sees it, or `capabilities` says so with the reason; *skipped*, because it takes a call that only the author knows,
  which the reason names. To select no check at all is a failure.
- **What is called.** The calls of the example flow, listened to in a run. `operations` states further ones
  (`flowlang.testing.Operations`): a `read`, a `write`, the `state` behind them, something `slow`, a `stream`, texts
  that are `put` and `get`, and calls that fail, by error class.
- **Faults.** The kit puts a TCP proxy of its own between plugin and service: it moves the address in the config, be it
  a URL or `host` and `port`, and then cuts, stalls, refuses and counts.
- **Where.** A service at hand. `config` may make an empty place for each check; the kit writes there.\
"""


def page(data: Mapping[str, Any]) -> Iterator[str]:
    """The parts of the page. `data`: what `tests/conformance/recording.py` wrote down."""
    checks = all_checks()
    yield "# Conformance of connection plugins"
    yield _INTRODUCTION
    counts = [sum(each.tier == tier for each in checks) for tier in TIERS]
    yield f"There are {len(checks)} checks: {counts[0]} of the contract, {counts[1]} of quality."
    for group, title in GROUPS.items():
        yield f"## {group.capitalize()}"
        yield f"{title}."
        yield _table(("check", "tier", "wants"), (_row(each) for each in checks if each.group == group))
    yield "## Capabilities"
    yield "What a plugin may be without. `capabilities` names it with the reason, and its checks are waived."
    yield _table(("capability", "means"), ((f"`{name}`", text) for name, text in CAPABILITIES.items()))
    yield "## The built-in plugins"
    yield "Examined against real servers, as `tests/conformance/test_builtin.py` does in every run of the tests."
    yield from _reports(checks, data.get("builtin", {}))
    yield "## The services in YAML"
    yield "Those of `examples/services/`, examined against servers of the tests that answer as theirs document."
    yield from _reports(checks, data.get("services", {}))
    yield from _mutants(checks, data.get("mutants", {}))


def _row(check: Check) -> tuple[str, ...]:
    return (f"`{check.name}`", check.tier, _cell(" ".join(check.text.split())))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _reports(checks: tuple[Check, ...], reports: Mapping[str, Any]) -> Iterator[str]:
    """How some plugins do: the sums, and each check that did not pass with its reason."""
    head = ("type", *(f"{tier}: passed, failed, waived, skipped" for tier in TIERS), "score")
    yield _table(head, (_sums(name, report, checks) for name, report in reports.items()))
    for name, report in reports.items():
        there = report["outcomes"]
        rest = [(f"`{each}`", status, _cell(reason)) for each, (status, reason) in there.items() if status != "passed"]
        yield f"### {name}"
        yield _table(("check", "", "why"), iter(rest)) if rest else "Every check passes."


def _sums(name: str, report: Mapping[str, Any], checks: tuple[Check, ...]) -> tuple[str, ...]:
    cells = [f"`{name}`"]
    for tier in TIERS:
        found = [
            report["outcomes"][each.id][0] for each in checks if each.tier == tier and each.id in report["outcomes"]
        ]
        cells.append(", ".join(str(found.count(status)) for status in _MARKS))
    return (*cells, f"{report['score']:.0%}")


def _mutants(checks: tuple[Check, ...], table: Mapping[str, Any]) -> Iterator[str]:
    """Each check with the mutant that it catches, and what else that mutant fails."""
    yield "## Mutants"
    caught = [each for each in checks if each.id in table.get(each.id, {}).get("fails", ())]
    yield (
        f"Each check is proven by a plugin with one defect (`tests/conformance/mutants/`): {len(caught)} of "
        f"{len(checks)} are caught by their own check. A defect often shows in more than one way; the last column has "
        "the others."
    )
    rows = (
        (f"`{each.id}`", f"`{table[each.id]['mutant']}`", _others(each, table)) for each in checks if each.id in table
    )
    yield _table(("check", "its mutant", "also fails"), rows)


def _others(check: Check, table: Mapping[str, Any]) -> str:
    return ", ".join(f"`{each}`" for each in table[check.id]["fails"] if each != check.id)
