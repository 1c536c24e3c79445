"""Starts a thread when it is imported."""

import threading

from tests.conformance.double.provider import LineKVPlugin

threading.Thread(target=threading.Event().wait, args=(2,), name="conformance-mutant", daemon=True).start()


class StartsThread(LineKVPlugin):
    pass
