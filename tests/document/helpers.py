"""What the tests of the document share."""

from __future__ import annotations

from flowlang.diagnostics import Diagnostic
from flowlang.document.model import Flow
from flowlang.document.nodes import Mapping, Node, Scalar
from flowlang.document.parse import parse_flow
from flowlang.document.yaml_reader import read_yaml


def read(text: str | bytes) -> Mapping:
    """The mapping of a text without findings."""
    node, findings = read_yaml(text, "flow.yaml")
    assert findings == []
    assert isinstance(node, Mapping)
    return node


def scalar(text: str | bytes, key: str = "a") -> Scalar:
    node = read(text).get(key)
    assert isinstance(node, Scalar)
    return node


def codes_of(text: str | bytes) -> list[str]:
    return [each.code for each in read_yaml(text, "flow.yaml")[1]]


def flow(text: str) -> Flow:
    """The flow of a text without findings."""
    result, findings = parse_flow(text, "flow.yaml")
    assert findings == []
    assert result is not None
    return result


def steps(text: str) -> Flow:
    return flow("flow: F\nsteps:\n" + text)


def findings_of(text: str) -> list[Diagnostic]:
    return parse_flow(text, "flow.yaml")[1]


def plain(node: Node) -> object:
    """A node as plain Python data."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Mapping):
        return {key.text: plain(value) for key, value in node.entries}
    return [plain(each) for each in node.items]
