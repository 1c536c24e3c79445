"""What two versions of a plugin differ in, as its users see it, and the version that this asks for.

A flow that worked must go on working:  what breaks one is *major*, what adds is *minor*, all else *patch*.
Below 1.0.0 a minor version may break, as semantic versioning allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from flowlang.exceptions import PluginError
from flowlang.records import frozen

Level = Literal["major", "minor", "patch"]
LEVELS: tuple[Level, ...] = ("patch", "minor", "major")
Record = Mapping[str, Any]


@frozen
class Change:
    """One difference. `where`: `config.url`, `acme_get`, `acme_get.limit`, `acme_get → rows`."""

    level: Level
    where: str
    text: str


@frozen
class Difference:
    """What two versions of a plugin differ in. `required` is None when nothing that users see has changed."""

    name: str
    old: str
    new: str
    changes: tuple[Change, ...]

    @property
    def required(self) -> Level | None:
        """The part of the version that the changes ask for, after the leeway of versions below 1.0.0."""
        if not self.changes:
            return None
        level = max((each.level for each in self.changes), key=LEVELS.index)
        return "minor" if level == "major" and self.old.startswith("0.") else level

    @property
    def least(self) -> str:
        """The lowest version that is high enough."""
        return _raised(self.old, self.required) if self.required else self.old

    @property
    def enough(self) -> bool:
        """Whether the new version is as high as the changes ask for. Raises `PluginError` when one is no version."""
        return bool(_version(self.new) >= _version(self.least))


def differences(old: Sequence[Record], new: Sequence[Record]) -> tuple[Difference, ...]:
    """For each type of either version. Records are those of `connection info --json`."""
    before, after = ({each["type"]: each for each in side} for side in (old, new))
    return tuple(_difference(name, before.get(name), after.get(name)) for name in {**before, **after})


def _difference(name: str, old: Record | None, new: Record | None) -> Difference:
    if old is None or new is None:
        there = old or new or {}
        change = Change("minor", name, "the type is new") if old is None else Change("major", name, "the type is gone")
        return Difference(name, there["version"], there["version"], (change,))
    found = (*_settings(old["config"], new["config"]), *_tasks(old["tasks"], new["tasks"]), *_rest(old, new))
    found = tuple(sorted(found, key=lambda each: -LEVELS.index(each.level)))
    return Difference(name, old["version"], new["version"], found)


# ---------------------------------------------------------------- settings


def _settings(old: Sequence[Record], new: Sequence[Record]) -> Iterator[Change]:
    before, after = _by("key", old), _by("key", new)
    for key in before.keys() - after.keys():
        yield Change("major", f"config.{key}", "the setting is gone")
    for key in after.keys() - before.keys():
        if after[key]["required"]:
            yield Change("major", f"config.{key}", "the setting is new, and required")
        else:
            yield Change("minor", f"config.{key}", "the setting is new")
    for key in before.keys() & after.keys():
        yield from _values(f"config.{key}", before[key], after[key])
        yield from _bounds(f"config.{key}", before[key], after[key])


def _bounds(where: str, old: Record, new: Record) -> Iterator[Change]:
    for bound, sign in (("minimum", 1), ("maximum", -1)):
        a, b = old.get(bound), new.get(bound)
        if a == b:
            continue
        narrow = b is not None and (a is None or sign * (b - a) > 0)
        yield Change("major" if narrow else "minor", where, f"its {bound} was {_shown(a)} and is {_shown(b)}")
    if old.get("pattern") != new.get("pattern"):
        level: Level = "minor" if new.get("pattern") is None else "major"
        yield Change(level, where, f"its pattern was {_shown(old.get('pattern'))} and is {_shown(new.get('pattern'))}")


def _values(where: str, old: Record, new: Record) -> Iterator[Change]:
    """What a setting and a parameter have in common: type, choices, default, whether it must be given."""
    if old["type"] != new["type"]:
        wider = set(old["type"].split(" or ")) <= set(new["type"].split(" or ")) or new["type"] == "any"
        yield Change("minor" if wider else "major", where, f"its type was {old['type']} and is {new['type']}")
    choices = [each.get("enum", each.get("choices")) for each in (old, new)]
    if choices[0] != choices[1]:
        wider = choices[1] is None or choices[0] is not None and set(map(str, choices[0])) <= set(map(str, choices[1]))
        told = f"it took {_shown(choices[0])} and takes {_shown(choices[1])}"
        yield Change("minor" if wider else "major", where, told)
    if old["required"] != new["required"]:
        told = "it may be left out now" if old["required"] else "it is required now"
        yield Change("minor" if old["required"] else "major", where, told)
    elif old.get("default") != new.get("default"):
        told = f"its default was {_shown(old.get('default'))} and is {_shown(new.get('default'))}"
        yield Change("major", where, told)
    if old["secret"] and not new["secret"]:
        yield Change("major", where, "it was secret and is shown in the clear")
    elif new["secret"] and not old["secret"]:
        yield Change("minor", where, "it is secret now")


# ---------------------------------------------------------------- tasks


def _tasks(old: Sequence[Record], new: Sequence[Record]) -> Iterator[Change]:
    before, after = _by("name", old), _by("name", new)
    for name in before.keys() - after.keys():
        yield Change("major", name, "the task is gone")
    for name in after.keys() - before.keys():
        yield Change("minor", name, "the task is new")
    for name in before.keys() & after.keys():
        yield from _parameters(name, before[name]["parameters"], after[name]["parameters"])
        yield from _outputs(name, before[name]["outputs"], after[name]["outputs"])
        yield from _behaviour(name, before[name], after[name])


def _parameters(task: str, old: Sequence[Record], new: Sequence[Record]) -> Iterator[Change]:
    before, after = _by("name", old), _by("name", new)
    for name in before.keys() - after.keys():
        yield Change("major", f"{task}.{name}", "the parameter is gone")
    for name in after.keys() - before.keys():
        if after[name]["required"]:
            yield Change("major", f"{task}.{name}", "the parameter is new, and required")
        else:
            yield Change("minor", f"{task}.{name}", "the parameter is new")
    for name in before.keys() & after.keys():
        yield from _values(f"{task}.{name}", before[name], after[name])
        if before[name]["form"] != after[name]["form"]:
            yield Change(
                "major", f"{task}.{name}", f"it was read as {before[name]['form']}, now as {after[name]['form']}"
            )


def _outputs(task: str, old: Sequence[Record] | None, new: Sequence[Record] | None) -> Iterator[Change]:
    if old is None or new is None:
        if old is not new:
            told = "its outputs are declared now" if old is None else "its outputs are no longer declared"
            yield Change("minor" if old is None else "major", task, told)
        return
    before, after = _by("name", old), _by("name", new)
    for name in before.keys() - after.keys():
        yield Change("major", f"{task} → {name}", "the output is gone")
    for name in after.keys() - before.keys():
        yield Change("minor", f"{task} → {name}", "the output is new")
    for name in before.keys() & after.keys():
        if before[name]["type"] != after[name]["type"]:
            narrower = before[name]["type"] == "any" or set(after[name]["type"].split(" or ")) <= set(
                before[name]["type"].split(" or ")
            )
            told = f"its type was {before[name]['type']} and is {after[name]['type']}"
            yield Change("minor" if narrower else "major", f"{task} → {name}", told)


def _behaviour(task: str, old: Record, new: Record) -> Iterator[Change]:
    if old["effect"] != new["effect"]:
        harmless = new["effect"] in ("read", "none")
        yield Change("minor" if harmless else "major", task, f"its effect was {old['effect']} and is {new['effect']}")
    if old["idempotent"] != new["idempotent"]:
        told = "it is idempotent now" if new["idempotent"] else "it is no longer idempotent"
        yield Change("minor" if new["idempotent"] else "major", task, told)
    if old["streams"] != new["streams"]:
        yield Change("major", task, "it streams now" if new["streams"] else "it no longer streams")


# ---------------------------------------------------------------- the rest


def _rest(old: Record, new: Record) -> Iterator[Change]:
    before, after = ({each["requirement"] for each in side["dependencies"]} for side in (old, new))
    for each in sorted(before ^ after):
        yield Change("minor", each, "is needed now" if each in after else "is no longer needed")
    same = {each["name"] for each in old["tasks"]} == {each["name"] for each in new["tasks"]}
    if same and _texts(old) != _texts(new):
        yield Change("patch", old["type"], "descriptions have changed")


def _texts(record: Record) -> list[Any]:
    tasks = [(each["summary"], each["description"], each["example"]) for each in record["tasks"]]
    parts = [
        *record["config"],
        *(one for each in record["tasks"] for one in (*each["parameters"], *(each["outputs"] or ()))),
    ]
    return [record["description"], tasks, [each["description"] for each in parts]]


def _by(key: str, records: Sequence[Record]) -> dict[str, Record]:
    return {each[key]: each for each in records}


def _shown(value: Any) -> str:
    import json

    return "none" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _version(text: str) -> Any:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(text)
    except InvalidVersion as error:
        raise PluginError(f"`{text}` is no version that can be compared: write it as 1.2.3") from error


def _raised(text: str, level: Level) -> str:
    release = [*_version(text).release, 0, 0][:3]
    place = 2 - LEVELS.index(level)
    return ".".join(map(str, [*release[:place], release[place] + 1, *[0] * (2 - place)]))
