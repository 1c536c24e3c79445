"""The colours of a drawing, for light and dark screens."""

from __future__ import annotations

import re

KNOWN = ("sqlite", "postgres", "mysql", "mongodb", "redis", "http", "airtable")  # each its own colour
HUES = (
    # light, dark
    ("#2f6fde", "#6ea2ff"),
    ("#0f8a8a", "#3fc4c0"),
    ("#c4620a", "#f0994a"),
    ("#2e8b45", "#5fc77a"),
    ("#c2328c", "#f273bf"),
    ("#7a4fd0", "#ab8bff"),
    ("#b8860b", "#e2b93b"),
    ("#8c4a3c", "#d99a88"),
    ("#4a6b8a", "#8fb3d4"),
    ("#6b7d1e", "#b5cb4f"),
)


ROOT = ".flowlang-graph"
_RULES = (
    ".page{fill:var(--page)}text{fill:var(--ink);font-size:12px}.name{font-size:20px;font-weight:650}"
    ".title{font-size:13.5px;font-weight:600}.verb{font-size:13px;font-weight:600}.soft{fill:var(--soft)}"
    ".note{fill:var(--soft);font-size:11px}.small{font-size:11px}.middle{text-anchor:middle}"
    ".code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:11.5px}"
    ".ask{fill:var(--ask);font-size:11px}.code.small{font-size:10.8px}"
    ".card .box{fill:var(--card);stroke:var(--rule)}.card .edge{fill:var(--hue)}"
    ".card .inner{fill:none;stroke:var(--rule)}.rule{stroke:var(--rule);stroke-dasharray:2 3}"
    ".inputs .box,.outputs .box{fill:var(--pill);stroke:var(--rule)}.raise{--hue:var(--bad)}"
    ".raise .title{fill:var(--bad)}.exit .box{stroke:var(--good);stroke-width:1.4}.exit .title{fill:var(--good)}"
    ".frame .box{fill:var(--frame);stroke:var(--rule)}.transaction .box{stroke:var(--hue);stroke-width:1.5}"
    ".lane .box{stroke-dasharray:5 4}.bad .box{stroke:var(--bad);stroke-dasharray:5 4}.bad .verb{fill:var(--bad)}"
    ".line{fill:none;stroke:var(--line);stroke-width:1.4}.error{stroke:var(--bad);stroke-dasharray:5 4}"
    ".back{stroke-dasharray:2 3}.tip{fill:var(--line)}.badtip{fill:var(--bad)}.bar{fill:var(--line)}"
    ".label rect{fill:var(--pill);stroke:var(--rule)}.label.bad text{fill:var(--bad)}"
    ".badge rect{fill:var(--hue);fill-opacity:.13}.badge circle{fill:var(--hue)}"
)


def _style() -> str:
    light = "".join(f"--h{at}:{one};" for at, (one, _) in enumerate(HUES))
    dark = "".join(f"--h{at}:{one};" for at, (_, one) in enumerate(HUES))
    hues = "".join(f".hue{at}{{--hue:var(--h{at})}}" for at in range(len(HUES)))
    return (
        f"{ROOT}{{--page:#fbfbfd;--card:#fff;--ink:#1d2433;--soft:#5b6577;--rule:#d5dae3;--line:#8a94a6;--pill:#eef1f6;"
        f"--frame:#7787a31a;--bad:#c4314b;--good:#2e8b45;--ask:#8a5a00;--hue:#8a94a6;{light}"
        "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}"
        f"@media(prefers-color-scheme:dark){{{ROOT}{{--page:#14171d;--card:#1e232c;--ink:#e6e9f0;--soft:#a3adbf;"
        "--rule:#3a4250;--line:#7d889b;--pill:#2a313d;--frame:#8fa3c914;--bad:#ff7f92;--good:#6fd089;"
        f"--ask:#e9bd62;--hue:#7d889b;{dark}}}}}" + _scoped(hues + _RULES)
    )


def _scoped(rules: str) -> str:
    """`rules` for what is inside the drawing only: it may stand in a page that has classes of the same names."""

    def scoped(match: re.Match[str]) -> str:
        return ",".join(f"{ROOT} {each}" for each in match[1].split(",")) + "{"

    return re.sub(r"([^{}]+)\{", scoped, rules)


STYLE = _style()
