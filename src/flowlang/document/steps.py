"""A step: finding out what it does, and handing it to the parse function of that verb or task.

A new verb is a dataclass in `model`, a parse function in `verbs`, and a row in `VERBS`.
"""

from __future__ import annotations

from functools import cache, lru_cache

from flowlang.document import codes, yaml_codes
from flowlang.document.context import Context
from flowlang.document.fields import Fields, kind_of, wrong_type
from flowlang.document.findings import meant, replacing
from flowlang.document.model import Step
from flowlang.document.modifiers import ALIASES, COMMON, SERVICE, StepFields
from flowlang.document.nodes import Mapping, Node, Scalar, Sequence
from flowlang.document.tasks import read_named_task
from flowlang.document.texts import shown, with_article
from flowlang.document.verbs import VERBS

_MODIFIERS = frozenset((*COMMON, *SERVICE, "inputs"))
_BESIDE = frozenset(key for verb in VERBS.values() for key in verb.keys) - _MODIFIERS
_VERB_ALIASES = {
    "for": "for_each",
    "foreach": "for_each",
    "forEach": "for_each",
    "loop": "for_each",
    "call": "subflow",
    "uses": "task",
    "return": "exit",
    "stop": "exit",
    "throw": "raise",
    "fail": "raise",
    "print": "log",
    "echo": "log",
    "match": "switch",
    "repeat": "until",
    "repeat_until": "until",
    "sleep": "wait",
    "delay": "wait",
    "pause": "wait",
}


def read_steps(fields: Fields, key: str) -> tuple[Step, ...]:
    """The steps listed under `key`; none when the key is not there."""
    node = fields.node(key)
    return () if node is None else steps_of(fields.context, key, node)


def steps_of(context: Context, key: str, node: Node) -> tuple[Step, ...]:
    if isinstance(node, Sequence):
        found = [read_step(context, each) for each in node.items]
        return tuple([each for each in found if each is not None])
    if isinstance(node, Mapping) and node.entries:
        wrong_type(context, key, node, "a list of steps", "begin each step with `- `")
        step = read_step(context, node)
        return () if step is None else (step,)
    wrong_type(context, key, node, "a list of steps", "begin each step with `- `")
    return ()


def read_step(context: Context, node: Node) -> Step | None:
    """A step; None, and a finding, when it is not known what it does."""
    if context.pause is not None:
        context.pause()
    if isinstance(node, Scalar) and node.text == "exit":  # the one verb that says all there is to say
        nothing = Scalar(None, "", "plain", node.source, node.stop, node.stop)
        node = Mapping(((node, nothing),), node.source, node.start, node.stop)
    if not isinstance(node, Mapping):
        _not_a_step(context, node)
        return None
    names = tuple([key.text for key, _ in node.entries])
    verb, alone = _verb(names)
    if verb is not None:
        return _with_verb(context, node, verb, node.entries[names.index(verb)][0], alone)
    keys = {key.text: (key, value) for key, value in node.entries}
    task = _task(keys)
    if task is not None:
        return read_named_task(context, node, *keys[task])
    return _mistyped(context, node, keys)


@lru_cache(maxsize=1024)  # a flow has many steps with the same keys
def _verb(keys: tuple[str, ...]) -> tuple[str | None, bool]:
    """The verb among the keys of a step, and whether all the others belong to it. `if` is a verb with `then`, and a
    modifier beside anything else."""
    found = next((key for key in keys if key in VERBS and key != "if"), None)
    if "if" in keys:
        chooses = "then" in keys or "else" in keys or "elif" in keys
        if chooses or (found is None and all(key in _MODIFIERS or key in _BESIDE for key in keys)):
            found = "if"
    if found is None:
        return None, False
    beside = VERBS[found].keys
    return found, all(key in beside or key in _MODIFIERS or key in ("if", found) for key in keys)


def _task(keys: dict[str, tuple[Scalar, Node]]) -> str | None:
    """The key that names a task: it belongs to nothing else, and holds an object or nothing."""
    for name, (_, node) in keys.items():
        if name in _MODIFIERS or name in VERBS or name in _BESIDE:
            continue
        if isinstance(node, Mapping) or (isinstance(node, Scalar) and node.value is None):
            return name
    return None


_BODY_ALIASES = {**ALIASES, **dict.fromkeys(("steps", "then", "body"), "do")}


@cache
def _keys_beside(verb: str) -> tuple[str, tuple[str, ...]]:
    """What a step with `verb` is called, and the keys that it may have."""
    known = [verb, *VERBS[verb].keys, *(each for each in COMMON if each != verb)]
    return f"{with_article(verb)} step", tuple(dict.fromkeys(known))


