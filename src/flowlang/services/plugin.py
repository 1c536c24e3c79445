"""A service as a connection type: a plugin class made from what its file says, on top of the type `http`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flowlang.connections._fingerprint import fingerprint
from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.http.errors import verdict
from flowlang.connections.http.provider import HttpPlugin
from flowlang.document.model import Retry
from flowlang.exceptions import ConnectionError, FlowExecutionError
from flowlang.services.calls import Caller
from flowlang.services.model import Service
from flowlang.services.pacing import shared
from flowlang.services.settings import TRANSPORT, schema_of
from flowlang.services.tasks import task_of

if TYPE_CHECKING:
    from flowlang.connections.endpoints import Endpoint
    from flowlang.connections.http.client import Client


class ServicePlugin(ConnectionPlugin):
    """What every service has in common. A subclass for each is made by `plugin_of`."""

    category = "service"
    error_table = staticmethod(verdict)
    service: ClassVar[Service]
    functions: ClassVar[Mapping[str, str]] = {}
    """The name of the method of each task."""

    def __init__(self) -> None:
        super().__init__()
        self._http = HttpPlugin()
        self._caller: Caller | None = None

    # ------------------------------------------------------------ how it is configured

    def get_config_schema(self) -> dict[str, Any]:
        service = self.service
        address: dict[str, Any] = {"type": "string", "minLength": 1, "description": "Where the service is"}
        if service.fixed_url is not None:
            address["default"] = service.fixed_url
        else:
            told = "Where the service is; null for what follows from the other settings"
            address = {"type": ["string", "null"], "default": None, "description": told}
        return schema_of(service.settings, address)

    def validate_config(self, config: dict[str, Any]) -> tuple[bool, str | None]:
        valid, reason = super().validate_config(config)
        if not valid:
            return valid, reason
        try:
            return self._http.validate_config(self.transport(config))
        except FlowExecutionError as error:
            return False, str(error)

    def get_dependencies(self) -> list[str]:
        return self._http.get_dependencies()

    def endpoints(self, config: dict[str, Any]) -> Sequence[Endpoint]:
        return self._http.endpoints(self.transport(config))

    def transport(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The config of the connection of type `http` below."""
        service, settings = self.service, self._settings(config)
        found = {name: config[name] for name in TRANSPORT if name in config}
        found["base_url"] = config.get("base_url") or service.base_url(settings)
        found["auth"] = service.auth(settings) if service.auth is not None else {"type": "none"}
        found["headers"] = service.headers(settings) if service.headers is not None else {}
        return found

    def _settings(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """What `${config.…}` reads: the declared settings."""
        return {each.name.text: config.get(each.name.text) for each in self.service.settings}

    # ------------------------------------------------------------ how it opens

    async def connect(self, config: dict[str, Any]) -> ServicePlugin:
        """Set up an empty pool; nothing is asked of the service yet. Raises as the type `http` does."""
        transport = self.transport(config)
        await self._http.connect(transport)
        most = float(config.get("retry_after_max", 60))
        asker = fingerprint(self.name, {name: transport[name] for name in ("base_url", "auth", "headers")})
        self._caller = Caller(self.service, self._settings(config), shared(self.service.rate, asker), most)
        return self

    async def disconnect(self) -> None:
        self._caller = None
        await self._http.disconnect()

    async def get_connection(self) -> Client:
        return await self._http.get_connection()

    async def ping(self, connection: Client) -> None:
        """Carry out the operation that the file names for it, or ask for the headers of `base_url`."""
        operation = next((each for each in self.service.operations if each.name == self.service.ping), None)
        if operation is None:
            await self._http.ping(connection)
        elif operation.pages is None:
            await self.caller.perform(operation, connection, None, {})
        else:
            async with aclosing(self.caller.pages(operation, connection, {})) as pages:
                await anext(pages, None)

    @property
    def step_retry(self) -> Retry | None:
        """How a step is retried when neither it nor the flow says so."""
        return self.service.retry

    @property
    def caller(self) -> Caller:
        if self._caller is None:
            raise ConnectionError(f"the connection to `{self.name}` is not open")
        return self._caller

    # ------------------------------------------------------------ what it can do

    def get_builtin_tasks(self) -> dict[str, Callable[..., Any]]:
        return {task: getattr(self, method) for task, method in self.functions.items()}

    def scaffold_example_flow(self, output_dir: str, connection_name: str = "api", **kwargs: Any) -> Any:
        """Write the flow that stands beside the file (`acme.example.yaml` beside `acme.service.yaml`), or one that is
        made of the examples of its tasks."""
        from flowlang.connections import scaffold

        source = Path(self.service.file.removesuffix(".service.yaml") + ".example.yaml")
        if not source.is_file():
            return super().scaffold_example_flow(output_dir, connection_name, **kwargs)
        return scaffold.example_from(self, source.read_text("utf-8"), output_dir, connection_name, kwargs)


def plugin_of(service: Service) -> type[ServicePlugin]:
    """The connection type that `service` describes."""
    methods = {f"do_{each.name}": task_of(each) for each in service.operations}
    members: dict[str, Any] = {
        "__module__": __name__,
        "__doc__": service.description,
        "name": service.name,
        "description": service.description.strip().partition("\n")[0],
        "version": service.version,
        "task_prefix": service.prefix,
        "service": service,
        "functions": {each.task: f"do_{each.name}" for each in service.operations},
        **methods,
    }
    return type(f"{service.name.title().replace('-', '').replace('_', '')}Service", (ServicePlugin,), members)
