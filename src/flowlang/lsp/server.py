"""`flowlang lsp`: the language server over stdin and stdout. Each request is a call of one of the pure functions."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Sequence
from typing import Any, BinaryIO

from lsprotocol import types as lsp
from pygls import uris
from pygls.exceptions import JsonRpcException, JsonRpcInternalError, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol
from pygls.protocol.json_rpc import JsonRPCResponseMessage

from flowlang import __version__
from flowlang.diagnostics import Position, Span
from flowlang.editing import Analysis
from flowlang.lsp import navigation, wire
from flowlang.lsp.completion import complete
from flowlang.lsp.documents import Document, Documents
from flowlang.lsp.hover import hover
from flowlang.lsp.positions import lines_of

_LOG = logging.getLogger("flowlang.lsp")
_TRIGGERS = [".", "{", "[", " ", '"', "'"]
_SWITCH = 0.0005  # seconds that the thread which checks may run before a key is answered


class _Refused(JsonRpcException):
    """A request that makes no sense here; the editor shows the message."""

    CODE = -32803  # RequestFailed


class _Protocol(LanguageServerProtocol):
    """Answers also what it cannot take for a request; pygls would leave the editor waiting. Notes when it is talked
    to, so that a check can stand aside."""

    _server: FlowServer

    def structure_message(self, data: dict[str, Any]) -> Any:
        self._server.documents.heard()
        try:
            return super().structure_message(data)
        except JsonRpcException:
            if "id" in data and "method" in data:
                refused = JsonRpcInvalidParams(f"the parameters are not those of `{data['method']}`")
                self._send_response(data["id"], error=refused.to_response_error())
            raise

    def _serialize_message(self, data: Any) -> dict[str, Any]:
        """An answer that is plain data, as long lists of proposals are, is written as it stands; pygls would walk
        through all of it first."""
        if isinstance(data, JsonRPCResponseMessage) and isinstance(data.result, dict):
            return {"jsonrpc": data.jsonrpc, "id": data.id, "result": data.result}
        return super()._serialize_message(data)


class FlowServer(LanguageServer):
    def __init__(self) -> None:
        kind = lsp.TextDocumentSyncKind.Incremental
        super().__init__("flowlang", __version__, text_document_sync_kind=kind, protocol_cls=_Protocol)
        self.documents = Documents(self.show)

    def report_server_error(self, error: Exception, source: object) -> None:
        """Log what is our defect. What an editor did wrong it was told in the answer."""
        if isinstance(error, JsonRpcInternalError):
            _LOG.error("%s: this is a defect of FlowLang\n%s", error, "".join((error.data or {}).get("traceback", ())))
        elif not isinstance(error, JsonRpcException):
            _LOG.warning("a message could not be taken: %s", error)

    def show(self, document: Document, analysis: Analysis) -> None:
        found = wire.diagnostics(analysis.findings, analysis.file, document.lines)
        told = lsp.PublishDiagnosticsParams(document.uri, found, document.version)
        self.text_document_publish_diagnostics(told)

    def document(self, identifier: lsp.TextDocumentIdentifier | lsp.VersionedTextDocumentIdentifier) -> Document | None:
        return self.documents.open.get(identifier.uri)

    async def at(self, params: Any) -> tuple[Document, Analysis, Position] | None:
        """The document, what is known of it, and the place that a request is about."""
        document = self.document(params.text_document)
        if document is None:
            return None
        analysis = await self.documents.known(document)
        if analysis is None:
            return None
        return document, analysis, document.lines.position(params.position.line, params.position.character)


def serve(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Answer until the editor says that it is over."""
    sys.setswitchinterval(_SWITCH)
    logging.getLogger("pygls").setLevel(
        logging.CRITICAL
    )  # it writes tracebacks: `report_server_error` says what counts
    gc.disable()  # a full collection takes longer than a key may: `Documents` collects while nobody writes
    server = made()
    try:
        server.start_io(stdin, stdout)
    finally:
        server.documents.close()


def made() -> FlowServer:
    server = FlowServer()
    _texts(server)
    _reading(server)
    _names(server)
    return server


# ---------------------------------------------------------------- texts


def _texts(server: FlowServer) -> None:
    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    def opened(ls: FlowServer, params: lsp.DidOpenTextDocumentParams) -> None:
        it = params.text_document
        path = uris.to_fs_path(it.uri) if it.uri.startswith("file:") else None
        encoding = str(getattr(ls.workspace.position_encoding, "value", ls.workspace.position_encoding))
        ls.documents.put(it.uri, path or it.uri.replace(":", "_"), it.version, it.text, encoding)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def changed(ls: FlowServer, params: lsp.DidChangeTextDocumentParams) -> None:
        document = ls.document(params.text_document)
        if document is None or params.text_document.version < document.version:
            return  # never opened, or older than what is known
        for each in params.content_changes:
            _apply(document, each)
        document.version = params.text_document.version
        ls.documents.changed(document)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def closed(ls: FlowServer, params: lsp.DidCloseTextDocumentParams) -> None:
        document = ls.documents.remove(params.text_document.uri)
        if document is not None:
            ls.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(document.uri, []))
            ls.documents.changed(document)  # those that reach it see the file again


