"""The double, and the plugin known to FlowLang also where the package is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flowlang.connections import plugin_registry

from double import Service, serving
from flowlang_acme import AcmePlugin


@pytest.fixture
def service() -> Iterator[Service]:
    """An empty database."""
    with serving() as running, plugin_registry.registered(AcmePlugin):
        yield running


@pytest.fixture
def settings(service: Service) -> dict[str, Any]:
    """What a flow has to say to reach the double."""
    return {"database": service.database}
