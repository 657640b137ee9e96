"""What can go wrong, how often it does, and how often it did."""

from __future__ import annotations

import random
from collections import Counter

#: Faults of single calls: (share of the calls at intensity 1).
CALLS: dict[str, float] = {
    "node away": 0.01,
    "node's answer lost": 0.01,
    "node slow": 0.01,
    "send lost": 0.04,
    "send's answer lost": 0.06,
    "send doubled": 0.06,
    "send late": 0.06,
    "database refuses to begin": 0.004,
    "database fails within": 0.005,
    "commit refused": 0.015,
    "commit's answer lost": 0.015,
    "database slow": 0.004,
    "disk full": 0.06,
    "object store slow": 0.03,
    "destination down": 0.15,
    "destination's answer lost": 0.25,
    "destination lies": 0.35,
    "destination refuses for good": 0.15,
    "destination slow": 0.2,
    "destination late": 0.2,
    "frozen while it delivers": 0.3,
    "service away": 0.02,
    "service's answer lost": 0.03,
    "service lies": 0.04,
    "service tells another content": 0.15,
    "journal full": 0.02,
    "power lost": 0.3,
    "post doubled": 0.35,
}
#: What is outside goes on being bad for a while when all else is well: most is delivered only then.
OUTLASTING = frozenset(kind for kind in CALLS if "destination" in kind)
#: Faults of the world: weights among each other.
EVENTS: dict[str, float] = {
    "crash": 1.0,
    "crash in its turn": 0.0,  # by the loop, at any step
    "crash at a place": 0.0,  # by the loop, where a task waits
    "frozen": 1.0,
    "reorganisation": 1.5,
    "reorganisation forgets": 1.0,
    "pool lost": 2.0,
    "node rolled back": 1.2,
    "chain halted": 1.0,
    "nonce stolen": 1.0,
    "database outage": 1.0,
    "clock jumps": 1.2,
    "fees rise": 1.0,
    "gas falls": 1.0,
    "paused": 1.0,
    "folder lost": 1.2,
    "rows restored": 1.2,
    "nodes disagree": 1.1,
}
KINDS = (*CALLS, *EVENTS)


class Faults:
    """The faults of one run: off, nothing goes wrong."""

    def __init__(self, rng: random.Random, intensity: float) -> None:
        self._random = rng.random
        self.rng = rng
        self.on = True
        self.outside = True  #: those at the destinations
        self.counts: Counter[str] = Counter()
        self._rates = {kind: rate * intensity for kind, rate in CALLS.items()}

    def hit(self, kind: str) -> bool:
        """Decide whether this happens to the call at hand, and count it."""
        on = self.on or (self.outside and kind in OUTLASTING)
        if on and self._random() < self._rates[kind]:
            self.counts[kind] += 1
            return True
        return False

    def chance(self, share: float) -> bool:
        """Decide by a share of all cases."""
        return self._random() < share

    def event(self) -> str:
        """Choose what happens to the world next."""
        return self.rng.choices(list(EVENTS), list(EVENTS.values()))[0]
