"""The text of an expression as tokens, and the mistakes that show in the tokens alone.

Looking at tokens before `ast.parse` serves three ends: the bounds hold before Python's parser starts, words after
a dot may be words of Python (`.from`), and habits from other languages (`&&`, `x | length`) get a helpful answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from flowlang.expressions import codes, hints
from flowlang.expressions.syntax import Problem

MAX_BYTES = 4096
MAX_NODES = 800
MAX_DEPTH = 60

OPERATOR_WORDS = frozenset({"and", "or", "in", "if", "else", "for"})
CONSTANT_WORDS = {"true": "True", "false": "False", "null": "None", "True": "True", "False": "False", "None": "None"}
_PYTHON_WORDS = frozenset(
    "as assert async await break class continue def del elif except finally from global import is lambda nonlocal "
    "pass raise return try while with yield".split()
)
RESERVED = _PYTHON_WORDS | OPERATOR_WORDS | {"not"} | CONSTANT_WORDS.keys()
"""Words that cannot begin a path, and so cannot name a step, an input or a variable."""
_UNUSUAL_WORDS = _PYTHON_WORDS | {"true", "false", "null"}

_TOKEN = re.compile(
    r"""(?P<space>[ \t\n\r\f]+)
      | (?P<text>[A-Za-z]{0,2}(?:'(?:[^'\\\n]|\\[^\n])*'|"(?:[^"\\\n]|\\[^\n])*"))
      | (?P<number>[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
      | (?P<word>[^\W\d]\w*)
      | (?P<sign>===|!==|\*\*|//|<<|>>|==|!=|<=|>=|<>|&&|\|\||\?\?|\?\.|=>|->|:=|\$\{|[-+*/%<>=!&|^~?:,.()\[\]{}@;])
    """,
    re.VERBOSE,
)
_FINE = frozenset("+ - * / // % == != < <= > >= . , : ( ) [ ]".split())
"""Signs with which nothing is wrong before one looks at where they stand."""
_CLOSING = {"(": ")", "[": "]", "{": "}", "${": "}"}
_ESCAPE = re.compile(
    r"\\(?:[\\'\"abfnrtv]|0(?![0-7])|x[0-9a-fA-F]{2}|u(?![dD][89abAB])[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)"
    r"(?![dD][89abAB])[0-9a-fA-F]{4})"
)

_ORDINARY = re.compile(  # no quoted text follows another
    r"""(?:\ ++ | [A-Za-z]\w*+(?!['"]) | (?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?![\w.])
      | (?:'[^'\\\n$]*+'|"[^"\\\n$]*+")(?!\ *+['"]) | [-+*/%<>=!.,:()\[\]])*+""",
    re.VERBOSE | re.ASCII,
)
_WORDS = re.compile(r"[A-Za-z]\w*", re.ASCII)
_QUOTED = re.compile(r"\$\{[^}]*\}")
_RUN_ON = re.compile(r"[\w.]+")


def ordinary(source: str) -> bool:
    """Whether Python's parser can read `source` as it stands, and refuses it wherever `tokenise` would. Most
    expressions are such; one that is at most twice as long as it may be deep cannot be too deep for the parser."""
    if len(source) > 2 * MAX_DEPTH or _ORDINARY.fullmatch(source) is None:
        return False
    return _UNUSUAL_WORDS.isdisjoint(_WORDS.findall(source))


class Token(NamedTuple):
    """`start` and `end` count characters of the source."""

    kind: str  # text, number, word, sign
    text: str
    start: int
    end: int


class Tokens(NamedTuple):
    tokens: list[Token]
    problems: list[Problem]


def tokenise(source: str, offset: int, *, interpolations: bool) -> Tokens:
    """The tokens of `source`, whose first character is character `offset` of its scalar.

    `interpolations` says that `${…}` may stand around any part (a condition).
    """
    problems: list[Problem] = []
    if len(source.encode(errors="replace")) > MAX_BYTES:
        end = offset + len(source)
        message = f"this expression is longer than {MAX_BYTES // 1024} KiB"
        return Tokens([], [Problem(codes.LIMIT, message, offset, end, suggestion="name a part of it in a `set` step")])
    tokens: list[Token] = []
    for token in _split(source):
        if token[1] in _FINE:
            tokens.append(token)
            continue
        problem = _unusable(token, tokens, source, interpolations)
        if problem is not None:
            if not problems or problem.start + offset >= problems[-1].end:
                problems.append(_moved(problem, offset))
            if token.kind in ("stray", "open"):
                break
        tokens.append(token)
    if not problems:
        problems.extend(_moved(each, offset) for each in _misplaced(tokens, source))
    return Tokens(tokens, problems)


_token: Callable[[tuple[str, str, int, int]], Token] = partial(tuple.__new__, Token)  # at a third of its own price


def _split(source: str) -> Iterator[Token]:
    at = 0
    for match in _TOKEN.finditer(source):
        start, end = match.span()
        if start != at:
            break
        at = end
        kind = match.lastgroup or ""
        if kind != "space":
            yield _token((kind, match[0], start, end))
    if at < len(source):
        kind = "open" if source[at] in "'\"" else "stray"
        yield Token(kind, source[at], at, at + 1)


def _moved(problem: Problem, offset: int) -> Problem:
    return replace(problem, start=problem.start + offset, end=problem.end + offset)


def _unusable(token: Token, before: list[Token], source: str, interpolations: bool) -> Problem | None:
    """What is wrong with `token` wherever it stood."""
    kind, text, start, end = token
    if kind == "sign":
        if text == "$" or (text == "${" and not interpolations):
            return Problem(
                codes.SYNTAX,
                "`${` stands inside an expression already",
                start,
                end,
                suggestion="leave out the inner `${ }`",
            )
        if text == "=" and _names_argument(before):
            return None
        return hints.foreign_operator(text, start, end, source, before)
    if kind == "text":
        return _bad_text(token)
    if kind == "word":
        return _bad_word(token, before)
    if kind == "number":
        return _bad_number(token, before, source)
    if kind == "open":
        message = f"a text begins with {text} here and is not closed on its line"
        return Problem(codes.UNTERMINATED, message, start, len(source), suggestion=f"close it with {text}")
    return hints.foreign_character(text, start, source)


def _names_argument(before: list[Token]) -> bool:
    return len(before) > 1 and before[-1].kind == "word" and before[-2].text in ("(", ",")


def _bad_text(token: Token) -> Problem | None:
    quote = min(at for at in (token.text.find("'"), token.text.find('"')) if at >= 0)
    prefix = token.text[:quote].lower()
    if prefix not in ("", "r"):
        what = {"f": "f-strings", "b": "bytes literals"}.get(prefix, f"texts that begin with `{token.text[:quote]}`")
        fix = "join the parts with `+`, or put `${…}` into the text outside" if prefix == "f" else None
        return Problem(codes.FORM, f"expressions have no {what}", token.start, token.end, suggestion=fix)
    inner = _QUOTED.search(token.text)
    if inner is not None:
        at = token.start + inner.start()
        message = "`${…}` inside quotes is plain text in an expression"
        return Problem(
            codes.QUOTED, message, at, token.start + inner.end(), suggestion="leave out the quotes around it"
        )
    if prefix == "" and "\\" in token.text:
        return _bad_escape(token)
    return None


def _bad_escape(token: Token) -> Problem | None:
    at = token.text.find("\\")
    while at >= 0:
        match = _ESCAPE.match(token.text, at)
        if match is None:
            shown = token.text[at : at + 2]
            return Problem(
                codes.SYNTAX,
                f"`{shown}` is not an escape of a text",
                token.start + at,
                token.start + at + 2,
                suggestion=f"write `\\{shown}` for a backslash, or `r{token.text}` for a text without escapes",
            )
        at = token.text.find("\\", match.end())
    return None


def _bad_word(token: Token, before: list[Token]) -> Problem | None:
    _, text, start, end = token
    after_dot = bool(before) and before[-1].text == "."
    if after_dot:
        if not text.startswith("_"):
            return None
        place = f'["{text}"]'
        message = f"`{text}` begins with `_`, which cannot follow a dot"
        return Problem(codes.PRIVATE, message, start, end, suggestion=f"write `{place}` without the dot")
    if text in _PYTHON_WORDS:
        return hints.python_word(text, start, end)
    if not text.isascii() and unicodedata.normalize("NFKC", text) != text:
        return Problem(codes.SYNTAX, f"the name `{text}` holds characters that only look like letters", start, end)
    return None


def _bad_number(token: Token, before: list[Token], source: str) -> Problem | None:
    _, text, start, end = token
    if text.startswith(".") and before and before[-1].end == start and _ends_operand(before[-1]):
        message = f"`{text}` cannot follow a value: an item of a list is looked up in brackets"
        return Problem(
            codes.SYNTAX, message, start, end, suggestion=f"write `[{text[1:]}]`", replacement=f"[{text[1:]}]"
        )
    rest = _RUN_ON.match(source, end)
    if rest:
        return Problem(codes.SYNTAX, f"`{text}{hints.short(rest.group())}` is not a number", start, rest.end())
    if len(text) > 1 and text[0] == "0" and text.isdigit() and text.strip("0"):
        plain = text.lstrip("0")
        message = f"`{text}`: a number does not begin with 0"
        return Problem(codes.SYNTAX, message, start, end, suggestion=f"did you mean `{plain}`?", replacement=plain)
    if float(text.replace("_", "")) == float("inf"):
        return Problem(codes.SYNTAX, f"the number `{text[:20]}` is too large", start, end)
    return None


def _ends_operand(token: Token) -> bool:
    if token.kind == "word":
        return token.text not in OPERATOR_WORDS and token.text != "not"
    return token.kind in ("text", "number") or token.text in (")", "]", "}")


def _misplaced(tokens: list[Token], source: str) -> list[Problem]:
    """The first token that cannot stand where it stands, the brackets that do not match, or depth."""
    opened: list[Token] = []
    prefixes = 0
    previous: Token | None = None
    for token in tokens:
        after_value = previous is not None and _ends_operand(previous)
        text = token.text
        problem: Problem | None = None
        if token.kind == "sign" and text in _CLOSING:
            if after_value and text in ("{", "${"):
                problem = _side_by_side(token)
            opened.append(token)
        elif token.kind == "sign" and text in (")", "]", "}"):
            problem = _closes(token, opened, previous)
        elif token.kind == "word" and previous is not None and previous.text == ".":
            pass
        elif token.kind in ("text", "number", "word") and _is_operand(token):
            problem = _side_by_side(token) if after_value and not _starts_word_operator(token, previous) else None
        elif not after_value and not (text == "in" and previous is not None and previous.text == "not"):
            problem = _without_left(token, previous, opened)
        prefixes = prefixes + 1 if _is_prefix(token) and not after_value else 0
        if len(opened) > MAX_DEPTH or prefixes > MAX_DEPTH:
            message = f"this expression is nested deeper than {MAX_DEPTH} levels"
            return [Problem(codes.LIMIT, message, token.start, token.end)]
        if problem is not None:
            return [problem]
        previous = token
    return _ending(previous, opened, source)


def _is_operand(token: Token) -> bool:
    return token.kind != "word" or token.text not in OPERATOR_WORDS


def _starts_word_operator(token: Token, previous: Token | None) -> bool:
    return token.text == "not" and token.kind == "word" and previous is not None


def _is_prefix(token: Token) -> bool:
    return token.text in ("-", "+", "not")


def _side_by_side(token: Token) -> Problem:
    shown = hints.short(token.text)
    mended = hints.other_words.get(token.text) if token.kind == "word" else None
    suggestion = f"did you mean `{mended}`?" if mended else None
    message = f"an operator or a comma is missing before `{shown}`"
    return Problem(codes.SYNTAX, message, token.start, token.end, suggestion=suggestion, replacement=mended)


def _closes(token: Token, opened: list[Token], previous: Token | None) -> Problem | None:
    if not opened:
        return Problem(codes.SYNTAX, f"`{token.text}` closes nothing", token.start, token.end)
    opener = opened.pop()
    if _CLOSING[opener.text] != token.text:
        message = f"`{opener.text}` is closed by `{token.text}`"
        fix = f"close it with `{_CLOSING[opener.text]}`"
        return Problem(codes.UNTERMINATED, message, opener.start, opener.end, suggestion=fix)
    if (
        previous is not None
        and not _ends_operand(previous)
        and previous is not opener
        and previous.text not in (",", ":")
    ):
        return _nothing_after(previous)
    if previous is opener and token.text == "}" and opener.text == "${":
        return Problem(codes.SYNTAX, "`${}` holds no expression", opener.start, token.end)
    return None


def _without_left(token: Token, previous: Token | None, opened: list[Token]) -> Problem | None:
    """`token` is an operator, a comma, a colon or a dot, and no value stands before it."""
    text = token.text
    if text in ("-", "+"):
        return None
    if text == ":" and opened and opened[-1].text == "[" and previous is not None and previous.text in ("[", ":"):
        return None
    if text == "*" and previous is not None and previous.text in ("(", ",", "["):
        return Problem(
            codes.FORM, "`*` cannot spread a list here", token.start, token.end, suggestion="join lists with `+`"
        )
    if previous is None or previous.text in _CLOSING or previous.text in (",", ":"):
        return Problem(codes.SYNTAX, f"`{text}` has nothing on its left", token.start, token.end)
    return Problem(
        codes.SYNTAX, f"`{previous.text}` is followed by `{text}`: a value is missing", previous.start, token.end
    )


def _nothing_after(token: Token) -> Problem:
    return Problem(codes.SYNTAX, f"`{token.text}` has nothing on its right", token.start, token.end)


def _ending(last: Token | None, opened: list[Token], source: str) -> list[Problem]:
    if last is None:
        return [Problem(codes.SYNTAX, "an expression is missing", 0, len(source))]
    if opened:
        opener = opened[-1]
        fix = f"close it with `{_CLOSING[opener.text]}`"
        return [
            Problem(codes.UNTERMINATED, f"`{opener.text}` is never closed", opener.start, opener.end, suggestion=fix)
        ]
    if not _ends_operand(last):
        return [_nothing_after(last)]
    return []


def prepared(source: str, tokens: list[Token]) -> str:
    """`source`, character for character as long, as Python's parser can read it.

    `${` becomes a parenthesis, `true` becomes `True`, and a word after a dot becomes a harmless one.
    """
    pieces: list[str] = []
    at = 0
    closes: list[str] = []
    previous = ""
    for kind, text, start, end in tokens:
        pieces.append(" " * (start - at))
        if kind == "word":
            text = "x" * len(text) if previous == "." else CONSTANT_WORDS.get(text, text)
        elif kind == "sign" and text in _CLOSING:
            closes.append("( " if text == "${" else text)
            text = closes[-1]
        elif kind == "sign" and text == "}" and closes:
            text = ")" if closes.pop() == "( " else "}"
        elif kind == "sign" and text in (")", "]") and closes:
            closes.pop()
        pieces.append(text)
        previous = text
        at = end
    return "".join(pieces)
