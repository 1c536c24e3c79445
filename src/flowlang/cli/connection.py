"""`flowlang connection …`: a table of its commands, which live in `plugins`, `trial` and `scaffolds`."""

from __future__ import annotations

from flowlang.cli.commands import SETTINGS, Entry, LazyGroup

_PLUGINS = "flowlang.cli.plugins"
_SCAFFOLDS = "flowlang.cli.scaffolds"

connection = LazyGroup(
    "connection",
    entries={
        "list": Entry(f"{_PLUGINS}:list_types", "Every type, with those that cannot be used and why.", "Look"),
        "info": Entry(f"{_PLUGINS}:info", "Settings, tasks and requirements of a type.", "Look"),
        "test": Entry("flowlang.cli.trial:test", "Open a connection stage by stage, and say what is wrong.", "Look"),
        "deps": Entry(f"{_PLUGINS}:deps", "What types need installed, and what is there.", "Install"),
        "install": Entry(f"{_PLUGINS}:install", "Install what a type needs.", "Install"),
        "scaffold": Entry(f"{_SCAFFOLDS}:scaffold", "The settings as YAML, to paste under `connections:`.", "Write"),
        "helpers": Entry(f"{_SCAFFOLDS}:helpers", "A Python module that calls the tasks of a type.", "Write"),
        "example": Entry(f"{_SCAFFOLDS}:example", "A whole flow that uses a type.", "Write"),
    },
    examples=(
        ("flowlang connection info sqlite", "its settings and tasks"),
        ("flowlang connection test db -f orders.yaml", "whether `db` of a flow can be reached and used"),
        ("flowlang connection deps --check", "fail when a driver is missing"),
        ("flowlang connection scaffold sqlite --name db", "settings to paste"),
        ("flowlang connection example sqlite -o flows", "a flow to start from"),
    ),
    help="Look at connection types, test connections, install what they need, write what uses them.",
    context_settings=SETTINGS,
)
