"""`flowlang plugin …`, for those who write plugins: a table of its commands, each in a module of its own."""

from __future__ import annotations

from flowlang.cli.commands import SETTINGS, Entry, LazyGroup

plugin = LazyGroup(
    "plugin",
    entries={
        "test": Entry("flowlang.cli.plugin_test:test", "Prove a plugin with the conformance kit.", "Prove"),
    },
    examples=(("flowlang plugin test .", "what the plugin here passes, with its score"),),
    help="Write connection plugins: begin one, prove it, publish it.",
    context_settings=SETTINGS,
)
