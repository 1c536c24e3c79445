"""`operations` of a service file."""

from __future__ import annotations

from collections.abc import Mapping as Table
from typing import Any

from flowlang.connections.http.errors import REPEATABLE, RequestFailed
from flowlang.connections.http.paging import KEYS as PAGE_KEYS
from flowlang.connections.http.paging import KINDS as PAGE_KINDS
from flowlang.connections.http.paging import Pager
from flowlang.diagnostics import Span
from flowlang.document import codes as document_codes
from flowlang.document import model as written
from flowlang.document.fields import Fields, wrong_type
from flowlang.document.inputs import plain, read_inputs
from flowlang.document.nodes import Mapping, Node, Scalar
from flowlang.document.parse import read_outputs
from flowlang.expressions.types import ANY, ARRAY, Type, record
from flowlang.services import codes
from flowlang.services.keys import Keying, read_keying
from flowlang.services.model import Batches, Merge, Operation, Output, Pages, Request
from flowlang.services.settings import type_of
from flowlang.services.templates import REPLY, Formula, Roots, Templates, secret
from flowlang.tasks.spec import Effect

OPERATION_KEYS = (
    "description", "effect", "idempotent", "idempotency", "params", "request", "pages", "batches", "outputs",
)  # fmt: skip
REQUEST_KEYS = ("method", "path", "query", "headers", "json", "form", "body", "expect")
PAGES_KEYS = ("items", "next", "max_pages")
BATCHES_KEYS = ("of", "size")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
EFFECTS: Table[str, Effect] = {"none": "none", "read": "read", "write": "write"}
_ALIASES = {"parameters": "params", "inputs": "params", "pagination": "pages", "returns": "outputs", "batch": "batches"}
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_SHOWN = ("path", "query")  # parts of a request that are written into logs on the way
_INJECTED = ("connection", "context")
_MERGES: Table[str, Merge] = {"array": "join", "integer": "add", "number": "add"}


def read_operations(fields: Fields, templates: Templates, config: Roots, prefix: str) -> tuple[Operation, ...]:
    """The operations in the order of the text. `fields` are those of the service, whose `pages` hold for all."""
    node = fields.object("operations", "an object of names and operations")
    shared = fields.object("pages", "an object with `next`")
    keying = read_keying(fields)
    found = []
    for key, value in node.entries if node is not None else ():
        if not isinstance(value, Mapping):
            wrong_type(fields.context, key.text, value, "an object with `request`")
            continue
        reader = _Operation(fields, templates, config, key, value, shared, keying)
        operation = reader.read(prefix)
        if operation is not None:
            found.append(operation)
    if node is not None and not node.entries:
        fields.findings.add(document_codes.MISSING_KEY, "the service has no operation", fields.span("operations"))
    return tuple(found)


