"""What is written for users, and does not work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conformance.double import provider
from tests.conformance.double.provider import LineKVPlugin, Stored
from tests.conformance.mutants import catches

from flowlang.exceptions import ConnectionError
from flowlang.tasks.decorator import task

EXAMPLE = (Path(provider.__file__).parent / "example.yaml").read_text("utf-8")


@catches("scaffold/snippet-valid")
class SnippetWrong(LineKVPlugin):
    def scaffold_connection_config(self, name: str = "api", **kwargs: Any) -> str:
        return f"  {name}:\n    type: linekv\n    hostname: localhost\n    password: ${{env.LINEKV_PASSWORD}}\n"


@catches("scaffold/example-checks")
class ExampleWrong(LineKVPlugin):
    def scaffold_example_flow(self, output_dir: str, connection_name: str = "api", **kwargs: Any) -> Any:
        text = EXAMPLE.replace("linekv_get", "linekv_fetch").replace("kv:", f"{connection_name}:")
        Path(output_dir, "example.yaml").write_text(text.replace("connection: kv", f"connection: {connection_name}"))


@catches("scaffold/example-runs")
class ExampleFails(LineKVPlugin):
    def scaffold_example_flow(self, output_dir: str, connection_name: str = "api", **kwargs: Any) -> Any:
        text = EXAMPLE.replace("id: read, connection: kv, key: greeting", "id: read, connection: kv, key: salutation")
        text = text.replace("  kv:", f"  {connection_name}:").replace(
            "connection: kv", f"connection: {connection_name}"
        )
        Path(output_dir, "example.yaml").write_text(text)


@catches("scaffold/helpers-run")
class HelpersBroken(LineKVPlugin):
    def scaffold_task_helpers(self, output_dir: str, connection_name: str = "api", **kwargs: Any) -> Any:
        Path(output_dir, "helpers.py").write_text("from linekv import no_such_name\n")


@catches("scaffold/tasks-documented")
class Undocumented(LineKVPlugin):
    @task(effect="read")
    async def task_busy(self, connection: Any = None) -> provider.Counted:
        return {"count": await self.ask(connection, "RUNNING")}

    def get_builtin_tasks(self) -> Any:
        return {**super().get_builtin_tasks(), "linekv_busy": self.task_busy}


@catches("scaffold/docs-checked")
class ExampleOfAnother(LineKVPlugin):
    @task(effect="write", idempotent=True)
    async def task_put(self, key: str, value: Any, connection: Any = None) -> Stored:
        """Keep a value.

        Args:
            key: its name
            value: what to keep

        Example:
            - linekv_put: {id: keep, connection: kv, name: greeting, value: hello}
        """
        await self.ask(connection, "PUT", key=key, value=value)
        return {"key": key}


@catches("scaffold/removed-told")
class DriverUntold(LineKVPlugin):
    async def connect(self, config: dict[str, Any]) -> Any:
        try:
            import linekv  # noqa: F401
        except ImportError:
            raise ConnectionError("LineKV is not available") from None
        return await super().connect(config)
