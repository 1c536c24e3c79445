"""Runs that were, and that are under way, as records for any reader. It reads the store and writes nothing.

    runs ─► listing ─► which there are
    run + journal + events + flow ─► story ─► one run, with the tree of its steps

The journal is the truth about a step; events, which may be lost in a crash, say what lies around it: blocks, attempts,
messages, waits. Nothing here is opened that was sealed: what is secret stays masked.
"""
