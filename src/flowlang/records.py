"""Frozen, slotted records, made without the price of `dataclasses`.

`@frozen` means `@dataclass(frozen=True, slots=True)` and works with `dataclasses.replace` and `fields`. The standard
decorator compiles six functions for each class, which for the hundred records of this package is half of the time
that a small flow takes from start to end; here all records share five of them, and `__init__` is compiled when the
first record of a class is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")

if TYPE_CHECKING:
    from dataclasses import dataclass as frozen  # what type checkers know best
else:
    import dataclasses
    from dataclasses import MISSING, Field, FrozenInstanceError, field, fields

    def frozen(cls: type[T]) -> type[T]:
        """Make `cls` a frozen record of its annotated names. Its own methods, defaults and docstring stay."""
        inherited = {each.name: each for base in cls.__mro__[:0:-1] for each in _fields_of(base)}
        own = {name: _field(cls, name, hint) for name, hint in cls.__annotations__.items()}
        known = {**inherited, **own}
        namespace = {name: value for name, value in cls.__dict__.items() if name not in own}
        for unwanted in ("__dict__", "__weakref__"):
            namespace.pop(unwanted, None)
        namespace["__slots__"] = tuple(name for name in own if name not in inherited)
        namespace["__dataclass_fields__"] = known
        namespace["__compared__"] = tuple(name for name, each in known.items() if each.compare)
        namespace["__match_args__"] = tuple(name for name, each in known.items() if each.init)
        for name, shared in _SHARED.items():
            namespace.setdefault(name, shared)
        post = "__post_init__" in namespace

        def first(self: Any, *args: Any, **kwargs: Any) -> None:
            made.__init__ = _init(made, known, post=post)
            made.__init__(self, *args, **kwargs)

        namespace["__init__"] = first  # the real one is compiled when the first record is made; many never are
        made = type(cls)(cls.__name__, cls.__bases__, namespace)
        made.__qualname__ = cls.__qualname__
        return made

    def _fields_of(base: type) -> list[Any]:
        return list(base.__dict__.get("__dataclass_fields__", {}).values())

    def _field(cls: type, name: str, hint: str) -> Any:
        default = cls.__dict__.get(name, MISSING)
        made = default if isinstance(default, Field) else field(default=default)
        made.name, made.type, made._field_type = name, hint, _KIND  # noqa: SLF001 - as `dataclasses` fills them
        if made.kw_only is MISSING:
            made.kw_only = False
        return made

    def _init(made: type, known: dict[str, Any], *, post: bool) -> Any:
        """The one function that is worth compiling: it takes the fields in order and sets each.

        While it does so the record is one of an open twin class, since what forbids to set a field would cost as much
        for each as the rest of the function.
        """
        twin = {"__slots__": made.__dict__["__slots__"], "__setattr__": object.__setattr__}
        names: dict[str, Any] = {"_ABSENT": MISSING, "_closed": made, "_open": type("_Open", made.__bases__, twin)}
        names["_become"] = object.__dict__["__class__"].__set__
        parameters, lines = ["self"], [" _become(self, _open)"]
        for name, each in known.items():
            value = name
            if each.default is not MISSING:
                names[f"_d_{name}"] = each.default
                parameters.append(f"{name}=_d_{name}")
                value = name if each.init else f"_d_{name}"
            elif each.default_factory is not MISSING:
                names[f"_f_{name}"] = each.default_factory
                parameters.append(f"{name}=_ABSENT")
                value = f"_f_{name}() if {name} is _ABSENT else {name}" if each.init else f"_f_{name}()"
            elif each.init:
                parameters.append(name)
            else:
                continue  # `__post_init__` sets it
            if not each.init:
                parameters.pop()
            lines.append(f" self.{name} = {value}")
        lines.append(" self.__class__ = _closed")
        if post:
            lines.append(" self.__post_init__()")
        source = f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines)
        exec(source, names)  # noqa: S102 - the names are those of our own classes
        return names["__init__"]

    def _values(self: Any) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in self.__dataclass_fields__])

    def _compared(self: Any) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in self.__compared__])

    def _equal(self: Any, other: object) -> Any:
        return _compared(self) == _compared(other) if type(other) is type(self) else NotImplemented

    def _hash(self: Any) -> int:
        return hash(_compared(self))

    def _repr(self: Any) -> str:
        shown = [f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr]
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def _frozen(self: Any, name: str, value: object = None) -> None:
        raise FrozenInstanceError(f"cannot change field {name!r} of a record")

    def _state(self: Any) -> tuple[Any, ...]:
        return _values(self)

    def _restore(self: Any, state: tuple[Any, ...]) -> None:
        for name, value in zip(self.__dataclass_fields__, state):
            object.__setattr__(self, name, value)

    _KIND = dataclasses._FIELD  # noqa: SLF001 - the mark that `fields()` looks for
    _SHARED: dict[str, Any] = {
        "__eq__": _equal,
        "__hash__": _hash,
        "__repr__": _repr,
        "__setattr__": _frozen,
        "__delattr__": _frozen,
        "__getstate__": _state,
        "__setstate__": _restore,
    }

__all__ = ["frozen"]