def _of_verb(context: Context, node: Mapping, verb: str, key: Scalar) -> Mapping:
    """The keys of a step less those that are a verb or task of their own, which are reported."""
    entries = []
    for each, value in node.entries:
        if each is not key and _does_more(context, verb, each.text, value):
            message = f"a step does one thing; this one has {shown(verb)} and {shown(each.text)}"
            context.findings.add(codes.SEVERAL_VERBS, message, each.span, "begin a step of its own with `- `")
        else:
            entries.append((each, value))
    return node if len(entries) == len(node.entries) else Mapping(tuple(entries), node.source, node.start, node.stop)


def _with_verb(context: Context, node: Mapping, verb: str, key: Scalar, alone: bool) -> Step | None:
    """The step of `verb`, whose key is `key`; `alone` when no other key can be a verb or task of its own."""
    row = VERBS[verb]
    mapping = node if alone else _of_verb(context, node, verb, key)
    place, known = _keys_beside(verb)
    elsewhere = "if it is a parameter of the task, put it under `inputs`" if verb == "task" else None
    also = ALIASES if "do" not in row.keys else _BODY_ALIASES
    fields = StepFields(context, mapping, place, known, also=also, at=key, elsewhere=elsewhere)
    step = row.read(fields.begin())
    if step is None:
        _forget(context, node)
    return step


def _does_more(context: Context, verb: str, name: str, value: Node) -> bool:
    """Whether the key `name` beside `verb` is a verb or task of its own."""
    if name in VERBS[verb].keys or name in _MODIFIERS:
        return False
    if name in VERBS:
        return name != "if"
    return (
        isinstance(value, Mapping) and verb != "task" and context.findings.nearest(name, _MODIFIERS | _BESIDE) is None
    )


def _mistyped(context: Context, node: Mapping, keys: dict[str, tuple[Scalar, Node]]) -> Step | None:
    """A step without a verb or task: perhaps one is mistyped."""
    for name, (key, _) in keys.items():
        if name in _MODIFIERS or name in _BESIDE:
            continue
        verb = _VERB_ALIASES.get(name) or context.findings.nearest(name, VERBS)
        if verb in VERBS:
            span = key.span
            message = f"unknown key {shown(name)} in a step"
            context.findings.add(codes.UNKNOWN_KEY, message, span, meant(verb), fix=replacing(span, verb))
            renamed = Scalar(verb, verb, key.style, key.source, key.start, key.stop)
            entries = tuple((renamed, value) if each is key else (each, value) for each, value in node.entries)
            return _with_verb(context, Mapping(entries, node.source, node.start, node.stop), verb, renamed, False)
    _forget(context, node)
    for name, (key, value) in keys.items():
        if name not in _MODIFIERS and name not in _BESIDE:
            message = (
                f"{shown(name)} is no verb, and a task expects an object with its parameters, not {kind_of(value)}"
            )
            context.findings.add(codes.WRONG_TYPE, message, key.span, f"write {shown(f'{name}: {{…}}')}")
            return None
    if any(name in _BESIDE for name in keys):
        name = next(name for name in keys if name in _BESIDE)
        owner = next(verb for verb, row in VERBS.items() if name in row.keys)
        message = f"`{name}` belongs to `{owner}`, which this step does not have"
        context.findings.add(codes.NO_VERB, message, keys[name][0].span, f"add `{owner}: …`")
        return None
    span = node.entries[0][0].span if node.entries else node.span
    message = "this step does nothing: it has no task and no verb"
    context.findings.add(codes.NO_VERB, message, span, "add the name of a task, or a verb such as `log` or `set`")
    return None


def _not_a_step(context: Context, node: Node) -> None:
    if isinstance(node, Sequence):
        wrong_type(context, "steps", node, "a step", "one `- ` begins a step")
        return
    if not isinstance(node, Scalar):
        return
    span, text = node.span, node.text
    if not text or node.value is None:
        context.findings.add(codes.NO_VERB, "this step is empty", span, "remove it, or write what it does")
    elif ":" in text and text.split(":", 1)[0].isidentifier():
        message = f"{shown(text)} has no space after the colon, so it is text and not a step"
        context.findings.add(yaml_codes.SPACE, message, span, f"write {shown(text.replace(':', ': ', 1))}")
    else:
        message = f"a step is an object; this is {kind_of(node)}"
        word = text if text.isidentifier() and isinstance(node.value, str) else None
        context.findings.add(codes.WRONG_TYPE, message, span, word and meant(f"{word}:"))


def _forget(context: Context, node: Node) -> None:
    """Notes the ids in a step that is not made, so that reading them is not reported as well."""
    waiting: list[Node] = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Sequence):
            waiting.extend(each.items)
        elif isinstance(each, Mapping):
            for key, value in each.entries:
                if isinstance(value, Scalar):
                    if key.text in ("id", "as"):
                        context.unread.add(value.text.replace("-", "_"))
                else:
                    waiting.append(value)
