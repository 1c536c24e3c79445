"""`mocks` of a test file."""

from __future__ import annotations

from collections.abc import Sequence as Ordered

from flowlang.document import codes as document_codes
from flowlang.document.fields import Fields, kind_of, wrong_type
from flowlang.document.nodes import Mapping, Node, Scalar
from flowlang.exceptions import ERROR_CLASSES
from flowlang.expressions.types import ANY, INTEGER, OBJECT, Type
from flowlang.plan import Call, Subflow
from flowlang.testing.model import Mock, Raises, Reply
from flowlang.testing.places import Place
from flowlang.testing.surroundings import Surroundings

REPLY_KEYS = ("returns", "raises", "delay")
MOCK_KEYS = (*REPLY_KEYS, "each", "recorded", "may_be_idle")
RAISES_KEYS = ("type", "message", "retryable", "retry_after")
ROOTS = {"inputs": OBJECT, "call": INTEGER}
"""What a reply may read: the inputs of the call, and the how manieth it is, from 1."""
_ALIASES = {"return": "returns", "outputs": "returns", "raise": "raises", "error": "raises", "sequence": "each"}


def read_mocks(fields: Fields, around: Surroundings, *, shared: bool) -> tuple[Mock, ...]:
    """The mocks, in the order of the text. `shared`: they are those of the file, and a test may leave them idle."""
    node = fields.object("mocks", "an object of steps and what they answer")
    found = []
    for key, value in node.entries if node is not None else ():
        meant = around.target(key.text, key.span, calls=True)
        places = meant[1] if meant is not None else []
        if not isinstance(value, Mapping):
            help_ = "write `{returns: …}`" if kind_of(value) != "null" else "write `{}` for no outputs"
            wrong_type(around.context, key.text, value, "an object", help_)
            continue
        mock = _mock(value, around, places, shared=shared)
        if meant is not None and mock is not None:
            replies, in_turn, recorded, idle = mock
            found.append(Mock(meant[0], replies, in_turn, recorded, idle, key.span))
    return tuple(found)


def _mock(
    node: Mapping, around: Surroundings, places: list[Place], *, shared: bool
) -> tuple[tuple[Reply, ...], bool, bool, bool] | None:
    fields = Fields(around.context, node, "a mock", MOCK_KEYS, also=_ALIASES)
    ways = [key for key in ("returns", "raises", "each", "recorded") if key in fields]
    for key in ways[1:]:
        message = f"a mock has one of `returns`, `raises`, `each` and `recorded`; `{ways[0]}` is there already"
        around.findings.add(document_codes.GIVEN_TWICE, message, fields.span(key), "remove one")
    idle = fields.boolean("may_be_idle", shared)
    if "recorded" in fields:
        return (), False, fields.boolean("recorded", True), idle
    if "each" not in fields:
        return (_reply(fields, around, places),), False, False, idle
    replies = []
    for item in fields.items("each", Mapping):
        if not isinstance(item, Mapping):
            wrong_type(around.context, "each", item, "answers such as `{returns: …}`")
            continue
        inner = Fields(around.context, item, "an answer", REPLY_KEYS, also=_ALIASES, at=item.span)
        replies.append(_reply(inner, around, places))
    if "delay" in fields:
        message = "`delay` of a mock with `each` belongs into its answers"
        around.findings.add(document_codes.GIVEN_TWICE, message, fields.span("delay"))
    return tuple(replies), True, False, idle


def _reply(fields: Fields, around: Surroundings, places: list[Place]) -> Reply:
    node = fields.node("returns")
    raises = fields.node("raises")
    delay = fields.duration("delay") or 0.0
    formula = None
    if raises is None and not isinstance(node, Scalar):
        _listed(node, around, places, fields)
    if node is not None and not isinstance(node, (Mapping, Scalar)):
        wrong_type(
            around.context, "returns", node, "an object of outputs", "write `{rows: […]}` with the output's name"
        )
    elif node is not None:
        formula = around.value(node, "returns", _wanted(around, places), ROOTS)
    return Reply(formula, _raises(raises, around) if raises is not None else None, delay, fields.at)


def _wanted(around: Surroundings, places: list[Place]) -> Type:
    known = around.outputs(places)
    return known if known is not ANY else OBJECT


def _listed(node: Node | None, around: Surroundings, places: Ordered[Place], fields: Fields) -> None:
    """Outputs that the step lists have to be there, as they would from the task itself."""
    calls = [each.step for each in places if isinstance(each.step, (Call, Subflow))]
    wanted = {name for each in calls for name in each.selected or ()}
    given = {key.text for key, _ in node.entries} if isinstance(node, Mapping) else set()
    known = around.outputs(list(places)).fields
    missing = sorted(wanted - given)
    if missing and (known is None or given <= known.keys()):  # otherwise it may be the one that is mistyped
        words = ", ".join(f"`{each}`" for each in missing)
        message = f"the step lists the output {words}, which this mock does not return"
        span = fields.span("returns") if "returns" in fields else fields.at
        around.findings.add(document_codes.MISSING_KEY, message, span, f"add `{missing[0]}: …` to `returns`")


def _raises(node: Node, around: Surroundings) -> Raises | None:
    """`raises: unavailable`, or all of it."""
    classes = tuple(ERROR_CLASSES)
    if isinstance(node, Scalar):
        lone = Mapping(((Scalar("type", "type", "plain", node.source, node.start, node.start), node),), node.source,
                       node.start, node.stop)  # fmt: skip
        word = Fields(around.context, lone, "`raises`", RAISES_KEYS).word("type", classes)
        return Raises(word, _says(word), None, None) if word else None
    if not isinstance(node, Mapping):
        wrong_type(around.context, "raises", node, "an object with `type`, or an error class")
        return None
    fields = Fields(around.context, node, "`raises`", RAISES_KEYS, also={"class": "type", "detail": "message"})
    fields.required("type")
    word = fields.word("type", classes)
    message = fields.text("message", numbers=True)
    retryable = fields.boolean("retryable", True) if "retryable" in fields else None
    retry_after = fields.duration("retry_after")
    if word is None:
        return None
    return Raises(word, message.text if message is not None else _says(word), retryable, retry_after)


def _says(word: str) -> str:
    return f"the mock says {word}"
