"""A flow explained: the same flow with every default written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowlang.checking.checker import Checked
    from flowlang.document import model
    from flowlang.plan import ConnectionPlan
    from flowlang.views.explicit.flow import Settings


def explicit(checked: Checked) -> str:
    """A valid flow with every default written out, in canonical YAML that means the same; secrets that are written
    out in it are masked. `checked` has a plan."""
    from flowlang.document.formatting import format_text
    from flowlang.document.nodes import Mapping
    from flowlang.document.yaml_reader import read_yaml
    from flowlang.views.explicit.flow import Known, flow_text

    flow, plan = checked.flow, checked.plan
    if flow is None or plan is None:
        raise ValueError("only a valid flow has an explicit form")
    root, _ = read_yaml(flow.text, flow.file)
    assert isinstance(root, Mapping)
    settings = {each.name: _settings(flow, each) for each in plan.connections}
    policies = {each.name: retry for each in plan.connections if (retry := getattr(each.plugin, "step_retry", None))}
    known = Known(root, checked.sources[flow.file], settings, plan.operations, policies)
    return format_text(flow_text(flow, known), flow.file)


def _settings(flow: model.Flow, connection: ConnectionPlan) -> Settings:
    """The config of a connection with the defaults of its plugin's schema."""
    from flowlang.connections._schema import properties
    from flowlang.connections._secrets import secret_paths
    from flowlang.connections.config import check_literal, schema_of, with_defaults
    from flowlang.views.explicit.flow import Settings

    written = next(each for each in flow.connections if each.name.text == connection.name)
    values = {name.text: _known(value) for name, value in written.config.entries}
    schema = schema_of(connection.plugin)
    own = frozenset(properties(schema, schema))
    values |= {name.text: _known(value) for name, value in written.host_entries if name.text in own}
    filled = with_defaults(schema, values)
    accepted = not check_literal(connection.plugin, filled, set(connection.textual))
    hidden = frozenset(str(path[0]) for path in secret_paths(schema, filled))
    return Settings(filled, accepted, own, hidden)


def _known(value: model.Value) -> object:
    """A value as plain data; what is computed is its text."""
    from flowlang.document import model

    if isinstance(value, model.ListValue):
        return [_known(each) for each in value.items]
    if isinstance(value, model.ObjectValue):
        return {name.text: _known(each) for name, each in value.entries}
    return value.value if isinstance(value, model.Constant) else value.scalar.text
