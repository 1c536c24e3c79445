"""How a run shows itself while it goes on: live lines on a terminal, one line for each finished step elsewhere."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from flowlang.cli.output import colours, is_terminal, say, shows_unicode

if TYPE_CHECKING:
    from flowlang.views.progress import Event

PERIOD = 0.1  # seconds between two drawings
PATIENCE = 0.15  # seconds before the first one: what is over sooner needs no live display


class Quiet:
    """Shows nothing. Its `sink` is None: a run that nobody listens to makes no events."""

    sink = None

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        yield

    def finish(self) -> None:
        """Nothing to add."""


class Lines:
    """One line for each step that ended, in words: for files, pipes and logs of other systems."""

    def __init__(self) -> None:
        from flowlang.views.progress import Live

        self._live = Live(unicode=False)

    def sink(self, event: Event) -> None:
        for line in self._live.feed(event):
            say(line)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        yield

    def finish(self) -> None:
        """Every line has been written already."""


class Terminal:
    """Live lines at the bottom of the terminal, redrawn ten times a second; in the end a tree."""

    def __init__(self) -> None:
        from flowlang.views.progress import Live
        from flowlang.views.text import painter

        self._live = Live(painter(colours(sys.stderr)), unicode=shows_unicode(sys.stderr))

    def sink(self, event: Event) -> None:
        from flowlang.views.progress import is_message

        lines = self._live.feed(event)
        if is_message(event):
            for line in lines:
                say(line)  # rich puts it above the live lines

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Draw while the block goes on."""
        drawing = asyncio.get_running_loop().create_task(self._draw())
        try:
            yield
        finally:
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)

    async def _draw(self) -> None:
        await asyncio.sleep(PATIENCE)
        from rich.console import Console
        from rich.live import Live as Region
        from rich.text import Text

        def picture() -> Text:
            return Text.from_ansi("\n".join(self._live.lines(time.time())), no_wrap=True, overflow="ellipsis")

        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        with Region(picture(), console=console, auto_refresh=False, transient=True) as region:
            while True:
                region.update(picture(), refresh=True)
                await asyncio.sleep(PERIOD)

    def finish(self) -> None:
        """The tree of what happened, with durations."""
        for line in self._live.tree():
            say(line)


Screen = Quiet | Lines | Terminal


def screen(*, as_json: bool) -> Screen:
    """What fits where stderr goes. With `--json` only a terminal is drawn on."""
    if is_terminal(sys.stderr):
        return Terminal()
    return Quiet() if as_json else Lines()
