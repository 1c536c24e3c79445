"""Where the expressions and placeholders of a SQL text stand, and what each of them is to the statement.

The pieces of a statement are enough to say where in it an expression of a flow stands. The check asks for every
statement of a flow, so the scan looks at each token once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Literal

from flowlang.connections._sql.dialect import GENERIC, Dialect
from flowlang.connections._sql.tokens import Token, tokens
from flowlang.records import frozen

HoleKind = Literal["value", "in_literal", "in_comment", "identifier", "statement"]

_HOLE = "\0"  # stands for an expression while a statement is scanned; no SQL text may hold one itself


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words after which a name is expected, never a value.
_NAME_FOLLOWS = _words(
    "FROM INTO UPDATE JOIN TABLE VIEW INDEX TRIGGER SCHEMA DATABASE SEQUENCE COLUMN CONSTRAINT REFERENCES "
    "EXISTS BY AS SET COLLATE TRUNCATE SAVEPOINT PRAGMA ATTACH DETACH ANALYZE REINDEX ONLY RENAME "
    "DESCRIBE"
)
_CLAUSES = _words(
    "SELECT FROM WHERE SET VALUES BY HAVING LIMIT OFFSET ON USING RETURNING INTO UPDATE JOIN UNION EXCEPT "
    "INTERSECT WHEN THEN ELSE CASE FETCH WINDOW TABLE REFERENCES"
)
_NAME_LISTS = frozenset({"FROM", "BY", "SET", "UPDATE"})  # clauses whose commas are followed by names
_COLUMN_LISTS = frozenset({"INTO", "REFERENCES", "TABLE"})  # clauses whose brackets hold names
_OPENS_NAMES = frozenset({"CONFLICT", "KEY", "UNIQUE", "USING"})  # words whose brackets do
_FROM_IS_SYNTAX = frozenset({"EXTRACT", "SUBSTRING", "TRIM", "OVERLAY"})  # `FROM` inside these takes a value
_READS = _words("SELECT WITH VALUES SHOW DESCRIBE EXPLAIN TABLE")
_WRITES = re.compile(r"(?:INSERT|UPDATE|DELETE|MERGE|REPLACE)\Z")
_ONLY_READS = re.compile(  # most statements that read, without a look at their tokens
    rf"\s*(?:{'|'.join(sorted(_READS))})\s(?!.*\b(?:INSERT|UPDATE|DELETE|MERGE|REPLACE|INTO)\b)",
    re.IGNORECASE | re.DOTALL,
)


@frozen
class Hole:
    """Where an expression stands in a statement.

    `quote` is the character that opens the literal or quoted name around it (kind `in_literal`). `in_list`:
    it stands directly in the brackets of `IN (…)`, or right after `IN`; `alone`: with nothing else there;
    `negated`: after `NOT IN`.
    """

    kind: HoleKind
    quote: str = ""
    in_list: bool = False
    alone: bool = False
    bare: bool = False  # right after IN, without brackets
    negated: bool = False


_VALUE, _IDENTIFIER, _STATEMENT = Hole("value"), Hole("identifier"), Hole("statement")


@frozen
class Statement:
    """A scanned statement. `joined` is its text with a NUL for each expression.

    `fills` has each place that is bound: where it begins and ends in `joined`, and the index of its expression (0 and
    up) or of the author's placeholder (`~index`); `holes` and `marks` say what these are, one each.
    """

    joined: str
    fills: tuple[tuple[int, int, int], ...]
    holes: tuple[Hole, ...]
    marks: tuple[Hole, ...]
    expected: int  # how many params the statement asks for
    problem: str | None  # why no such statement can be filled
    leading: str  # the first word, in capitals

    @property
    def foreign(self) -> str | None:
        """Why no such statement can be filled, unless an expression is to blame."""
        return self.problem if not any(hole.kind in _UNFIT for hole in self.holes) else None


_UNFIT = frozenset({"in_literal", "in_comment", "statement"})


# A statement of words, signs and comparisons with an expression: nothing in it is quoted, a comment or a placeholder,
# and no expression can be a name. Whatever begins one of these in any dialect is missing from the signs.
_COMPARING = re.compile(r"\s*+([^\W\d]\w*+)(?:[\w\s.,()*+|!]++|-(?!-)|/(?!\*)|[=<>]++\s*+(?:\0(?![\w.$]))?+)*+")


@lru_cache(maxsize=1024)
def statement(texts: tuple[str, ...], dialect: Dialect) -> Statement:
    """The statement whose expressions stand between `texts`.

    A hole of kind `value` will be bound. `in_literal`, `in_comment`: it stands inside quotes or a comment and can
    never be bound. `identifier`: the name of a table or column is wanted there, `ident(x)`. `statement`: it is the
    whole statement.
    """
    joined = _HOLE.join(texts)
    if joined.count(_HOLE) != len(texts) - 1:
        unknown = (_VALUE,) * (len(texts) - 1)
        return Statement("", (), unknown, (), 0, "the statement holds a NUL character", "")
    comparing = _COMPARING.fullmatch(joined)
    if comparing is not None:
        ends = list(accumulate(len(text) + 1 for text in texts[:-1]))
        fills = tuple([(end - 1, end, index) for index, end in enumerate(ends)])
        return Statement(joined, fills, (_VALUE,) * len(ends), (), 0, None, comparing[1].upper())
    scanned = tokens(joined, dialect)
    scan = _Scan(scanned, joined, dialect)
    scan.run()
    leading = next((text for kind, text, _ in scanned if kind != "comment"), "").upper()
    problem = scan.foreign or _problem(scan.holes)
    return Statement(joined, tuple(scan.fills), tuple(scan.holes), tuple(scan.marks), scan.expected, problem, leading)


@dataclass(slots=True)
class _Place:
    """One level of brackets while holes are classified: what opened it, and the clause reached inside."""

    opener: str = ""
    clause: str = ""
    in_list: bool = False
    negated: bool = False
    names: bool = False


Before = tuple[str, str, str]
"""The three words or marks before a token, the nearest last."""


class _Scan:
    """What each expression and each of the author's placeholders is, in order."""

    def __init__(self, scanned: list[Token], joined: str, dialect: Dialect) -> None:
        self.tokens = scanned
        self.joined = joined
        self.dialect = dialect
        self.holes: list[Hole] = []
        self.marks: list[Hole] = []
        self.fills: list[tuple[int, int, int]] = []
        self.foreign: str | None = None
        self.highest = 0  # of the numbers of placeholders
        self.places = [_Place()]

    @property
    def expected(self) -> int:
        return self.highest if self.dialect.paramstyle == "numeric" else len(self.marks)

    def run(self) -> None:
        places = self.places
        plain = 0  # tokens that are more than a comment or the end of a statement
        last = second = third = ""  # the words or marks before, the nearest first
        for number, (kind, text, end) in enumerate(self.tokens):
            word = kind
            if kind == "word" or kind == "rest":
                word = text.upper()
                if word in _CLAUSES:
                    place = places[-1]
                    place.clause, place.names = word, False
            elif kind == "other":
                word = text
                if text == "(" or text == ")":
                    self._bracket(text, last, second)
                elif text == ";":
                    plain -= 1
            elif kind == "comment":
                self.holes += [Hole("in_comment")] * text.count(_HOLE)
                continue
            elif kind == "hole" or kind == "mark":
                self._fill(number, kind, text, end, (third, second, last))
            elif kind == "foreign":
                self._refuse(text)
            else:
                self.holes += [Hole("in_literal", quote=_quote_of(text))] * text.count(_HOLE)
            third, second, last = second, last, word
            plain += 1
        if plain == 1 and self.fills and self.fills[0][2] >= 0:
            self.holes[self.fills[0][2]] = _STATEMENT

    def _bracket(self, text: str, last: str, second: str) -> None:
        places = self.places
        if text == "(":
            names = last in _OPENS_NAMES or places[-1].clause in _COLUMN_LISTS
            places.append(_Place(last, in_list=last == "IN", negated=last == "IN" and second == "NOT", names=names))
        elif len(places) > 1:
            places.pop()

    def _refuse(self, text: str) -> None:
        mark = self.dialect.mark
        message = f"`{text}` is no placeholder of FlowLang: write `{mark}`, or an expression `${{…}}`"
        self.foreign = self.foreign or message

    def _fill(self, number: int, kind: str, text: str, end: int, before: Before) -> None:
        """Note a place that is bound."""
        start = end - len(text)
        made = self._hole(number, start, end, before)
        if kind == "hole":
            self.fills.append((start, end, len(self.holes)))
            self.holes.append(made)
            return
        if self.dialect.paramstyle == "numeric":
            self.highest = max(self.highest, int(text[1:]))
        else:
            self.fills.append((start, end, ~len(self.marks)))
        self.marks.append(made)

    def _hole(self, number: int, start: int, end: int, before: Before) -> Hole:
        last, place = before[2], self.places[-1]
        if _touches_name(self.joined, start, end) or self._wants_name(before, place, number):
            return _IDENTIFIER
        bare = last == "IN"
        if bare or (place.in_list and last in ("(", ",")):
            alone = bare or (last == "(" and self._after(number) == ")")
            negated = before[1] == "NOT" if bare else place.negated
            return Hole("value", in_list=True, alone=alone, bare=bare, negated=negated)
        return _VALUE

    def _wants_name(self, before: Before, place: _Place, number: int) -> bool:
        last = before[2]
        if last == "FROM":
            distinct = before[1] == "DISTINCT" and before[0] in ("IS", "NOT")
            return not distinct and place.opener not in _FROM_IS_SYNTAX
        if last in _NAME_FOLLOWS:
            return True
        if place.names and last in ("(", ","):
            return True
        if last != "," or place.clause not in _NAME_LISTS:
            return False
        return self._after(number) == "=" if place.clause in ("SET", "UPDATE") else True

    def _after(self, number: int) -> str:
        """The text of what follows token `number`."""
        behind = (self.tokens[at] for at in range(number + 1, len(self.tokens)))
        return next((text for kind, text, _ in behind if kind != "comment" and text != ";"), "")


