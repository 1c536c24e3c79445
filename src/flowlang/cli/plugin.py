"""`flowlang plugin …`, for those who write plugins: a table of its commands, each in a module of its own."""

from __future__ import annotations

from flowlang.cli.commands import SETTINGS, Entry, LazyGroup

plugin = LazyGroup(
    "plugin",
    entries={
        "new": Entry("flowlang.cli.plugin_new:new", "Begin a plugin: a whole package, or a folder here.", "Write"),
        "check": Entry("flowlang.cli.plugin_check:check", "Find what is wrong with a plugin, unopened.", "Prove"),
        "test": Entry("flowlang.cli.plugin_test:test", "Prove a plugin with the conformance kit.", "Prove"),
        "bench": Entry("flowlang.cli.plugin_bench:bench", "Measure what a plugin costs, and what it leaks.", "Prove"),
        "docs": Entry("flowlang.cli.plugin_docs:docs", "Write the reference page of a plugin.", "Publish"),
        "diff": Entry("flowlang.cli.plugin_diff:diff", "Tell what a version changes, and its number.", "Publish"),
        "list": Entry("flowlang.cli.plugins:list_plugins", "What is installed, from which package.", "Look"),
    },
    examples=(
        ("flowlang plugin new acme --kind client", "a package flowlang-acme that passes its own tests"),
        ("flowlang plugin test .", "what the plugin here passes, with its score"),
    ),
    help="Write connection plugins: begin one, prove it, publish it.",
    context_settings=SETTINGS,
)
