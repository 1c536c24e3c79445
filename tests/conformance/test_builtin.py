"""The built-in plugins pass both tiers, against real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conformance import notes, subjects
from tests.conformance.subjects import Stated

from flowlang.testing import PluginConformance


class OfStated(PluginConformance):
    """The tests of one built-in plugin, from what is stated about it."""

    def __init_subclass__(cls, stated: Stated, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.plugin, cls.operations = stated.plugin, stated.operations
        cls.capabilities, cls.settings = stated.capabilities, stated.settings


class TestSqlite(OfStated, stated=subjects.SQLITE):
    @pytest.fixture
    def config(self, tmp_path: Path) -> dict[str, Any]:
        return subjects.SQLITE.configured(str(tmp_path / "it.db"))


class TestPostgres(OfStated, stated=subjects.POSTGRES):
    @pytest.fixture
    async def config(self, postgres_url: str) -> dict[str, Any]:
        return subjects.POSTGRES.configured(await subjects.postgres_account(postgres_url))


class TestMysql(OfStated, stated=subjects.MYSQL):
    @pytest.fixture
    async def config(self, mysql_url: str) -> dict[str, Any]:
        return subjects.MYSQL.configured(await subjects.mysql_account(mysql_url))


class TestRedis(OfStated, stated=subjects.REDIS):
    @pytest.fixture
    async def config(self, redis_url: str) -> dict[str, Any]:
        return subjects.REDIS.configured(await subjects.redis_account(redis_url))


class TestMongodb(OfStated, stated=subjects.MONGODB):
    @pytest.fixture
    def config(self, mongodb_url: str) -> dict[str, Any]:
        return subjects.MONGODB.configured(mongodb_url)


class TestHttp(OfStated, stated=subjects.HTTP):
    @pytest.fixture
    def config(self) -> Iterator[dict[str, Any]]:
        with notes.serving() as service:
            yield subjects.HTTP.configured(service.url)
