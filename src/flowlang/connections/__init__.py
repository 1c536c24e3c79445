"""Connections: the contract of their plugins, the registry that finds them, and what a run does with them.

A plugin in the package tree is a folder `connections/<type>/` whose `__init__.py` registers its class:

    from .provider import MyServicePlugin
    from .. import plugin_registry

    plugin_registry.register(MyServicePlugin())

A plugin in a package of its own names its class in the entry-point group `flowlang.connections`.
"""

from flowlang.connections._direct import Service, opened
from flowlang.connections.base import ConnectionPlugin
from flowlang.connections.registry import PluginRecord, PluginRegistry, plugin_registry

__all__ = ["ConnectionPlugin", "PluginRecord", "PluginRegistry", "Service", "opened", "plugin_registry"]
