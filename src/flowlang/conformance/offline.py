"""A plugin looked at in a fresh process: its driver cannot be imported there and no socket can be opened.

python -m flowlang.conformance.offline      reads a question as JSON, prints what it saw as JSON
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from flowlang.records import frozen

if TYPE_CHECKING:
    from flowlang.conformance.calls import Steps
    from flowlang.conformance.subject import Subject
    from flowlang.connections.base import ConnectionPlugin

_LIMIT = 60  # seconds
_KEPT: WeakKeyDictionary[type[ConnectionPlugin], Sight] = WeakKeyDictionary()


@frozen
class Sight:
    """What the fresh process saw. `problem`: why the module or its metadata could not be read, empty when it could.

    `deeds`: what importing it did beside defining things; `cpu`: seconds of processor time that took; `failure`: how a
    flow that opens the connection ends without the driver, as a record.
    """

    problem: str = ""
    deeds: tuple[str, ...] = ()
    cpu: float = 0.0
    tasks: tuple[str, ...] = ()
    failure: Mapping[str, Any] | None = None


def sight_of(subject: Subject) -> Sight:
    """Look at the subject's plugin class; once for each class. Raises `Unproven` when it cannot be found by name."""
    from flowlang.conformance.model import Unproven

    kind = subject.plugin
    if kind in _KEPT:
        return _KEPT[kind]
    found: Any = sys.modules.get(kind.__module__)
    for part in kind.__qualname__.split("."):
        found = getattr(found, part, None)
    if _service_file(kind) is None and (kind.__module__ == "__main__" or found is not kind):
        raise Unproven(f"the class cannot be imported as {kind.__module__}:{kind.__qualname__}")
    done = subprocess.run(
        [sys.executable, "-m", "flowlang.conformance.offline"],
        input=json.dumps(_question(subject), default=str), capture_output=True, text=True, timeout=_LIMIT, check=False,
        env=_environment(),
    )  # fmt: skip
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        answer = {"problem": f"importing it ended the process ({done.returncode}): {done.stderr[-300:].strip()}"}
    lists = {key: tuple(answer.get(key, ())) for key in ("deeds", "tasks")}
    _KEPT[kind] = Sight(answer.get("problem", ""), cpu=answer.get("cpu", 0.0), failure=answer.get("failure"), **lists)
    return _KEPT[kind]


def _service_file(kind: type[ConnectionPlugin]) -> str | None:
    """The file that describes the plugin, when it is a service."""
    import os

    service = getattr(kind, "service", None)
    return os.path.abspath(service.file) if service is not None else None


def _environment() -> dict[str, str]:
    import os

    home = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, os.pardir))
    return {**os.environ, "PYTHONPATH": os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])}


def _question(subject: Subject) -> dict[str, Any]:
    from flowlang.conformance.subject import flow_text

    kind = subject.plugin
    parents = kind.__module__.split(".")[:-1]
    packages = {".".join(parents[: end + 1]): None for end in range(len(parents))}
    paths = {name: list(getattr(sys.modules[name], "__path__", [])) for name in packages if name in sys.modules}
    return {
        "path": sys.path,
        "packages": paths,
        "module": kind.__module__,
        "class": kind.__qualname__,
        "service": _service_file(kind),
        "absent": subject.prototype.get_dependencies(),
        "blocked": driver_modules(subject.prototype.get_dependencies()),
        "flow": flow_text(kind.name, subject.config, _first_step(subject)),
    }


def _first_step(subject: Subject) -> Steps:
    """A call, where the author stated one: some plugins need their driver only then."""
    from flowlang.conformance.calls import Steps
    from flowlang.conformance.subject import NAME

    steps = Steps(NAME)
    if subject.operations.read is not None:
        steps.add(subject.operations.read)
    return steps


def driver_modules(dependencies: Sequence[str]) -> list[str]:
    """The top-level modules of the distributions that a plugin needs, or gets by them, and FlowLang itself does not."""
    from importlib import metadata

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    names = {canonicalize_name(each) for each in _brought(dependencies)}
    own = {
        canonicalize_name(Requirement(each).name) for each in metadata.requires("flowlang") or () if "extra" not in each
    }
    return sorted({module for name in names - own for module in _modules(name)})


def _modules(name: str) -> set[str]:
    """The top-level modules of a distribution, by its own list or by its files; none when it is not installed. Asking
    `packages_distributions()` would read the file lists of all that is installed."""
    from importlib import metadata

    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return set()
    if stated := distribution.read_text("top_level.txt"):
        return set(stated.split())
    files = [each for each in distribution.files or () if each.suffix in (".py", ".so", ".pyd")]
    tops = {each.parts[0] if len(each.parts) > 1 else each.name.partition(".")[0] for each in files}
    return {each for each in tops if each.isidentifier()}


