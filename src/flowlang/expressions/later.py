"""Functions that are compiled when they are first called.

A check needs types and findings, never code, and a run seldom comes by every step. So an evaluator begins as a real
function with a stub for its code. The first call puts the true code in the place of the stub and goes on with that;
from then on nothing tells it from a function that was compiled at once, so a run pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from types import CodeType, FunctionType
from typing import Any, NamedTuple
from weakref import ref


class Compiled(NamedTuple):
    """The code of a function. `objects` are what it takes from its third parameter, a list, from place 1 on; `about`
    are the function's attributes."""

    code: CodeType
    objects: list[object]
    about: dict[str, object]


_STUB: CodeType = (lambda f, x, c: c[0](f, x)).__code__
_LOCK = Lock()


def deferred(make: Callable[[], Compiled], names: dict[str, Any], name: str) -> FunctionType:
    """A function `(f, x)` over the globals `names`, made by `make` when it is called."""
    first = _First(make)
    function = FunctionType(_STUB, names, name, ([first],))
    first.function = ref(function)  # not the function itself, which would be a circle
    return function


def put(made: Compiled, function: FunctionType) -> None:
    """Give `function` its code. What it has as its third parameter is added to, and never exchanged: a thread may just
    have called the stub."""
    (given,) = function.__defaults__ or ([],)
    given.extend(made.objects)
    function.__dict__.update(made.about)
    function.__qualname__ = function.__name__
    function.__code__ = made.code


class _First:
    """What a function does when it is called for the first time."""

    __slots__ = ("function", "make")

    def __init__(self, make: Callable[[], Compiled]) -> None:
        self.make: Callable[[], Compiled] | None = make
        self.function: Callable[[], FunctionType | None]

    def __call__(self, f: Any, x: Any) -> Any:
        function = self.function()
        assert function is not None, "whoever calls it holds it"
        with _LOCK:
            if self.make is not None:
                put(self.make(), function)
                self.make = None
        return function(f, x)
