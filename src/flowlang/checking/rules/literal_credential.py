"""A password, key or token is written out in the flow.

A flow file is stored, shown, copied and versioned; who can read it can use the credential. Say where it comes from
instead: `${secrets.NAME}` is read when the run starts, from a file of secrets, a folder of them, or the variable
`FLOWLANG_SECRET_NAME`.

```yaml wrong
flow: f
connections:
  files: {type: sqlite, database: ":memory:"}
inputs:
  - {name: token, type: string, secret: true, default: 9f8e7d6c5b4a}
vars:
  mirror: https://deploy:hunter22@mirror.example/files
steps:
  - sqlite_query: {id: q, query: "SELECT ${inputs.token}"}
outputs:
  - {name: rows, value: "${q.rows}"}
  - {name: mirror, value: "${vars.mirror}"}
```

```yaml
flow: f
connections:
  files: {type: sqlite, database: ":memory:"}
inputs:
  - {name: token, type: string, secret: true, required: true}
steps:
  - sqlite_query: {id: q, query: "SELECT ${inputs.token}"}
outputs:
  - {name: rows, value: "${q.rows}"}
```
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from flowlang.connections._schema import Path, Schema, at
from flowlang.connections._secrets import hides, leaves, password_in, secret_paths
from flowlang.diagnostics import Diagnostic, Span, code
from flowlang.document import model
from flowlang.tasks.spec import Parameter

CODE = code("literal-credential", __doc__ or "")


def in_config(
    connection: model.Connection,
    schema: Schema,
    values: Mapping[str, object],
    spans: Mapping[Path, Span],
    computed: Collection[Path],
) -> Iterator[Diagnostic]:
    """The fields of a config that hold a secret by what the plugin's schema says of them, or by their name."""
    hidden = secret_paths(schema, values)
    for path, value in leaves(values, ()):
        if path in computed or not hides(hidden, path) or isinstance(value, bool) or value in (None, ""):
            continue
        field = at(schema, path)
        if "enum" in field or field.get("default") == value or password_in(str(value)):
            continue
        key = ".".join(map(str, path))
        message = f"`{key}` of connection `{connection.name.text}` is a secret, and is written out here"
        span = spans.get(path, connection.name.span)
        last = str(path[-1])
        name = last if last.startswith(connection.name.text) else f"{connection.name.text}_{last}"
        yield Diagnostic(CODE, message, span, "warning", suggestion=_instead(name))


def argument(step: model.TaskStep, parameter: Parameter, value: model.Value) -> Iterator[Diagnostic]:
    """A parameter that its task marks with `Secret[…]`."""
    text = value.value if parameter.secret and isinstance(value, model.Constant) else None
    if not isinstance(text, str) or not text or password_in(text):
        return
    message = f"`{parameter.name}` of task `{step.task.text}` is a secret, and is written out here"
    yield Diagnostic(CODE, message, value.span, "warning", suggestion=_instead(parameter.name))


def default(declared: model.Input) -> Iterator[Diagnostic]:
    """The default of an input with `secret: true`."""
    if not declared.secret or declared.default_span is None or declared.default in (None, "", [], {}):
        return
    message = f"input `{declared.name.text}` is secret, and its default is written out here"
    help_ = "leave the default out, or read `${secrets.…}` where the value is used"
    yield Diagnostic(CODE, message, declared.default_span, "warning", suggestion=help_)


def in_url(what: str, value: model.Constant | model.Computed) -> Iterator[tuple[Span, str, Diagnostic]]:
    """The password of a URL, wherever one stands: its place, the password, and the finding."""
    if isinstance(value, model.Constant):
        text = value.value if isinstance(value.value, str) else ""
    else:
        text = "".join(part if isinstance(part, str) else "\0" for part in value.template.parts)
    password = password_in(text)
    if password is None or "\0" in password:
        return
    start = value.scalar.text.find(password)
    span = value.scalar.locate(start, start + len(password)) if start >= 0 else value.span
    message = f"`{what}` is a URL with a password, which is written out here"
    help_ = f"write `${{secrets.{_name(f'{what}_password')}}}` in its place"
    yield value.span, password, Diagnostic(CODE, message, span, "warning", suggestion=help_)


def _instead(name: str) -> str:
    return f'write "${{secrets.{_name(name)}}}", and keep the value where secrets are kept'


def _name(words: str) -> str:
    return re.sub(r"\W+", "_", words).strip("_").upper()
