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

    def test_conforms(self, check: Check, config: Config) -> None:
        subject = Subject(self.plugin, config, self.operations)
        for name, value in self.settings.items():
            setattr(subject, name, value)
        outcome = carried_out(check, subject, checked_capabilities(self.capabilities))
        if outcome.status == "failed":
            pytest.fail(outcome.message, pytrace=False)
        if outcome.status in ("waived", "skipped"):
            pytest.skip(f"{outcome.status}: {outcome.reason}")
