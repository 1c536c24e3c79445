"""Is busy for a second when it is imported."""

import time

from tests.conformance.double.provider import LineKVPlugin

_END = time.process_time() + 0.7
while time.process_time() < _END:
    pass


class SlowImport(LineKVPlugin):
    pass
