"""What can be seen to be wrong without opening anything."""

from __future__ import annotations

from typing import Any

from tests.conformance.double.provider import LineKVPlugin
from tests.conformance.mutants import catches

from flowlang.tasks.decorator import task


def altered(schema: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """`schema` with further or changed settings; None takes one out."""
    merged = {**schema["properties"], **properties}
    return {**schema, "properties": {name: each for name, each in merged.items() if each is not None}}


@catches("static/schema-valid")
class SchemaInvalid(LineKVPlugin):
    def get_config_schema(self) -> dict[str, Any]:
        return altered(super().get_config_schema(), label={"type": "txt", "description": "x", "default": ""})


@catches("static/schema-closed")
class OpenSchema(LineKVPlugin):
    def get_config_schema(self) -> dict[str, Any]:
        options = {"type": "object", "additionalProperties": True, "properties": {"fast": {"type": "boolean"}}}
        return altered(super().get_config_schema(), options={**options, "default": {}, "description": "More"})


@catches("static/properties-described")
class Undescribed(LineKVPlugin):
    def get_config_schema(self) -> dict[str, Any]:
        return altered(super().get_config_schema(), label={"type": "string", "default": ""})


@catches("static/properties-settled")
class Unsettled(LineKVPlugin):
    def get_config_schema(self) -> dict[str, Any]:
        return altered(super().get_config_schema(), depth={"type": "integer", "minimum": 0, "description": "How deep"})


@catches("static/defaults-fit")
class DefaultUnfit(LineKVPlugin):
    def get_config_schema(self) -> dict[str, Any]:
        depth = {"type": "integer", "minimum": 1, "default": 0, "description": "Levels"}
        return altered(super().get_config_schema(), depth=depth)


@catches("static/secrets-marked")
class SecretUnmarked(LineKVPlugin):
    def get_config_schema(self) -> dict[str, Any]:
        return altered(super().get_config_schema(), pin={"type": "string", "default": "", "description": "Of the card"})


@catches("static/metadata-complete")
class OddVersion(LineKVPlugin):
    version = "the first"


class Misdocumented(LineKVPlugin):
    @task(effect="read")
    async def task_get(self, key: str, connection: Any = None) -> Any:
        """Read a value.

        Args:
            key: its name
            default: what it is when there is none
        """
        return {"value": await self.ask(connection, "GET", key=key)}


catches("static/parameters-match")(Misdocumented)


@catches("static/parameters-described")
class Untold(LineKVPlugin):
    @task(effect="read")
    async def task_wait(self, seconds, connection: Any = None) -> Any:  # type: ignore[no-untyped-def]
        """Let the server take its time.

        Args:
            seconds: how long
        """
        return {"value": await self.ask(connection, "SLOW", seconds=seconds)}


@catches("static/outputs-declared")
class Undeclared(LineKVPlugin):
    @task(effect="read")
    async def task_get(self, key: str, connection: Any = None) -> dict[str, Any]:
        """Read a value.

        Args:
            key: its name
        """
        return {"value": await self.ask(connection, "GET", key=key)}


@catches("static/task-names")
class OddNames(LineKVPlugin):
    def get_builtin_tasks(self) -> Any:
        return {**super().get_builtin_tasks(), "kv_length": self.task_all}


@catches("static/effects-stated")
class EffectUnstated(LineKVPlugin):
    @task
    async def task_space(self, connection: Any = None) -> Any:
        """The space of this handle."""
        return {"value": await self.ask(connection, "SPACE")}


@catches("static/entry-point")
class Misnamed(LineKVPlugin):
    """Its package names it `line-kv` (see `installed` in the tests)."""


@catches("static/requires-flowlang")
class Unrelated(LineKVPlugin):
    """Its package does not say that it needs flowlang."""


@catches("static/dependencies-valid")
class OddDependency(LineKVPlugin):
    def get_dependencies(self) -> list[str]:
        return ["linekv client at least 1"]


@catches("static/dependencies-bounded")
class UnboundedDependency(LineKVPlugin):
    def get_dependencies(self) -> list[str]:
        return ["linekv-client"]
