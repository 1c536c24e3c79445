"""`PluginConformance`: the checks as tests of pytest, for the class of a plugin author.

class TestAcme(PluginConformance):
    plugin = AcmePlugin

    @pytest.fixture
    def config(self):
        return {"url": "acme://localhost:7000"}
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import pytest

from flowlang.conformance.calls import Operations
from flowlang.conformance.model import GROUPS, TIERS, Check
from flowlang.conformance.runner import carried_out, checked_capabilities, selected
from flowlang.conformance.subject import Config, Subject
from flowlang.connections.base import ConnectionPlugin

GIVEN = pytest.StashKey[Config]()
"""Settings that count more than those of the fixture: of the real service, for `flowlang plugin test --set`."""
PROPERTY = "flowlang-conformance"
"""The name under which a test reports its outcome, as plain values."""


def with_given(plugin: type[ConnectionPlugin], config: Config, given: Config) -> Config:
    """`config` with `given` in place, whose texts become what the schema wants."""
    from flowlang.connections.config import coerce, schema_of

    return {**config, **coerce(schema_of(plugin()), given, {(name,) for name in given})[0]}


class PluginConformance:
    """Inherit it in a class `Test…`, set `plugin`, and write the fixture `config`. Each check becomes a test.

    `capabilities`: what the plugin is without → the reason. `operations`: further calls. `settings`: further
    attributes of the `Subject`. `tiers` and `groups` choose checks; to choose none is an error.
    """

    plugin: ClassVar[type[ConnectionPlugin]]
    capabilities: ClassVar[Mapping[str, str]] = {}
    operations: ClassVar[Operations] = Operations()
    settings: ClassVar[Mapping[str, Any]] = {}
    tiers: ClassVar[Collection[str]] = TIERS
    groups: ClassVar[Collection[str]] = tuple(GROUPS)

    @pytest.fixture
    def config(self) -> Config:
        """A config that opens: write it in your class."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `config` with a config that opens")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """A test for each selected check."""
        kind = metafunc.cls
        if kind is None or "check" not in metafunc.fixturenames:
            return
        chosen = selected(kind.tiers, kind.groups)
        if not chosen:
            raise pytest.UsageError(f"{kind.__name__} selects no check: look at its `tiers` and `groups`")
        metafunc.parametrize("check", chosen, ids=[each.id for each in chosen])

    def test_conforms(self, check: Check, config: Config, request: pytest.FixtureRequest) -> None:
        given = request.config.stash.get(GIVEN, None)
        subject = Subject(self.plugin, with_given(self.plugin, config, given) if given else config, self.operations)
        for name, value in self.settings.items():
            setattr(subject, name, value)
        outcome = carried_out(check, subject, checked_capabilities(self.capabilities))
        told = {"plugin": self.plugin.name, "check": check.id, "status": outcome.status, "reason": outcome.reason}
        request.node.user_properties.append((PROPERTY, told))
        if outcome.status == "failed":
            pytest.fail(outcome.message, pytrace=False)
        if outcome.status in ("waived", "skipped"):
            pytest.skip(f"{outcome.status}: {outcome.reason}")
