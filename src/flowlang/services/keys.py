"""`idempotency`: where a service wants the key by which it knows that it has done a request already."""

from __future__ import annotations

import uuid
from typing import Any, Literal

from flowlang.connections.http.errors import invalid
from flowlang.connections.http.settings import header_problem
from flowlang.document import codes as document_codes
from flowlang.document.fields import Fields
from flowlang.document.nodes import Mapping
from flowlang.records import frozen
from flowlang.services import codes

KEYS = ("header", "field", "form")
Form = Literal["text", "quoted", "uuid"]
FORMS: dict[str, Form] = {"text": "text", "quoted": "quoted", "uuid": "uuid"}
_OURS = uuid.UUID("6f2a4b0e-9a3c-5d59-8f57-3d1c0c5b9a11")  # of keys of FlowLang, among all names that become UUIDs


@frozen
class Keying:
    """A key goes into `header`, or into the `field` of what is sent as JSON or as a form: one of the two."""

    header: str | None
    field: str | None
    form: Form

    def written(self, key: str) -> str:
        """`key` in the form that the service takes: as it is, as a string of structured headers (RFC 9651), or as a
        UUID that is the same for the same key."""
        if self.form == "uuid":
            return str(uuid.uuid5(_OURS, key))
        if self.form == "quoted":
            escaped = key.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
        return key

    def put(self, parts: dict[str, Any], key: str) -> dict[str, Any]:
        """The parts of a request with `key`, in its form, where it belongs. Raises RequestFailed (`validation`)."""
        if self.field is None:
            return parts
        where = "form" if "form" in parts else "json"
        content = parts.get(where)
        if "body" in parts or not isinstance(content, (dict, type(None))):
            raise invalid(f"the key of the request belongs into its field `{self.field}`, and it sends no object")
        return {**parts, where: {**(content or {}), self.field: key}}


def read_keying(fields: Fields) -> Keying | None:
    """What stands under `idempotency`."""
    node = fields.object("idempotency", "an object such as `{header: Idempotency-Key}`")
    return None if node is None else _keying(fields, node)


def _keying(fields: Fields, node: Mapping) -> Keying | None:
    inner = Fields(fields.context, node, "`idempotency`", KEYS, also={"name": "header", "as": "form"})
    header, field = inner.text("header"), inner.text("field")
    form = inner.word("form", tuple(FORMS)) or "text"
    if (header is None) == (field is None):
        message = "a key goes into a `header` or into a `field`; `idempotency` names one of the two"
        fields.findings.add(codes.SHAPE, message, fields.span("idempotency"))
        return None
    problem = header_problem(header.text, "", "`idempotency`") if header is not None else None
    if header is not None and problem is not None:
        fields.findings.add(document_codes.BAD_NAME, problem, header.span)
        return None
    return Keying(header.text if header else None, field.text if field else None, FORMS[form])
