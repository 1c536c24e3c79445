"""Acme connections for FlowLang.

connections:
  acme:
    type: acme

`flowlang connection info acme` lists the settings and the tasks.
"""

from flowlang_acme.provider import AcmePlugin

__all__ = ["AcmePlugin"]
