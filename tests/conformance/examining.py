"""One check carried out on the double or on one of its mutants."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.conformance.double.server import LineKV
from tests.conformance.double.stated import OPERATIONS, config_for
from tests.conformance.installed import NEEDS, install

from flowlang.conformance.model import Check, Outcome
from flowlang.conformance.runner import carried_out
from flowlang.conformance.subject import Subject
from flowlang.connections.base import ConnectionPlugin

PACKAGED = {"static/entry-point": {"name": "line-kv"}, "static/requires-flowlang": {"needs": ""}}


def examined(check: Check, kind: type[ConnectionPlugin], server: LineKV, *, flawed: bool) -> Outcome:
    """The outcome of `check`; what needs an installed package has one, `flawed` where the package is the mutant."""
    server.spaces.clear()
    config = config_for(server.port)
    if check.id == "secrets/url-clean":
        from urllib.parse import quote

        place = f"127.0.0.1:{server.port}"
        config = {"url": f"linekv://flow:{quote(config['password'], safe='')}@{place}"}
    subject = Subject(kind, config, OPERATIONS)
    subject.tls_config = {"encrypted": True}
    with packaged(check, kind, flawed=flawed):
        return carried_out(check, subject, {})


@contextmanager
def packaged(check: Check, kind: type[ConnectionPlugin], *, flawed: bool) -> Iterator[None]:
    """For the checks of packages: an installed one."""
    if check.id not in PACKAGED:
        yield
        return
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        install(Path(folder), kind, **{"needs": NEEDS, **(PACKAGED[check.id] if flawed else {})})
        patch.syspath_prepend(folder)
        yield
