"""What a run is given on the command line: `-i`, `--inputs`, `--secrets`. What is wrong with them becomes findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from flowlang.diagnostics import Diagnostic, Position, Span, code, visible

UNUSABLE_FILE = code(
    "unusable-file",
    """A file given with `--inputs` or `--secrets` cannot be used.

`--inputs` wants one JSON object of values by the inputs' names, from a file or (`-`) from stdin:

    {"day": "2026-11-23", "limit": 5}

`--secrets` wants lines `NAME=value`, or a YAML mapping of names to texts in a file that ends in `.yaml`.
""",
)
_LARGEST = 64 * 1024 * 1024


def pairs(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """`-i name=value` as a mapping; the value may hold further `=`."""
    found: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"expected name=value, got {visible(each)!r}", ctx, param)
        if name in found:
            raise click.BadParameter(f"`{visible(name)}` is given twice", ctx, param)
        found[name] = value
    return found


def input_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that takes inputs: `texts` and `inputs_file`."""
    options = (
        click.option(
            "--inputs", "inputs_file", metavar="FILE|-", help="Inputs as a JSON object, from a file or stdin."
        ),
        click.option(
            "-i", "--input", "texts", metavar="NAME=VALUE", multiple=True, callback=pairs,
            help="An input, read by its declared type; may be repeated. Wins over --inputs.",
        ),
    )  # fmt: skip
    for each in options:
        command = each(command)
    return command


def typed(inputs: Iterable[Any], texts: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values that the texts mean by the types of a plan's `inputs`, and why some mean none.

    Such a text stays a text: the run refuses it, together with everything else that is wrong.
    """
    from flowlang.engine.inputs import parse_text

    declared = {each.name: each for each in inputs}
    values: dict[str, Any] = dict(texts)
    reasons: dict[str, str] = {}
    for name, text in texts.items():
        if name in declared:
            try:
                values[name] = parse_text(declared[name], text)
            except (ValueError, RecursionError) as error:
                reasons[name] = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
    return values, reasons


def explained(findings: Sequence[Diagnostic], reasons: Mapping[str, str]) -> list[Diagnostic]:
    """The findings about inputs, with what was expected of the text."""
    told = []
    for each in findings:
        reason = next((reasons[name] for name in reasons if each.message.startswith(f"input `{name}` ")), None)
        told.append(replace(each, notes=(*each.notes, f"`-i` text: {reason}")) if reason else each)
    return told


def json_value(text: str) -> Any:
    """What a JSON text says. Raises `ValueError` for one that is none, or says something twice."""
    import json

    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg}, at character {error.pos + 1}") from None
    except ValueError as error:
        told = str(error)
        raise ValueError("a number in it is too long" if "integer string conversion" in told else told) from None


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text} is too large")
    return value


def json_inputs(path: str) -> tuple[dict[str, Any], list[Diagnostic]]:
    """The JSON object in a file, or on stdin when `path` is `-`."""
    import json

    name = "<stdin>" if path == "-" else path
    try:
        text = _read(path)
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        return {}, [_finding(name, f"not JSON: {error.msg}", error.lineno, error.colno)]
    except UnicodeDecodeError:
        return {}, [_finding(name, "not JSON: it is not UTF-8")]
    except OSError as error:
        return {}, [_finding(name, f"cannot be read: {(error.strerror or str(error)).lower()}")]
    except RecursionError:
        return {}, [_finding(name, "it is nested too deeply")]
    except ValueError as error:
        return {}, [_finding(name, str(error))]
    if not isinstance(value, dict):
        return {}, [_finding(name, "expected a JSON object of inputs by name")]
    return value, []


def _read(path: str) -> str:
    import sys

    if path == "-":
        raw = sys.stdin.buffer.read(_LARGEST + 1) if sys.stdin is not None else b""
    else:
        with open(path, "rb") as file:
            raw = file.read(_LARGEST + 1)
    if len(raw) > _LARGEST:
        raise ValueError(f"it is larger than {_LARGEST // 1024 // 1024} MiB")
    return raw.decode("utf-8-sig")


def _unique(entries: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in entries:
        if key in found:
            raise ValueError(f"the key `{visible(key)}` is there twice")
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not part of JSON")


def secrets_of(path: str) -> tuple[dict[str, str], list[Diagnostic]]:
    """The secrets in a dotenv or YAML file. No message holds a value."""
    from flowlang.secretstore import read_file

    try:
        return read_file(path), []
    except UnicodeDecodeError:
        return {}, [_finding(path, "it is not UTF-8")]
    except OSError as error:
        return {}, [_finding(path, f"cannot be read: {(error.strerror or str(error)).lower()}")]
    except ValueError as error:
        place, _, reason = str(error).partition(": ")
        line = place.rpartition(":")[2]
        return {}, [_finding(path, reason or str(error), int(line) if line.isdigit() else 1)]


def _finding(file: str, message: str, line: int = 1, column: int = 1) -> Diagnostic:
    span = Span(Position(line, column), Position(line, column + 1), file)
    return Diagnostic(UNUSABLE_FILE, f"`{file}`: {message}", span)