def _quote_of(text: str) -> str:
    if text[0] != "$":
        return text[1] if text[0] in "eE" else text[0]
    return text[: text.index("$", 1) + 1]


_NAME_ENDS, _NAME_GOES_ON = re.compile(r"[\w.$]"), re.compile(r"[\w.]")


def _touches_name(joined: str, start: int, end: int) -> bool:
    """Glued to a word or a dot (`logs_${day}`, `${schema}.t`): part of a name."""
    glued = start > 0 and _NAME_ENDS.match(joined, start - 1) is not None
    return glued or _NAME_GOES_ON.match(joined, end) is not None


def _problem(found: list[Hole]) -> str | None:
    for hole in found:
        if hole.kind == "in_literal":
            return f"an expression stands between quotes ({hole.quote}): leave the quotes out, it is bound"
        if hole.kind == "in_comment":
            return "an expression stands inside a comment of the statement"
        if hole.kind == "statement":
            return "the whole statement is one expression: its text must be written in the flow"
    return None


def holes(texts: Sequence[str], dialect: Dialect | None = None) -> tuple[Hole, ...]:
    """What each expression of a SQL template is to the statement, in order; one less than `texts`."""
    return statement(tuple(texts), dialect or GENERIC).holes if len(texts) > 1 else ()


def writes(texts: Sequence[str], dialect: Dialect | None = None) -> bool:
    """Whether a statement may change something, judged by its words: anything but a plain SELECT, VALUES, SHOW …

    `texts` are what stands around its expressions, as for `holes`. A word before a bracket is a function
    (`replace(…)`), and one after FOR a lock.
    """
    joined = _HOLE.join(texts)
    if joined.isascii() and _ONLY_READS.match(joined):
        return False
    kept = [each for each in tokens(joined, dialect or GENERIC) if each[0] != "comment"]
    words = [text.upper() if kind in ("word", "rest") else "" for kind, text, _ in kept]
    if not any(words) or words[0] not in _READS:
        return any(words)
    follows = [text for _, text, _ in kept[1:]] + [""]
    for before, word, after in zip(["", *words], words, follows):
        if word == "INTO" or (_WRITES.match(word) and before != "FOR" and after != "("):
            return True
    return False
