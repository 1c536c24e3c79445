"""A plugin written by the guide, word for word, passes the whole tier `contract`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.connections.conftest import guide, service, site, tree
from tests.connections.guide.service import KEY, Service

from flowlang.connections import ConnectionPlugin
from flowlang.testing import PluginConformance

__all__ = ["guide", "service", "site", "tree"]


class TestGuide(PluginConformance):
    tiers = ("contract",)
    plugin: ClassVar[Any] = None

    @pytest.fixture
    def config(self, guide: ConnectionPlugin, service: Service) -> dict[str, Any]:
        type(self).plugin = type(guide)
        return {"api_key": KEY, "base_url": service.url, "timeout": 5.0}


def test_what_the_guide_leaves_out_lowers_the_score_only(
    guide: ConnectionPlugin, service: Service, tmp_path: Path
) -> None:
    """Its quality is scored, and nothing in the report is without a reason."""
    from flowlang.testing import check_plugin

    report = check_plugin(type(guide), {"api_key": KEY, "base_url": service.url}, groups=("static", "scaffold"))
    assert 0.1 < report.score < 1
    assert all(each.reason for each in report.outcomes if each.status != "passed")
