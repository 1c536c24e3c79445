"""Users' own task files: read as text for the check, imported only for a run.

`read_tasks` never runs anything of the file: it finds the functions marked with `@task` in the syntax tree and
understands their hints as far as names can be followed inside the file. What it cannot follow is `any`.
"""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, get_args

from flowlang.exceptions import PluginError
from flowlang.expressions import types as t
from flowlang.expressions.types import Type
from flowlang.tasks import docstring
from flowlang.tasks._asthints import Hint, Hints, literal
from flowlang.tasks.spec import REQUIRED, Effect, Parameter, TaskSpec

LARGEST = 1024 * 1024
"""Characters of a task file that are read."""

_TASK = frozenset({"flowlang.task", "flowlang.tasks.task", "flowlang.tasks.decorator.task"})
_STAMP = "__flowlang_stamp__"  # of the file a module was made from
_INJECTED = frozenset({"connection", "context"})


def read_tasks(source: str | Path, label: str) -> tuple[list[TaskSpec], list[str]]:
    """The tasks of a Python file, without running it.

    `source` is the file's text, or its path. `label` names the file in specs and problems. Problems are lines of
    text, `label:line: what`; the tasks they do not concern are given all the same.
    """
    try:
        text = source.read_text(encoding="utf-8-sig") if isinstance(source, Path) else source
    except OSError as error:
        return [], [f"{label}: cannot be read: {error.strerror}"]
    except UnicodeDecodeError as error:
        return [], [f"{label}: is no UTF-8 text: {error.reason}"]
    if len(text) > LARGEST:
        return [], [f"{label}: is larger than {LARGEST // 1024} KiB"]
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        return [], [f"{label}:{error.lineno or 1}: {error.msg}"]
    except (ValueError, RecursionError, MemoryError) as error:
        return [], [f"{label}: cannot be parsed: {str(error) or type(error).__name__}"]
    reader = _Reader(label)
    try:
        reader.read(tree)
    except RecursionError:
        reader.problems.append(f"{label}: is nested too deeply")
    return reader.tasks, reader.problems


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those under `if` and `try` among them."""
    for each in body:
        yield each
        for name in ("body", "orelse", "finalbody"):
            if isinstance(each, (ast.If, ast.Try, ast.With)):
                yield from _statements(getattr(each, name, []))
        if isinstance(each, ast.Try):
            for handler in each.handlers:
                yield from _statements(handler.body)


@dataclass(slots=True)
class _Reader:
    """Reads one file."""

    label: str
    tasks: list[TaskSpec] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    hints: Hints = field(default_factory=Hints)

    def read(self, tree: ast.Module) -> None:
        statements = list(_statements(tree.body))
        for each in statements:
            if isinstance(each, (ast.Import, ast.ImportFrom)):
                self.hints.learn(each)
            elif isinstance(each, ast.ClassDef):
                self.hints.classes[each.name] = each
        for each in statements:
            if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self._function(each)
            elif isinstance(each, ast.ClassDef):
                self._methods(each)

    def problem(self, node: ast.expr | ast.stmt | ast.arg, message: str) -> None:
        self.problems.append(f"{self.label}:{node.lineno}: {message}")

    # ── functions ───────────────────────────────────────────────────────────────────────────────────────────

    def _methods(self, owner: ast.ClassDef) -> None:
        for each in owner.body:
            if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)) and self._mark(each) is not None:
                self.problem(each, f"`{each.name}` is a method of `{owner.name}`: a task is a function of the module")

    def _mark(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.expr | None:
        """The decorator that makes a function a task."""
        for each in function.decorator_list:
            if self.hints.dotted(each.func if isinstance(each, ast.Call) else each) in _TASK:
                return each
        return None

    def _function(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        mark = self._mark(function)
        if mark is None:
            return
        options = self._options(mark)
        name = options.get("name") or function.name
        if any(each.name == name for each in self.tasks):
            self.problem(function, f"there are two tasks `{name}`: give one of them another `name`")
            return
        self.tasks.append(self._spec(name, function, options))

    def _options(self, mark: ast.expr) -> dict[str, Any]:
        """What `@task(…)` was told, as far as it is right."""
        allowed: dict[str, Callable[[object], bool]] = {
            "name": lambda value: value is None or (isinstance(value, str) and value.isidentifier()),
            "effect": lambda value: value is None or value in get_args(Effect),
            "idempotent": lambda value: value is None or isinstance(value, bool),
            "stream": lambda value: isinstance(value, str) and value.isidentifier(),
        }
        found: dict[str, Any] = {}
        for keyword in mark.keywords if isinstance(mark, ast.Call) else []:
            if keyword.arg not in allowed:
                self.problem(keyword.value, f"`@task` has no option `{keyword.arg}`; it has {', '.join(allowed)}")
                continue
            try:
                value = ast.literal_eval(keyword.value)
            except (ValueError, TypeError, SyntaxError):
                self.problem(keyword.value, f"`{keyword.arg}` of `@task` must be a literal")
                continue
            if allowed[keyword.arg](value):
                found[keyword.arg] = value
            else:
                self.problem(keyword.value, f"`{keyword.arg}` of `@task` cannot be {value!r}")
        return found

    def _spec(
        self, name: str, function: ast.FunctionDef | ast.AsyncFunctionDef, options: Mapping[str, Any]
    ) -> TaskSpec:
        words = docstring.read(ast.get_docstring(function))
        parameters = tuple(self._parameters(function, words.arguments))
        streams = isinstance(function, ast.AsyncFunctionDef) and _yields(function)
        outputs = self._outputs(function, streams, options.get("stream", "rows"))
        return TaskSpec(
            name=name,
            parameters=tuple(each for each in parameters if each.name not in _INJECTED),
            outputs=outputs,
            summary=words.summary,
            description=words.description,
            example=words.example,
            effect=options.get("effect"),
            idempotent=options.get("idempotent"),
            injects=frozenset(each.name for each in parameters if each.name in _INJECTED),
            streams=streams,
            is_async=isinstance(function, ast.AsyncFunctionDef),
            extra=function.args.kwarg is not None,
            origin=self.label,
            returns=MappingProxyType({key: words.returns[key] for key in outputs or () if key in words.returns}),
        )

    def _parameters(
        self, function: ast.FunctionDef | ast.AsyncFunctionDef, described: Mapping[str, str]
    ) -> Iterator[Parameter]:
        given = function.args
        for each in given.posonlyargs:
            self.problem(each, f"`{function.name}` takes `{each.arg}` by position only: a flow gives names")
        padding: list[ast.expr | None] = [None] * (len(given.posonlyargs) + len(given.args) - len(given.defaults))
        defaults = [*padding, *given.defaults][len(given.posonlyargs) :]
        for argument, default in [*zip(given.args, defaults), *zip(given.kwonlyargs, given.kw_defaults)]:
            hint = Hint() if argument.annotation is None else self.hints.hint(argument.annotation)
            yield Parameter(
                name=argument.arg,
                type=hint.type.or_null() if isinstance(default, ast.Constant) and default.value is None else hint.type,
                default=REQUIRED if default is None else literal(default),
                description=described.get(argument.arg, ""),
                form=hint.form,
                secret=hint.secret,
                keeps=hint.keeps,
                choices=hint.choices,
            )

    def _outputs(
        self, function: ast.FunctionDef | ast.AsyncFunctionDef, streams: bool, stream: str
    ) -> Mapping[str, Type] | None:
        returned = None if function.returns is None else self.hints.hint(function.returns).type
        if streams:
            known = returned is not None and returned.kind == "stream"
            return MappingProxyType({stream: returned if known and returned is not None else t.stream(t.ANY)})
        if returned is not None and returned.kind == "null":
            return MappingProxyType({})
        return returned.fields if returned is not None and returned.kind == "object" else None


def _yields(function: ast.AsyncFunctionDef) -> bool:
    """Whether the function itself yields; a function inside it does not count."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            waiting.extend(ast.iter_child_nodes(node))
    return False


