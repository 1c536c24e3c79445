"""What the walk of a dry run carries along, and how it evaluates and shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from flowlang.dryrun.records import Entry, How
from flowlang.dryrun.unknown import Undecided, Unknown
from flowlang.expressions import explain
from flowlang.expressions.runtime import text
from flowlang.masking import MASK, Masker
from flowlang.plan import Evaluator, Frame, Plan, Site
from flowlang.records import frozen
from flowlang.tasks.values import Data, Sql


class Story:
    """The state of one dry run: the secrets that it knows, how many turns of a loop it tells, how much is left."""

    MOST = 20_000  # entries; beyond them a loop is told by its first turn alone

    def __init__(self, turns: int, env: Mapping[str, Any], secrets: Mapping[str, Any]) -> None:
        self.turns = turns
        self.env = env
        self.secrets = secrets
        self.masker = Masker(each for each in secrets.values() if isinstance(each, str))
        self.told = 0

    def read(self, kind: str, position: str) -> Any:
        """The time, a UUID, a random number: only a run has them."""
        raise Undecided

    def turns_of(self, count: int) -> int:
        return min(count, self.turns if self.told < self.MOST else 1)

    def shown(self, value: Any) -> Any:
        """`value` with known secrets masked, and SQL as its text and its values."""
        return self.masker.value(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, Sql):
        return BoundSql("?".join(value.texts), [_plain(each) for each in value.values])
    if isinstance(value, Data):
        return _plain(value.value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


@frozen
class BoundSql:
    """A statement with a `?` for each value that is bound to it."""

    text: str
    values: list[Any]


@frozen
class Scope:
    """Where the walk is: in which plan, below which path, and whether a run comes here for certain."""

    plan: Plan
    story: Story
    prefix: str = ""
    certain: bool = True

    def entry(self, site: Site, kind: str, said: str = "", how: How = "runs", **more: Any) -> Entry:
        self.story.told += 1
        if how == "runs" and not self.certain:
            how = "maybe"
        said = self.story.masker.text(said)
        return Entry(kind, self.prefix + site.path, said, how, place=f"{site.file}:{site.line}", **more)

    def way(self, site: Site, kind: str, condition: str, entries: list[Entry]) -> Entry:
        """Steps that run only if `condition`, which is not decided."""
        asked = self.story.masker.text(condition)
        return self.entry(site, kind, condition, "maybe", condition=asked, entries=tuple(entries))

    def below(self, site: Site, index: int | str | None = None) -> Scope:
        """Inside a turn of a loop (`*` for any), or inside a subflow."""
        turn = f"[{index}]" if index is not None else ""
        return replace(self, prefix=f"{self.prefix}{site.path}{turn}.")

    def perhaps(self) -> Scope:
        return replace(self, certain=False)

    def value(self, evaluator: Evaluator, frame: Frame) -> Any:
        """What `evaluator` gives. Raises `Failed` for what would fail in a run, too, and `Undecided`."""
        try:
            return evaluator(frame, self.story)
        except Undecided:
            raise
        except Exception as error:
            fault = explain(evaluator, error, frame)
            if fault.where is None:
                raise
            raise Failed("expression", self.story.masker.text(fault.message)) from error

    def known(self, evaluator: Evaluator, frame: Frame, otherwise: str = "…") -> Any:
        """The same; an `Unknown` for what is not decided."""
        try:
            return self.value(evaluator, frame)
        except Undecided:
            return Unknown(otherwise)

    def holds(self, condition: Evaluator, frame: Frame) -> bool | None:
        """Whether a condition holds; None when that is not known."""
        try:
            return bool(self.value(condition, frame))
        except Undecided:
            return None

    def said(self, evaluator: Evaluator) -> str:
        """What the flow says where `evaluator` was compiled; empty for what is not one expression."""
        return self.story.masker.text(getattr(evaluator, "written", ""))

    def shown(self, evaluator: Evaluator, value: Any) -> str:
        """The value of `evaluator` as text that may be shown."""
        if getattr(evaluator, "secret", False):
            return MASK
        shown = self.story.shown(value)
        return str(shown) if isinstance(shown, (Unknown, Mapping, list)) or shown is None else text(shown)

    def hidden(self, values: Mapping[str, Any], secret: frozenset[str]) -> dict[str, Any]:
        """`values` as they may be shown. Of a statement the text stays, for its values stand beside it."""
        shown = {}
        for name, each in values.items():
            if name not in secret:
                shown[name] = self.story.shown(each)
            elif isinstance(each, Sql):
                shown[name] = BoundSql(self.story.masker.text("?".join(each.texts)), [MASK] * len(each.values))
            else:
                shown[name] = MASK
        return shown


class Failed(Exception):
    """A step fails for certain."""

    def __init__(self, error_class: str, detail: str) -> None:
        super().__init__(detail)
        self.error_class = error_class
        self.detail = detail


@frozen
class Outcome:
    """How a list of steps ends. `end` is empty when the next step may run. `risky`: something in it may fail.
    `leaky`: a way that is not decided ends the flow in good order."""

    end: Literal["", "exit", "failed"] = ""
    risky: bool = False
    leaky: bool = False
    error_class: str = ""
    outputs: Mapping[str, Any] | None = None  # what an `exit` gives
    secret_outputs: frozenset[str] = frozenset()

    def then(self, other: Outcome) -> Outcome:
        """Behind this one, which does not end, came the other."""
        return replace(other, risky=self.risky or other.risky, leaky=self.leaky or other.leaky)


ON = Outcome()
