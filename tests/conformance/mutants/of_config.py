"""Settings that do not arrive, or are not looked at."""

from __future__ import annotations

from typing import Any

from tests.conformance.double.provider import LineKVPlugin
from tests.conformance.mutants import catches
from tests.conformance.mutants.of_static import altered


@catches("config/defaults-applied")
class TakesAway(LineKVPlugin):
    def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
        config.pop("pool_size", None)
        return True, None


@catches("config/missing-refused")
class NotRequired(LineKVPlugin):
    def get_config_schema(self) -> dict[str, Any]:
        schema = super().get_config_schema()
        del schema["anyOf"]
        return schema


@catches("config/wrong-type-refused")
class Untyped(LineKVPlugin):
    def get_config_schema(self) -> dict[str, Any]:
        return altered(super().get_config_schema(), user={"default": "flow", "description": "Account"})


@catches("config/range-refused")
class Unbounded(LineKVPlugin):
    def get_config_schema(self) -> dict[str, Any]:
        pool_size = {"type": "integer", "default": 4, "description": "Links"}
        return altered(super().get_config_schema(), pool_size=pool_size)


@catches("config/unknown-key-refused")
class TakesAnyKey(LineKVPlugin):
    def get_config_schema(self) -> dict[str, Any]:
        return {**super().get_config_schema(), "additionalProperties": True}


@catches("config/env-coerced")
class NumberOrText(LineKVPlugin):
    def get_config_schema(self) -> dict[str, Any]:
        pool_size = {"type": ["integer", "string"], "minimum": 1, "default": 4, "description": "Links"}
        return altered(super().get_config_schema(), pool_size=pool_size)

    async def connect(self, config: dict[str, Any]) -> Any:
        return await super().connect({**config, "pool_size": int(config["pool_size"])})


@catches("config/problems-together")
class ChecksByHand(LineKVPlugin):
    """Its schema says nothing; it looks itself, and stops at the first thing."""

    def get_config_schema(self) -> dict[str, Any]:
        schema = super().get_config_schema()
        bare = {name: {k: v for k, v in each.items() if k == "default"} for name, each in schema["properties"].items()}
        return {**schema, "properties": bare}

    def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
        for name, each in config.items():
            wanted = int if name in ("port", "pool_size") else bool if name == "encrypted" else str
            if not isinstance(each, wanted):
                return False, f"{name} is wrong"
        return True, None


SHARED = {"default": 4}


@catches("config/config-owned")
class RemembersSettings(LineKVPlugin):
    def get_config_schema(self) -> dict[str, Any]:
        schema = super().get_config_schema()
        schema["properties"]["pool_size"]["default"] = SHARED["default"]
        return schema

    async def connect(self, config: dict[str, Any]) -> Any:
        SHARED["default"] = config["pool_size"]
        return await super().connect(config)


@catches("config/url-equals-fields")
class ForgetsPort(LineKVPlugin):
    def place(self, config: dict[str, Any]) -> tuple[str, int, str, str]:
        host, port, user, password = super().place(config)
        return host, port if "url" not in config else 7000, user, password


@catches("config/validation-total")
class Careless(LineKVPlugin):
    def validate_config(self, config: dict[str, Any]) -> Any:
        return bool(config["password"])