# ── running them ────────────────────────────────────────────────────────────────────────────────────────────────


_LOADING = threading.Lock()


def load_tasks(path: str | Path) -> dict[str, Callable[..., Any]]:
    """Import a task file and give its tasks by name. This runs the file's code, once for as long as it is unchanged.

    A file of a package is imported as part of it. Any other is a module of its own, whatever other files are
    called; while it is imported its folder is searched for further modules, and only then.

    Raises PluginError: the file cannot be imported (with the line), or two tasks have one name.
    """
    file = Path(path).resolve()
    try:
        status = file.stat()
    except OSError as error:
        raise PluginError(f"{path}: cannot be read: {error.strerror}") from error
    with _LOADING:
        module = _of_package(file) or _on_its_own(file, (status.st_ino, status.st_mtime_ns, status.st_size))
    return _tasks_of(module, file)


def _on_its_own(file: Path, stamp: tuple[int, ...]) -> ModuleType:
    import hashlib
    import importlib.util

    name = f"flowlang_tasks_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:16]}"
    known = sys.modules.get(name)
    if known is not None and getattr(known, _STAMP, None) == stamp:
        return known
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PluginError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and forward references look their module up there
    try:
        with _first_on_path(file.parent):
            spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name, None)
        if isinstance(error, (Exception, SystemExit)):
            raise PluginError(_failed(file, error)) from error
        raise
    setattr(module, _STAMP, stamp)
    return module


def _of_package(file: Path) -> ModuleType | None:
    """The module of a file inside a package, unless another package has its name already."""
    import importlib

    root = file.parent
    if not (root / "__init__.py").is_file():
        return None
    while (root / "__init__.py").is_file():
        root = root.parent
    parts = file.relative_to(root).with_suffix("").parts
    name = ".".join(parts[:-1] if file.name == "__init__.py" else parts)
    try:
        with _first_on_path(root):
            module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise PluginError(_failed(file, error)) from error
    origin = getattr(module, "__file__", None)
    return module if origin is not None and Path(origin).resolve() == file else None


@contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _failed(file: Path, error: BaseException) -> str:
    """`file:line: type: text`, with the last line of the file that was reached."""
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(file) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    where = f"{file}:{line}" if line else str(file)
    return f"{where}: cannot be imported: {type(error).__name__}: {error}"


def _tasks_of(module: ModuleType, path: Path) -> dict[str, Callable[..., Any]]:
    from flowlang.tasks.decorator import ATTRIBUTE, options_of

    found: dict[str, Callable[..., Any]] = {}
    for attribute, value in vars(module).items():
        if not callable(value) or isinstance(value, type) or not _marked(value, ATTRIBUTE):
            continue
        if getattr(value, "__module__", module.__name__) != module.__name__:
            continue  # imported from elsewhere: that file names its own tasks
        name = options_of(value).name or str(getattr(value, "__name__", attribute))
        if name in found and found[name] is not value:
            raise PluginError(f"{path}: there are two tasks `{name}`: give one of them another `name`")
        found[name] = value
    return found


def _marked(value: Any, attribute: str) -> bool:
    """Whether `@task` was put on a function, or on one that other decorators wrap."""
    for _ in range(32):
        if hasattr(value, attribute):
            return True
        value = getattr(value, "__wrapped__", None)
        if value is None:
            return False
    return False