def _brought(requirements: Sequence[str]) -> Iterator[str]:
    """The distributions that are asked for, and those that each brings along."""
    from importlib import metadata

    from packaging.requirements import InvalidRequirement, Requirement

    for each in requirements:
        try:
            name = Requirement(each).name
            yield name
            yield from (Requirement(other).name for other in metadata.requires(name) or () if "extra" not in other)
        except (InvalidRequirement, metadata.PackageNotFoundError):
            continue  # another check tells of it


# ---------------------------------------------------------------- in the fresh process


class Blocker:
    """Finds no module of a driver, as if it were not installed."""

    def __init__(self, blocked: Sequence[str]) -> None:
        self._blocked = frozenset(blocked)

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self._blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


class _Witness:
    """Hears of what the process does. While `watching` it notes deeds; sockets are refused throughout."""

    _DEEDS: Mapping[str, str] = {
        "socket.bind": "it opens a socket",
        "socket.getaddrinfo": "it resolves a name",
        "subprocess.Popen": "it starts a process",
        "os.system": "it starts a process",
        "os.mkdir": "it makes a folder",
        "os.remove": "it deletes a file",
    }

    def __init__(self) -> None:
        self.watching = False
        self.deeds: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            if self.watching:
                self.deeds.append("it opens a socket")
            raise PermissionError("no sockets here")
        if not self.watching:
            return
        if event in self._DEEDS:
            self.deeds.append(self._DEEDS[event])
        elif event == "open" and _writes(arguments) and "__pycache__" not in str(arguments[0]):
            self.deeds.append(f"it writes {arguments[0]}")


def _writes(arguments: tuple[Any, ...]) -> bool:
    import os

    _, mode, flags = arguments
    if isinstance(mode, str):
        return any(each in mode for each in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))


def seen(question: Mapping[str, Any]) -> dict[str, Any]:
    """The answer, made in this very process: it must be a fresh one."""
    sys.path[:] = question["path"]
    import importlib
    import threading
    import time

    import flowlang.connections.config
    import flowlang.tasks.signature  # noqa: F401 - the host's own share of the cost
    from flowlang.connections._capture import captured
    from flowlang.connections.errors import describe

    witness = _Witness()
    sys.addaudithook(witness)
    sys.meta_path.insert(0, Blocker(question["blocked"]))
    try:
        for package, path in question["packages"].items():
            importlib.import_module(package).__path__ = path
    except Exception as error:  # noqa: BLE001 - a stranger's package: what it raises is what is reported
        return {"problem": f"importing its package without the driver fails: {describe(error)}"}
    _hide(question["absent"])
    threads = set(threading.enumerate())
    with captured() as output:
        witness.watching, began = True, time.process_time()
        try:
            found: Any = importlib.import_module(question["module"])
            if question["service"]:
                from flowlang.services.files import plugin

                found = plugin(question["service"])
        except BaseException as error:  # noqa: BLE001 - as above
            return {"problem": f"importing it without the driver fails: {describe(error)}"}
        finally:
            witness.watching, cpu = False, time.process_time() - began
    deeds = witness.deeds + [f"it starts the thread {each.name!r}" for each in set(threading.enumerate()) - threads]
    if output.text.strip():
        deeds.append(f"it prints {output.text.strip()[:80]!r}")
    for part in question["class"].split(".") if not question["service"] else ():
        found = getattr(found, part)
    return {**_metadata(found, question["flow"]), "deeds": deeds, "cpu": cpu}


def _hide(requirements: Sequence[str]) -> None:
    """From now on none of these distributions counts as installed."""
    from importlib import metadata

    from flowlang.connections.dependencies import forget, look_up

    there, names = metadata.version, {look_up(each).name for each in requirements}

    def version(distribution_name: str) -> str:
        if distribution_name in names:
            raise metadata.PackageNotFoundError(distribution_name)
        return there(distribution_name)

    metadata.version = version
    forget()


def _metadata(kind: Any, flow: str) -> dict[str, Any]:
    from flowlang import api
    from flowlang.connections.dependencies import dependencies
    from flowlang.connections.errors import describe
    from flowlang.connections.registry import PluginRegistry

    registry = PluginRegistry(discover=False)
    try:
        registry.register(kind)
        registry.info(kind.name)
        tasks = list(registry.tasks(kind.name))
        kind().scaffold_connection_config("it")
        dependencies(kind())
    except Exception as error:  # noqa: BLE001 - as above
        return {"problem": f"its metadata cannot be read without the driver: {describe(error)}"}
    result = api.run_sync(text=flow, registry=registry)
    return {"tasks": tasks, "failure": result.failure.as_value() if result.failure else None}


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(seen(json.load(sys.stdin)), default=str))
