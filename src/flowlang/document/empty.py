"""A step whose block holds no steps."""

from __future__ import annotations

from flowlang.diagnostics import code
from flowlang.document.fields import Fields
from flowlang.document.nodes import Sequence

CODE = code(
    "empty-block",
    """A block of a step is empty, so that the step does nothing.

    Nothing is wrong with it for a run. Most often its steps were lost, or stand one level too far out. A loop that only
    collects needs none, and a handler without any ignores what it handles: `on_error: []`, `catch: [{do: []}]`.

    ```yaml wrong
    flow: f
    steps:
      - parallel: []
    ```

    ```yaml
    flow: f
    steps:
      - parallel:
          - log: one
          - log: two
    ```
    """,
)


def note_empty(fields: Fields, key: str, what: str = "step") -> None:
    """Reports that nothing stands in the block `key` of a step, or of another `what`."""
    node = fields.node(key)
    if not isinstance(node, Sequence) or node.items:
        return
    message, help_ = f"`{key}` is empty, so this {what} does nothing", f"write what it does, or remove the {what}"
    if key == "try":
        message = "`try` is empty, so nothing can fail in it"
    elif key == "then" and "else" in fields:
        message, help_ = "`then` is empty: only `else` does something", "turn the condition round, and leave `else` out"
    fields.findings.add(CODE, message, node.span, help_, severity="warning")