def _apply(document: Document, change: lsp.TextDocumentContentChangeEvent) -> None:
    lines = document.lines
    if isinstance(change, lsp.TextDocumentContentChangePartial):
        start, end = change.range.start, change.range.end
        first, last = lines.offset(start.line, start.character), lines.offset(end.line, end.character)
        text = lines.text[:first] + change.text + lines.text[max(first, last) :]
        document.edited = start.line + 1 + change.text.count("\n")
    else:
        text, document.edited = change.text, None
    document.lines = lines_of(text, lines.encoding)


# ---------------------------------------------------------------- completion, hover, fixes, form


def _reading(server: FlowServer) -> None:
    @server.feature(lsp.TEXT_DOCUMENT_COMPLETION, lsp.CompletionOptions(trigger_characters=_TRIGGERS))
    def completion(ls: FlowServer, params: lsp.CompletionParams) -> dict[str, Any] | None:
        document = ls.document(params.text_document)
        if document is None:
            return None
        place = document.lines.position(params.position.line, params.position.character)
        line, column = place.line - 1, place.column - 1
        with ls.documents.answering():
            items = complete(document.lines, line, column, document.analysis, ls.documents.structure(document))
            return wire.completions(items, line, column, document.lines)

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    async def hovered(ls: FlowServer, params: lsp.HoverParams) -> lsp.Hover | None:
        found = await ls.at(params)
        if found is None:
            return None
        document, analysis, place = found
        structure = ls.documents.structure(document)
        told = hover(document.lines, place.line - 1, place.column - 1, analysis, structure)
        if told is None:
            return None
        span = Span(Position(place.line, told.start + 1), Position(place.line, told.stop + 1))
        return lsp.Hover(wire.markdown(told.text), wire.range_of(span, document.lines))

    @server.feature(lsp.TEXT_DOCUMENT_CODE_ACTION, lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix]))
    async def actions(ls: FlowServer, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        document = ls.document(params.text_document)
        analysis = await ls.documents.known(document) if document is not None else None
        if document is None or analysis is None:
            return []
        lines = document.lines
        first, last = (lines.position(each.line, each.character) for each in (params.range.start, params.range.end))
        found = []
        for each in navigation.fixes(analysis, Span(first, last)):
            assert each.fix is not None
            [shown] = wire.diagnostics([each], analysis.file, lines)
            edit = _edit(document, wire.edits(each.fix.edits, lines))
            found.append(lsp.CodeAction(each.fix.title, lsp.CodeActionKind.QuickFix, [shown], edit=edit))
        return found

    @server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
    def formatting(ls: FlowServer, params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
        document = ls.document(params.text_document)
        if document is None or document.holds_tests or document.holds_service:
            return []
        return wire.edits(navigation.formatted(document.lines, document.path), document.lines)

    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    async def symbols(ls: FlowServer, params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        document = ls.document(params.text_document)
        analysis = await ls.documents.known(document) if document is not None else None
        if document is None or analysis is None:
            return []
        return wire.symbols(navigation.outline(analysis), document.lines)


# ---------------------------------------------------------------- names


def _names(server: FlowServer) -> None:
    @server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    async def definition(ls: FlowServer, params: lsp.DefinitionParams) -> list[lsp.Location]:
        found = await ls.at(params)
        if found is None:
            return []
        document, analysis, place = found
        targets = []
        for each in navigation.definition(analysis, place):
            uri = uris.from_fs_path(each.file) if each.file is not None else document.uri
            lines = ls.documents.lines_of(each.file, document) if each.file is not None else document.lines
            targets.append(lsp.Location(uri or document.uri, wire.range_of(each.span, lines)))
        return targets

    @server.feature(lsp.TEXT_DOCUMENT_REFERENCES)
    async def references(ls: FlowServer, params: lsp.ReferenceParams) -> list[lsp.Location]:
        found = await ls.at(params)
        if found is None:
            return []
        document, analysis, place = found
        spans = navigation.references(analysis, place, declaration=params.context.include_declaration)
        return [lsp.Location(document.uri, wire.range_of(each, document.lines)) for each in spans]

    @server.feature(lsp.TEXT_DOCUMENT_PREPARE_RENAME)
    async def prepare(ls: FlowServer, params: lsp.PrepareRenameParams) -> lsp.PrepareRenamePlaceholder | None:
        found = await ls.at(params)
        if found is None:
            return None
        document, analysis, place = found
        try:
            symbol, span = navigation.renamable(analysis, document.lines, place)
        except navigation.Refused as error:
            raise _Refused(str(error)) from error
        return lsp.PrepareRenamePlaceholder(wire.range_of(span, document.lines), symbol.name)

    @server.feature(lsp.TEXT_DOCUMENT_RENAME, lsp.RenameOptions(prepare_provider=True))
    async def rename(ls: FlowServer, params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
        found = await ls.at(params)
        if found is None:
            return None
        document, analysis, place = found
        try:
            changes = navigation.renamed(analysis, document.lines, place, params.new_name)
        except navigation.Refused as error:
            raise _Refused(str(error)) from error
        return _edit(document, wire.edits(changes, document.lines))


def _edit(document: Document, changes: Sequence[lsp.TextEdit]) -> lsp.WorkspaceEdit:
    return lsp.WorkspaceEdit(changes={document.uri: list(changes)})
