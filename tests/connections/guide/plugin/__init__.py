# ruff: noqa: I001 - as the guide writes it
"""MyService connections."""

from .provider import MyServicePlugin
from .. import plugin_registry

plugin_registry.register(MyServicePlugin())

__all__ = ["MyServicePlugin"]
