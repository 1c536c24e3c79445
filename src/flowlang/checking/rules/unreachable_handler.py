"""A handler of a `try` can never run.

Failures go to the first handler whose classes contain theirs, so one behind a handler that takes the same classes
without an `if` is never asked. A cancellation is never handled: it ends the run, after its clean-up.

```yaml wrong
flow: f
steps:
  - try:
      - json_read: {id: settings, path: settings.json}
    catch:
      - do: [{log: "no settings"}]
      - on: [not_found]
        do: [{log: "there is no such file"}]
```

```yaml
flow: f
steps:
  - try:
      - json_read: {id: settings, path: settings.json}
    catch:
      - on: [not_found]
        do: [{log: "there is no such file"}]
      - do: [{log: "no settings"}]
```
"""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.diagnostics import Diagnostic, Span, code
from flowlang.document import model
from flowlang.exceptions import ERROR_CLASSES

CODE = code("unreachable-handler", __doc__ or "")

_NEVER = "cancelled"


def check(step: model.TryStep) -> Iterator[Diagnostic]:
    taken: dict[str, Span] = {}  # classes that an earlier handler takes in any case
    for catch in step.catches:
        classes = [each.text for each in catch.on] or [each for each in ERROR_CLASSES if each != _NEVER]
        for name in catch.on:
            if name.text == _NEVER:
                message = "a cancellation is never handled: this `catch` is not asked when the run is cancelled"
                help_ = "remove it, and clean up in `finally`"
                yield Diagnostic(CODE, message, name.span, "warning", suggestion=help_)
        free = [each for each in classes if each not in taken and each != _NEVER]
        if not free and any(each != _NEVER for each in classes):
            first = min(taken[each].start for each in classes if each in taken)
            message = f"this handler can never run: the one at {first} takes all that it would"
            yield Diagnostic(
                CODE, message, catch.head, "warning", suggestion="move it up, or give the one before it an `if`"
            )
        if catch.guard is None:
            taken |= dict.fromkeys(free, catch.span)
