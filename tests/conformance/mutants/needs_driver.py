"""Imports its driver at the top."""

import linekv  # noqa: F401 - the defect
from tests.conformance.double.provider import LineKVPlugin


class NeedsDriver(LineKVPlugin):
    pass
