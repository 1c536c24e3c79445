"""Acme connections.

connections:
  acme:
    type: acme

`flowlang connection info acme` lists the settings and the tasks.
"""

from flowlang.connections import plugin_registry
from flowlang.connections.acme.provider import AcmePlugin

plugin_registry.register(AcmePlugin)

__all__ = ["AcmePlugin"]
