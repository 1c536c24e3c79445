"""`flowlang runs …`: a table of its commands."""

from __future__ import annotations

from flowlang.cli.commands import SETTINGS, Entry, LazyGroup

_GOING = "flowlang.cli.runs_going"
_KEPT = "flowlang.cli.runs_kept"
_SEEN = "flowlang.cli.runs_seen"

runs = LazyGroup(
    "runs",
    entries={
        "list": Entry(f"{_SEEN}:list_", "List runs, by state, flow and time.", "Look"),
        "show": Entry(f"{_SEEN}:show", "Tell the story of a run: its steps, its end, what to do.", "Look"),
        "logs": Entry(f"{_SEEN}:logs", "Show what a run told, line by line.", "Look"),
        "watch": Entry(f"{_SEEN}:watch", "Watch a run until it ends.", "Look"),
        "resume": Entry(f"{_GOING}:resume", "Let runs go on that stopped, or whose process is gone.", "Go on"),
        "retry": Entry(f"{_GOING}:retry", "Run again what failed, and what follows; the flow may be edited.", "Go on"),
        "signal": Entry(f"{_GOING}:signal", "Send a signal to a run that waits for it.", "Go on"),
        "cancel": Entry(f"{_GOING}:cancel", "Ask a run to stop; its clean-up still runs.", "Go on"),
        "delete": Entry(f"{_KEPT}:delete", "Delete runs that are over.", "Keep"),
        "prune": Entry(f"{_KEPT}:prune", "Delete what is old, or too many.", "Keep"),
        "key": Entry(f"{_GOING}:key", "Make a key that encrypts what is secret in a store.", "Keep"),
    },
    examples=(
        ("flowlang run orders.yaml --durable", "a run that survives a crash"),
        ("flowlang runs list --state failed --since 1d", "what went wrong today"),
        ("flowlang runs resume", "after a crash: every run that was under way"),
    ),
    help="Runs that are kept in a store.",
    context_settings=SETTINGS,
)
