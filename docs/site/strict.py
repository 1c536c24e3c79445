"""What the built site must be: every link leads somewhere, and nothing is loaded from elsewhere."""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

# The pages are written by a program, in one way: attributes in double quotes, and `<`, `>` inside of text escaped.
_TAG = re.compile(r"<(a|link|script|img|iframe|source|video|audio|object|embed)\s([^>]*)>")
_ATTRIBUTE = re.compile(r'\b(href|src|rel|data)="([^"]*)"')
_ANCHOR = re.compile(r'\s(?:id|name)="([^"]+)"')
_STYLE = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])((?:https?:)?//[^"')\s]+)""")
_NAMING = {"prev", "next", "canonical", "edit", "alternate"}  # a `link` that names a page, and fetches nothing
_NOT_FOUND = "404.html"  # its links begin at the root of the server


@dataclass(frozen=True, slots=True)
class Seen:
    """What one page has: its anchors, the links a reader may follow, and what a browser loads by itself."""

    anchors: frozenset[str]
    links: tuple[str, ...]
    loaded: tuple[str, ...]


def problems(site: Path) -> Iterator[str]:
    """What is wrong with the site in this folder, each as a line that names the page."""
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    pages = {name: _read((site / name).read_text("utf-8")) for name in sorted(files) if name.endswith(".html")}
    for name, seen in pages.items():
        yield from (f"{name}: loads {link}" for link in seen.loaded if urlsplit(link).netloc)
        if name != _NOT_FOUND:
            yield from (f"{name}: {fault}" for fault in _dead(name, [*seen.links, *seen.loaded], pages, files))
    for name in sorted(files):
        if name.endswith(".css"):
            yield from (f"{name}: loads {link}" for link in _STYLE.findall((site / name).read_text("utf-8")))


def _read(text: str) -> Seen:
    links: dict[str, None] = {}
    loaded: dict[str, None] = {}
    for tag, rest in _TAG.findall(text):
        values = {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(rest)}
        into = links if tag == "a" or _NAMING & set(values.get("rel", "").split()) else loaded
        into.update((values[name], None) for name in ("href", "src", "data") if values.get(name))
    return Seen(frozenset(map(html.unescape, _ANCHOR.findall(text))), tuple(links), tuple(loaded))


def _dead(name: str, links: Iterable[str], pages: Mapping[str, Seen], files: Collection[str]) -> Iterator[str]:
    for link in dict.fromkeys(links):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (
            posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path))) if parts.path else name
        )
        if target not in files:
            yield f"the link `{link}` leads to no file"
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
            yield f"the link `{link}` leads to no heading"
