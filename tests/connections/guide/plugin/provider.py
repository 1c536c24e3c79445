# ruff: noqa: A001, B904, I001, T201, UP006, UP035, UP045 - as the guide writes it
# fmt: off
"""A plugin made step by step as the guide tells, structure and all; only its prose is shorter."""
from typing import Any, Callable, Dict, List, Optional, Tuple

from tenacity import retry, stop_after_attempt, wait_none

from ..base import ConnectionPlugin


class MyServicePlugin(ConnectionPlugin):
    """Talks to MyService."""

    name = "myservice"
    description = "MyService API connection"
    version = "1.0.0"

    def __init__(self):
        super().__init__()
        self._client = None

    def get_config_schema(self) -> Dict[str, Any]:
        return {
            "type": "object",
            "required": ["api_key"],
            "properties": {
                "api_key": {"type": "string", "description": "Key of the API"},
                "base_url": {"type": "string", "default": "https://api.myservice.com", "description": "Where it is"},
                "timeout": {"type": "number", "default": 30.0, "minimum": 1.0, "description": "Seconds for a request"},
            },
        }

    def validate_config(self, config: Dict[str, Any]) -> Tuple[bool, Optional[str]]:
        if 'api_key' not in config:
            return False, "Missing required field: api_key"
        if not config['api_key'].startswith('sk_'):
            return False, "Invalid API key format"
        return True, None

    async def connect(self, config: Dict[str, Any]) -> Any:
        try:
            from myservice import AsyncClient
        except ImportError:
            raise ImportError("MyService plugin requires 'myservice-client' package.")
        self._config = config
        try:
            self._client = AsyncClient(
                api_key=config['api_key'],
                base_url=config.get('base_url', 'https://api.myservice.com'),
                timeout=config.get('timeout', 30.0),
            )
            await self._client.ping()
            return self._client
        except Exception as e:
            raise ConnectionError(f"Failed to connect to MyService: {e}") from e

    async def disconnect(self):
        if self._client:
            await self._client.close()
            self._client = None

    async def get_connection(self) -> Any:
        if not self._client:
            raise ConnectionError("MyService client not initialized")
        return self._client

    async def release_connection(self, connection: Any):
        pass

    def get_builtin_tasks(self) -> Dict[str, Callable]:
        return {
            'myservice_get': self._task_get,
            'myservice_create': self._task_create,
        }

    @retry(stop=stop_after_attempt(3), wait=wait_none())
    async def _task_get(self, resource_id: str, connection=None) -> Dict[str, Any]:
        """
        Fetch one resource.

        Args:
            resource_id: Which resource
            connection: The client (injected)

        Returns:
            Dict with 'data' key containing the resource

        Example YAML:
            - myservice_get:
                id: fetch_item
                connection: api
                resource_id: "${inputs.item_id}"
        """
        try:
            data = await connection.get(f'/resources/{resource_id}')
            return {'data': data}
        except Exception as e:
            raise FlowExecutionError(f"MyService GET failed: {e}") from e

    async def _task_create(self, resource_type: str, payload: Dict[str, Any], connection=None) -> Dict[str, Any]:
        """
        Make a resource.

        Args:
            resource_type: What kind of resource
            payload: What it holds
            connection: The client (injected)
        """
        try:
            response = await connection.post(f'/{resource_type}s', json=payload)
            return {'resource_id': response['id'], 'data': response}
        except Exception as e:
            raise FlowExecutionError(f"MyService CREATE failed: {e}") from e

    def get_dependencies(self) -> List[str]:
        return ["myservice-client>=1.0.0", "httpx>=0.24.0"]

    def scaffold_connection_config(self, name: str = "api", **kwargs) -> str:
        timeout = kwargs.get('timeout', 30.0)
        return f"""
  {name}:
    type: myservice
    api_key: ${{env.MYSERVICE_API_KEY}}
    base_url: https://api.myservice.com
    timeout: {timeout}
"""

    def scaffold_example_flow(self, output_dir: str, connection_name: str = "api", **kwargs):
        import os

        os.makedirs(output_dir, exist_ok=True)
        example_path = os.path.join(output_dir, 'myservice_example.yaml')
        with open(example_path, 'w') as f:
            f.write(EXAMPLE.replace("CONNECTION", connection_name))
        print(f"Generated: {example_path}")


EXAMPLE = """flow: MyServiceExample
connections:
  CONNECTION:
    type: myservice
    api_key: ${env.MYSERVICE_API_KEY}
    base_url: https://api.myservice.com
    timeout: 30.0

inputs:
  - name: item_name
    type: string
    required: true

steps:
  - myservice_create:
      id: create_item
      connection: CONNECTION
      resource_type: "item"
      payload:
        name: "${inputs.item_name}"
        active: true
      outputs:
        - resource_id
        - data

  - myservice_get:
      id: fetch_item
      connection: CONNECTION
      resource_id: "${create_item.resource_id}"
      outputs:
        - data

outputs:
  - name: item_id
    value: ${create_item.resource_id}

  - name: item_data
    value: ${fetch_item.data}
"""


try:
    from ...exceptions import FlowExecutionError, ConnectionError
except ImportError:
    class FlowExecutionError(Exception):
        pass

    class ConnectionError(Exception):
        pass
