"""What a plugin writes for its users when it has nothing special to write: a config, an example flow, helpers."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowlang.exceptions import PluginError

if TYPE_CHECKING:
    from flowlang.connections.base import ConnectionPlugin

_REFERENCE = re.compile(r"\$\{[^{}]*\}")


def folder_of(plugin: ConnectionPlugin) -> Path | None:
    """The folder of the module that defines the plugin; None when it has no file."""
    file = getattr(sys.modules.get(type(plugin).__module__), "__file__", None)
    return Path(file).parent if file else None


# ---------------------------------------------------------------- the config snippet


def connection_config(plugin: ConnectionPlugin, name: str, values: Mapping[str, Any]) -> str:
    """A connection's entry for `connections:`. Required fields are written, optional ones stand as comments."""
    from flowlang.connections import _schema as reading

    _check_name(name)
    schema, given = _accepted(plugin, values)
    wanted = set(reading.required(schema, schema)) | set(given)
    lines = [f"  {name}:", f"    type: {plugin.name}"]
    for field, declared in reading.properties(schema, schema).items():
        secret = reading.is_secret(field, declared, schema)
        value = given[field] if field in given else _sample(plugin, field, declared, secret)
        about = " ".join(str(declared.get("description", "")).split())
        lead = "    " if field in wanted else "    # "
        lines.append(f"{lead}{field}: {_yaml(value)}" + (f"  # {about}" if about else ""))
    return "\n".join(lines) + "\n"


def _accepted(plugin: ConnectionPlugin, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema, and `values` read by it (text from a command line becomes numbers). Refuses what does not fit."""
    from flowlang.connections import _schema as reading
    from flowlang.connections.config import coerce, problems, schema_of

    schema = schema_of(plugin)
    for field, value in values.items():
        declared = reading.property_schema(schema, field, schema)
        if reading.is_secret(field, declared, schema) and not _REFERENCE.fullmatch(str(value)):
            raise PluginError(f"`{field}` is a secret: give a reference such as `${{env.NAME}}`, not the value itself")
    references = {(field,) for field, value in values.items() if isinstance(value, str) and "${" in value}
    textual = {(field,) for field in values} - references
    given, found = coerce(schema, values, textual)
    found += problems(schema, given, dynamic=references, plugin=plugin.name)
    found = [each for each in found if each.path]  # an object may lack fields here: the others are sampled
    if found:
        raise PluginError(
            "; ".join(f"{each.message}{f' ({each.suggestion})' if each.suggestion else ''}" for each in found)
        )
    return schema, dict(given)


def _sample(plugin: ConnectionPlugin, field: str, declared: Mapping[str, Any], secret: bool) -> Any:
    from flowlang.connections._messages import variable

    reference = f"${{env.{variable(plugin.name, field)}}}"
    if secret:
        return reference
    for key in ("default", "const"):
        if key in declared:
            return declared[key]
    listed = declared.get("examples") or declared.get("enum")
    return listed[0] if listed else reference


def _yaml(value: Any) -> str:
    """`value` on one line of YAML: a reference or simple word as it is, all else as JSON, which YAML contains."""
    if isinstance(value, str) and (_REFERENCE.fullmatch(value) or _is_plain(value)):
        return value
    return json.dumps(value, ensure_ascii=False)


def _is_plain(text: str) -> bool:
    words = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
    return bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*(?::[A-Za-z0-9_./-]+)*", text)) and text.lower() not in words


def _check_name(name: str) -> None:
    if not name.isidentifier():
        raise PluginError(f"{name!r} cannot be the name of a connection: letters, digits and `_` only")


# ---------------------------------------------------------------- the example flow


def example_flow(plugin: ConnectionPlugin, output_dir: str, name: str, values: Mapping[str, Any]) -> Path:
    """Write `<type>_example.yaml`: the plugin's `example.yaml`, or else the examples of its tasks, with its connection
    called `name`."""
    from flowlang.connections._example import composed

    folder = folder_of(plugin)
    source = folder / "example.yaml" if folder is not None else None
    example = source.read_text("utf-8") if source is not None and source.is_file() else composed(plugin)
    if example is None:
        raise PluginError(
            f"plugin {plugin.name} has no example: there is no `example.yaml` beside it, no task has an `Example:` in "
            "its docstring, and it does not define scaffold_example_flow()"
        )
    return example_from(plugin, example, output_dir, name, values)


def example_from(plugin: ConnectionPlugin, example: str, output_dir: str, name: str, values: Mapping[str, Any]) -> Path:
    """The same with the text of an example."""
    _check_name(name)
    _, given = _accepted(plugin, values)
    return _written(output_dir, f"{plugin.name}_example.yaml", renamed(example, plugin.name, name, given))


def renamed(text: str, kind: str, name: str, values: Mapping[str, Any]) -> str:
    """A flow's text with its connection of type `kind` called `name`, and `values` in that connection's config.

    Only those characters change: comments and layout stay. Raises `PluginError` when no connection is of `kind`.
    """
    import yaml

    root = yaml.compose(text, Loader=yaml.SafeLoader)
    connections = dict(_entries(root)).get("connections")
    entry = next(((key, node) for key, node in _pairs(connections) if _type_of(node) == kind), None)
    if entry is None:
        raise PluginError(f"example.yaml has no connection of type {kind}")
    key, config = entry
    edits = [(key.start_mark.index, key.end_mark.index, name)]
    edits += [
        (node.start_mark.index, node.end_mark.index, name) for node in _references(root) if node.value == key.value
    ]
    fields = {each.value: node for each, node in _pairs(config)}
    for field, value in values.items():
        node = fields.get(field)
        if node is not None:
            edits.append((node.start_mark.index, _end(node, text), _yaml(value)))
        else:
            after = fields["type"]
            lead = ", " if config.flow_style else "\n" + " " * config.start_mark.column
            edits.append((after.end_mark.index, after.end_mark.index, f"{lead}{field}: {_yaml(value)}"))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _pairs(node: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(getattr(node, "value", None), list) and node.id == "mapping":
        yield from node.value


def _entries(node: Any) -> Iterator[tuple[str, Any]]:
    for key, value in _pairs(node):
        yield key.value, value


def _type_of(node: Any) -> str | None:
    found = dict(_entries(node)).get("type")
    return found.value if found is not None else None


def _references(node: Any) -> Iterator[Any]:
    """Every place that names a connection."""
    if node is None or node.id == "scalar":
        return
    for each in node.value:
        if node.id == "sequence":
            yield from _references(each)
            continue
        key, value = each
        if key.value in ("connection", "transaction") and value.id == "scalar":
            yield value
        yield from _references(value)


def _end(node: Any, text: str) -> int:
    """Where a value ends; YAML counts the line breaks after a block as part of it."""
    start, end = node.start_mark.index, node.end_mark.index
    return int(start + len(text[start:end].rstrip()))


# ---------------------------------------------------------------- helpers in Python


def task_helpers(plugin: ConnectionPlugin, output_dir: str, name: str) -> Path:
    """Write `<type>_helpers.py`: one typed function for each task of the plugin."""
    from flowlang.connections._helpers import module_text

    _check_name(name)
    module = plugin.name.replace("-", "_")
    return _written(output_dir, f"{module}_helpers.py", module_text(plugin, name))


def _written(output_dir: str, name: str, text: str) -> Path:
    """Write a new file. One that is there with other contents is somebody's work, and stays."""
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if path.exists() and path.read_text("utf-8", errors="replace") != text:
        raise PluginError(f"{path} exists and is different: remove it, or write to another folder")
    path.write_text(text, "utf-8", newline="\n")
    return path
