"""The names that OpenTelemetry publishes, as its package for Python has them: attributes, their values, and metrics.

Each name is a constant with a text below it, which begins with `Deprecated` where the name is on its way out. What has
become stable is listed twice: as stable, and as deprecated in favour of that.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from inspect import getsource
from itertools import pairwise
from types import ModuleType

PLACES = ("opentelemetry.semconv", "opentelemetry.semconv._incubating")


def _modules(room: str) -> Iterator[ModuleType]:
    for place in PLACES:
        folder = importlib.import_module(f"{place}.{room}")
        for each in pkgutil.iter_modules(folder.__path__, f"{folder.__name__}."):
            yield importlib.import_module(each.name)


def _current(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """The values of constants, with the text below each; those that are deprecated left out."""
    for first, second in pairwise(body):
        if not isinstance(first, (ast.AnnAssign, ast.Assign)) or not isinstance(first.value, ast.Constant):
            continue
        if isinstance(second, ast.Expr) and isinstance(second.value, ast.Constant):
            text = str(second.value.value).strip()
            if not text.startswith("Deprecated: "):
                yield str(first.value.value), text


def _constants(room: str) -> dict[str, str]:
    """Those of all modules, without those that are said better elsewhere (`Deprecated in favor of stable …`)."""
    found = (pair for module in _modules(room) for pair in _current(ast.parse(getsource(module)).body))
    return {name: text for name, text in found if not text.startswith("Deprecated")}


@cache
def attributes() -> frozenset[str]:
    """Those that are not deprecated."""
    return frozenset(_constants("attributes"))


@cache
def values(attribute: str) -> frozenset[str] | None:
    """What the value of an attribute may be; None where nothing is listed."""
    listed = "".join(part.title() for part in attribute.replace(".", "_").split("_")) + "Values"
    trees = [ast.parse(getsource(module)).body for module in _modules("attributes") if hasattr(module, listed)]
    kinds = [each for tree in trees for each in tree if isinstance(each, ast.ClassDef) and each.name == listed]
    return frozenset(value for kind in kinds for value, _ in _current(kind.body)) if kinds else None


@cache
def metrics() -> dict[str, tuple[str, str]]:
    """The instrument and the unit of each metric that is not deprecated."""
    found = {}
    for name, text in _constants("metrics").items():
        stated = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        found[name] = (stated["Instrument"], stated["Unit"])
    return found
