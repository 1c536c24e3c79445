"""The conformance kit over services described in YAML, against the servers of the three APIs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.services.conftest import config as settings
from tests.services.conftest import shipped
from tests.services.servers import KINDS, serving
from tests.services.stated import CAPABILITIES, OPERATIONS, SETTINGS

from flowlang.services.files import plugin
from flowlang.testing import PluginConformance


class OfService(PluginConformance):
    """The tests of one of the shipped services."""

    tiers = ("contract",)

    def __init_subclass__(cls, service: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.service, cls.plugin, cls.operations = service, plugin(shipped(service)), OPERATIONS[service]
        cls.capabilities, cls.settings = CAPABILITIES[service], SETTINGS

    service: str

    @pytest.fixture
    def config(self) -> Iterator[dict[str, Any]]:
        with serving(KINDS[self.service][0]()) as api:
            yield settings(self.service, api)


@pytest.mark.long
class TestAirtable(OfService, service="airtable"): ...


@pytest.mark.long
class TestGithub(OfService, service="github"): ...


@pytest.mark.long
class TestSlack(OfService, service="slack"): ...
