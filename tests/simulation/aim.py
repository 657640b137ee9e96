"""Aimed deaths: a task dies at a place where it waits, because of the place and not of the moment.

Deaths at random moments fall where processes wait most of the time. So for each place of the verbs the
seed also draws, when the run first comes by, whether somebody dies there and at which coming. What a run
comes by late is rare, and more likely chosen.
"""

from __future__ import annotations

import random
from typing import Any

from tests.simulation.coverage import standing

LEAST, MOST = 0.02, 0.5  #: the share of places that are chosen: at the begin of a run, and late
LATE = 12_000  #: suspensions after which a place is as rare as any
NEVER = 0


class Aim:
    """The places of one run where somebody dies."""

    def __init__(self, rng: random.Random, eagerness: float) -> None:
        """`eagerness` scales how many are chosen."""
        self._random = rng.random
        self._eagerness = eagerness
        self._left: dict[tuple[int, int], int] = {}
        self._looks = 0

    def hits(self, work: Any) -> bool:
        """Say whether a task that has just begun to wait dies of where it does."""
        left, hit = self._left, False
        self._looks += 1
        for frame in standing(work):
            place = (id(frame.f_code), frame.f_lasti)
            times = left.get(place)
            if times is None:
                times = self._draw()
            if times:
                times -= 1
                hit = hit or not times
            left[place] = times
        return hit

    def _draw(self) -> int:
        """Choose at which coming somebody dies at a place."""
        rarity = min(1.0, self._looks / LATE)
        if self._random() >= self._eagerness * (LEAST + (MOST - LEAST) * rarity):
            return NEVER
        return 1 + int(self._random() * self._random() * 4)