class _Operation:
    """`shared` and `keying` are what the service says of all its operations."""

    def __init__(
        self,
        fields: Fields,
        templates: Templates,
        config: Roots,
        key: Scalar,
        node: Mapping,
        shared: Mapping | None,
        keying: Keying | None,
    ) -> None:
        self.context, self.findings = fields.context, fields.findings
        self.templates, self.config, self.key = templates, config, key
        self.shared, self.keying = shared, keying
        place = f"operation `{key.text}`"
        self.fields = Fields(self.context, node, place, OPERATION_KEYS, also=_ALIASES, at=key)

    def read(self, prefix: str) -> Operation | None:
        fields = self.fields
        fields.required("description")
        description = fields.text("description")
        params = read_inputs(fields, "params", "parameter")
        for each in params:
            if each.name.text in _INJECTED:
                message = f"no parameter may be called `{each.name.text}`: that is what a task is given by its run"
                self.findings.add(codes.SHAPE, message, each.name.span)
        roots = self.config.and_(params=record({each.name.text: type_of(each) for each in params}))
        batches, of = self._batches(roots)
        asking = roots.and_(batch=of) if of is not None else roots
        request = self._request(asking)
        pages = self._pages(roots)
        if pages is not None and batches is not None:
            message = "an operation has `pages` or `batches`, not both"
            self.findings.add(codes.SHAPE, message, fields.span("batches"), "make two operations of it")
        declared, outputs = self._outputs(asking, paged=pages is not None)
        if batches is not None:
            batches = self._merged(batches, declared)
        if request is None or not self._named():
            return None
        word = fields.word("effect", tuple(EFFECTS))
        effect: Effect = EFFECTS[word] if word else "read" if request.method in _READS else "write"
        keying = self._keying(request.method, effect, paged=pages is not None)
        again = request.method in REPEATABLE or effect != "write" or keying is not None
        return Operation(
            name=self.key.text,
            task=f"{prefix}_{self.key.text}",
            description=description.text if description else "",
            effect=effect,
            idempotent=fields.boolean("idempotent", again),
            keying=keying,
            params=params,
            request=request,
            pages=pages,
            batches=batches,
            declared=declared,
            outputs=outputs,
            span=self.key.span,
        )

    def _keying(self, method: str, effect: Effect, *, paged: bool) -> Keying | None:
        """Where its requests have their key: as it says, or where it writes by a method that may not be repeated as the
        service says. `idempotency: false` sends none."""
        if "idempotency" in self.fields:
            node = self.fields.node("idempotency")
            if isinstance(node, Scalar) and node.value is False:
                return None
            return read_keying(self.fields)
        return self.keying if effect == "write" and method not in REPEATABLE and not paged else None

    def _named(self) -> bool:
        name = self.key.text
        if name.isidentifier() and name.isascii():
            return True
        message = f"`{name}` cannot name an operation: letters, digits and `_`, no digit first"
        help_ = f"did you mean `{name.replace('-', '_')}`?" if name.replace("-", "_").isidentifier() else None
        self.findings.add(document_codes.BAD_NAME, message, self.key.span, help_)
        return False

    # ------------------------------------------------------------ what is sent

    def _request(self, roots: Roots) -> Request | None:
        self.fields.required("request")
        node = self.fields.object("request", "an object with `path`")
        if node is None:
            return None
        inner = Fields(self.context, node, "`request`", REQUEST_KEYS, also={"url": "path", "params": "query"})
        path = inner.required("path")
        method = inner.word("method", METHODS, {each.lower(): each for each in METHODS}) or "GET"
        bodies = [key for key in ("json", "form", "body") if key in inner]
        for key in bodies[1:]:
            message = f"a request has one of `json`, `form` and `body`; `{bodies[0]}` is there already"
            self.findings.add(document_codes.GIVEN_TWICE, message, inner.span(key), "remove one")
        parts: dict[str, Any] = {}
        for key in ("path", "query", "headers", "json", "form", "body"):
            each = inner.node(key)
            if each is None:
                continue
            if key in ("query", "headers", "form") and not isinstance(each, Mapping):
                wrong_type(self.context, key, each, "an object of names and values")
                continue
            meant = self.context.value(each)
            parts[key] = (
                self.templates.path(meant, roots) if key == "path" else self.templates.value(meant, roots, omit=True)
            )
            if key in _SHOWN and secret(parts[key][1]):
                message = f"a secret stands in `{key}`, which is written into logs on the way"
                self.findings.add(codes.SECRET_SHOWN, message, _place(each), "send it by `auth`, or in `headers`")
        self._used(path)
        return Request(method, self.templates.together(parts, f"{self.key.text}.request"), self._expect(inner))

    def _used(self, path: Node | None) -> None:
        if path is not None and not (isinstance(path, Scalar) and isinstance(path.value, str)):
            wrong_type(self.context, "path", path, "a text such as `/orders/${params.order}`")
        elif isinstance(path, Scalar) and "://" in path.text.partition("${")[0]:
            message = "a path stands below `base_url` and is no address of its own"
            self.findings.add(codes.BAD_ADDRESS, message, path.span)

    def _expect(self, inner: Fields) -> tuple[int, ...] | None:
        if "expect" not in inner:
            return None
        found = []
        for node in inner.items("expect", Scalar):
            value = node.value if isinstance(node, Scalar) else None
            if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
                found.append(value)
            else:
                wrong_type(self.context, "expect", node, "a list of status codes such as `[200, 404]`")
        return tuple(found)

    # ------------------------------------------------------------ in pages, in batches

    def _pages(self, roots: Roots) -> Pages | None:
        node = self.fields.object("pages", "an object with `items`")
        if node is None:
            return None
        inner = Fields(self.context, node, "`pages`", PAGES_KEYS, also={"max": "max_pages", "data": "items"})
        shared = Fields(self.context, self.shared, "`pages`", PAGES_KEYS) if self.shared is not None else None
        of_next = inner if "next" in inner or shared is None else shared
        of_items = inner if "items" in inner or shared is None else shared
        of_next.required("next")
        items = of_items.text("items")
        following = self._next(of_next)
        most = inner.node("max_pages")
        limit = self.templates.formula(self.context.value(most), roots, "max_pages") if most is not None else None
        return Pages(items.text if items else None, following, limit) if following is not None else None

    def _next(self, fields: Fields) -> Table[str, Any] | None:
        node = fields.object("next", "an object such as `{cursor: next, param: after}`")
        if node is None:
            return None
        kinds = [each for each in PAGE_KINDS if node.key(each) is not None]
        known = sorted(PAGE_KEYS[kinds[0]], key=lambda each: each != kinds[0]) if len(kinds) == 1 else PAGE_KINDS
        inner = Fields(self.context, node, "`next`", known)
        found = {key: plain(self.context, value) for key, (_, value) in inner.entries.items()}
        try:
            Pager(found)
        except RequestFailed as error:
            self.findings.add(codes.SHAPE, str(error), fields.span("next"))
            return None
        return found

    def _batches(self, roots: Roots) -> tuple[Batches | None, Type | None]:
        node = self.fields.object("batches", 'an object such as `{of: "${params.records}", size: 10}`')
        if node is None:
            return None, None
        inner = Fields(self.context, node, "`batches`", BATCHES_KEYS, also={"items": "of", "max": "size"})
        of, _ = inner.required("of"), inner.required("size")
        size = inner.integer("size", least=1)
        if of is None or size is None:
            return None, ARRAY
        formula = self.templates.formula(self.context.value(of), roots, "of")
        if formula.type.kind not in ("array", "any"):
            wrong_type(self.context, "of", of, f"a list, not {formula.type}")
        return Batches(formula, size, {}), formula.type if formula.type.kind == "array" else ARRAY

    def _merged(self, batches: Batches, declared: tuple[Output, ...]) -> Batches:
        merge = {each.name: _MERGES[each.type.kind] for each in declared if each.type.kind in _MERGES}
        for each in declared:
            if each.name not in merge or not each.declared:
                message = f"output `{each.name}` of an operation with `batches` needs a type that can be put together"
                help_ = "declare `type: array` (they are joined), `integer` or `number` (they are added up)"
                at = self.fields.span("outputs") if "outputs" in self.fields else self.fields.at
                self.findings.add(codes.SHAPE, message, at, help_)
        return Batches(batches.of, batches.size, merge)

    # ------------------------------------------------------------ what comes of it

    def _outputs(self, roots: Roots, *, paged: bool) -> tuple[tuple[Output, ...], Formula | None]:
        read = read_outputs(self.fields)
        if "outputs" not in self.fields:
            kind = Type("stream", items=ANY) if paged else ANY
            told = "Every item, page after page" if paged else "What the service answers"
            output = Output("items" if paged else "body", kind, False, told)
            return (output,), None
        if paged and len(read) != 1:
            message = f"an operation with `pages` has one output, a stream of its items; this has {len(read)}"
            self.findings.add(codes.SHAPE, message, self.fields.span("outputs"))
        scope = roots.and_(item=ANY) if paged else roots.and_(**REPLY)
        declared, parts = [], {}
        for each in read:
            recipe, given = self.templates.value(each.value, scope)
            if secret(given):
                message = f"output `{each.name.text}` holds a secret, and outputs are stored and shown"
                self.findings.add(codes.SECRET_SHOWN, message, each.value.span)
            kind = each.type or given
            if paged:
                kind = Type("stream", items=kind)
            declared.append(Output(each.name.text, kind, each.type is not None, each.description or ""))
            parts[each.name.text] = (recipe, given)
        only = read[0] if paged and len(read) == 1 else None
        if only is not None:
            return tuple(declared), self._of_item(only, scope)
        return tuple(declared), self.templates.together(parts, f"{self.key.text}.outputs")

    def _of_item(self, output: written.Output, scope: Roots) -> Formula | None:
        """What becomes of one item; None when it stays what it is."""
        value = output.value
        if isinstance(value, written.Computed) and value.template.whole is not None:
            path = value.template.whole.path
            if path is not None and tuple(path) == ("item",):
                return None
        return self.templates.formula(value, scope, output.name.text)


def _place(node: Node) -> Span:
    return node.span if isinstance(node, Scalar) else node.source.span(node.start, node.start + 1)
