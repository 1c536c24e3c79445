"""What the runs of one process have in common. Whoever starts runs owns it, and hands it to each of them."""

from __future__ import annotations

from flowlang.engine.cache import OutputCache
from flowlang.engine.gates import Gates


class Common:
    """`cache`: what reading steps returned. `gates`: which runs are under way, where a flow bounds them."""

    def __init__(self) -> None:
        self.cache = OutputCache()
        self.gates = Gates()
