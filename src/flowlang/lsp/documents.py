"""The texts that are open in an editor, and what is known of each.

A change is looked at a moment later, on a thread of its own, so that keys are answered meanwhile from what was known
before. What comes too late, because the text has changed again, is never shown.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from flowlang import api
from flowlang.editing import Analysis, analyse, analyse_service, analyse_tests, schema, service_schema, tests_schema
from flowlang.lsp.positions import Lines, lines_of
from flowlang.lsp.structure import Structure

_LOG = logging.getLogger("flowlang.lsp")
PAUSE = 0.15  # seconds without a key before a text is looked at
ASIDE = 0.04  # seconds after a message for which a check stands aside
MOST_ASIDE = 2.0  # seconds that one check stands aside in all
IDLE = 2.0  # seconds without a key before garbage is collected


@dataclass(slots=True, eq=False)
class Document:
    """One open text. `analysis` may be of an earlier version; `edited` is the line that changed last, from 1."""

    uri: str
    path: str
    version: int
    lines: Lines
    analysis: Analysis | None = None
    edited: int | None = None
    timer: asyncio.Task[None] | None = None
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)  # one look at a time; the next is at the text by then
    structure: Structure | None = None
    built_of: object = None

    @property
    def holds_tests(self) -> bool:
        """Whether it is a file of tests, and no flow."""
        return self.path.endswith(".test.yaml")

    @property
    def holds_service(self) -> bool:
        """Whether it is the file of a service, and no flow."""
        return self.path.endswith(".service.yaml")

    @property
    def fresh(self) -> bool:
        return self.analysis is not None and self.analysis.text == self.lines.text


Show = Callable[[Document, Analysis], None]


class Documents:
    """`show` is called with each analysis of a present text."""

    def __init__(self, show: Show) -> None:
        self.open: dict[str, Document] = {}
        self._show = show
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="flowlang-check")
        self._plain: Structure | None = None
        self._of_tests: Structure | None = None
        self._of_services: Structure | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._heard = 0.0  # when the editor was heard or answered last, by the clock of `time.monotonic`
        self._answering = False

    def close(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        for each in self.open.values():
            if each.timer is not None:
                each.timer.cancel()
        self._worker.shutdown(wait=False, cancel_futures=True)

    # ------------------------------------------------------------ who goes first

    def heard(self) -> None:
        """The editor says something: a check stands aside for a moment."""
        self._heard = time.monotonic()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Inside, an answer is made that waits for nothing: a check stands aside until it is there."""
        self._answering = True
        try:
            yield
        finally:
            self._answering = False
            self.heard()

    def _aside(self) -> float:
        """Seconds that a check has to stand aside from now on."""
        return ASIDE if self._answering else self._heard + ASIDE - time.monotonic()

    # ------------------------------------------------------------ texts

    def put(self, uri: str, path: str, version: int, text: str, encoding: str) -> Document:
        self.remove(uri)
        made = Document(uri, path, version, lines_of(text, encoding))
        self.open[uri] = made
        self.changed(made)
        return made

    def remove(self, uri: str) -> Document | None:
        gone = self.open.pop(uri, None)
        if gone is not None and gone.timer is not None:
            gone.timer.cancel()
        return gone

    def read(self, path: str) -> str:
        """The text of a file as the editor has it, saved or not. Raises `OSError`."""
        wanted = os.path.realpath(path)
        for each in list(self.open.values()):
            if os.path.realpath(each.path) == wanted:
                return each.lines.text
        return api.read_text(path)

    def lines_of(self, path: str, beside: Document) -> Lines:
        """The lines of a file that `beside` leads to; those of `beside` itself when it cannot be read."""
        try:
            return lines_of(self.read(path), beside.lines.encoding)
        except OSError:
            return beside.lines

    # ------------------------------------------------------------ what is known

    def changed(self, document: Document) -> None:
        """Look at a text, and at those that reach it, when nothing was written for a moment."""
        if self.open.get(document.uri) is document:
            self._later(document)
        file = os.path.realpath(document.path)
        for each in self.open.values():
            if each is not document and each.analysis is not None and each.analysis.reaches(file):
                self._later(each, again=True)

    def _later(self, document: Document, *, again: bool = False) -> None:
        if document.timer is not None:
            document.timer.cancel()
        document.timer = asyncio.ensure_future(self._after_a_pause(document, again))
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE, gc.collect)

    async def _after_a_pause(self, document: Document, again: bool) -> None:
        await asyncio.sleep(PAUSE if document.analysis is not None else 0)
        await asyncio.shield(self._look(document, again=again))

    def _look(self, document: Document, *, again: bool = False) -> Awaitable[None]:
        return asyncio.ensure_future(self._looked(document, again))

    async def _looked(self, document: Document, again: bool) -> None:
        async with document.looking:
            lines, line = document.lines, document.edited
            if document.fresh and not again:
                return
            loop = asyncio.get_running_loop()
            try:
                if document.holds_tests:
                    found = await loop.run_in_executor(
                        self._worker, analyse_tests, lines.text, document.path, self.read
                    )
                elif document.holds_service:
                    found = await loop.run_in_executor(self._worker, analyse_service, lines.text, document.path)
                else:
                    found = await loop.run_in_executor(self._worker, self._analysed, lines, document.path, line)
            except RuntimeError:
                return  # the server is ending
            except Exception:  # noqa: BLE001 - a boundary: the editor keeps what it had, and the log says what happened
                _LOG.exception("a text could not be looked at: this is a defect of FlowLang")
                return
            if self.open.get(document.uri) is not document:
                return
            if found.tested is None and document.analysis is not None:
                found.tested = document.analysis.tested  # of the flow before it had an error
            document.analysis = found  # also of a text that has changed since: it is nearer than the one before
            if document.lines is lines:
                self._show(document, found)

    def _analysed(self, lines: Lines, path: str, line: int | None) -> Analysis:
        """On the thread of the check. It shares the interpreter with the answers, so it waits while there are any."""
        left = MOST_ASIDE

        def stand_aside() -> None:
            nonlocal left
            while left > 0 and (wait := self._aside()) > 0:
                time.sleep(wait)
                left -= wait

        return analyse(lines.text, path, self.read, line=line, pause=stand_aside)

    async def known(self, document: Document) -> Analysis | None:
        """What is known of the present text, as soon as it is."""
        if not document.fresh:
            await self._look(document)
        return document.analysis if document.fresh else None

    def structure(self, document: Document) -> Structure:
        """What may stand in this flow: everything that is installed, the services around it, and its own tasks; or in
        this file of tests, or of a service."""
        if document.holds_tests:
            return self._structure_of_tests(document)
        if document.holds_service:
            self._of_services = self._of_services or Structure(service_schema())
            return self._of_services
        known = document.analysis
        if known is None or not (known.facts.own_tasks or known.services):
            if self._plain is None:
                self._plain = Structure(schema())
            return self._plain
        of = (dict(known.facts.own_tasks), known.service_texts)
        if document.structure is None or document.built_of != of:
            document.structure = Structure(schema(known.registry, known.facts.own_tasks.values()))
            document.built_of = of
        return document.structure

    def _structure_of_tests(self, document: Document) -> Structure:
        tested = document.analysis.tested if document.analysis is not None else None
        if tested is None:
            self._of_tests = self._of_tests or Structure(tests_schema(None))
            return self._of_tests
        if document.structure is None or document.built_of is not tested:
            document.structure, document.built_of = Structure(tests_schema(tested)), tested
        return document.structure
