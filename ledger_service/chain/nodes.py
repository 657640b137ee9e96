"""Which node is asked: our own, the first, and another one while it is away, behind or caught in a lie."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from ledger_service.domain import errors

#: How long a node is left alone after a failure; twice as long after each further one.
FIRST_PAUSE = 30.0
LONGEST_PAUSE = 600.0
#: For so long it counts what a node said of its head.
FRESH_SECONDS = 15.0
#: A node is behind if others have so many blocks more: five seconds' worth, and no fewer than three.
BEHIND_SECONDS = 5.0
BEHIND_BLOCKS = 3

log = structlog.get_logger()


@dataclass
class Standing:
    """What is known of a node. `head` None: it has not told of one. Times are of the monotonic clock."""

    name: str
    head: int | None = None
    heard: float = 0.0
    failures: int = 0
    until: float = 0.0
    why: str = ""
    lied: bool = False


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as people are told of it. `why`: what stands against using it, if anything does."""

    name: str
    used: bool
    head: int | None
    why: str


class Nodes:
    """The nodes of the list in the order to ask them."""

    def __init__(
        self, names: Sequence[str], period: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self.standings = [Standing(name) for name in names]
        self.used = 0
        self._behind = max(BEHIND_BLOCKS, round(BEHIND_SECONDS / period) if period else 0)

    def order(self) -> list[int]:
        """Return the nodes in the order to ask: who is left alone now, last."""
        return sorted(range(len(self.standings)), key=self._rank)

    def _rank(self, index: int) -> tuple[bool, bool, float, int]:
        it = self.standings[index]
        paused = self.is_paused(index)
        return (paused and it.lied, paused or self.is_behind(index), it.until * paused, index)

    def is_paused(self, index: int) -> bool:
        """Say whether a node is left alone for a while."""
        return self.standings[index].until > self._clock()

    def is_behind(self, index: int) -> bool:
        """Say whether other nodes, that are not left alone, have a much higher head."""
        now, own = self._clock(), self.standings[index].head
        heads = [
            it.head
            for it in self.standings
            if it.head is not None and it.until <= now and now - it.heard < FRESH_SECONDS
        ]
        return bool(heads) and own is not None and max(heads) - own >= self._behind

    def saw(self, index: int, head: int) -> None:
        """Note what a node says of its head; who was only away is used again."""
        it = self.standings[index]
        it.head, it.heard = head, self._clock()
        if not it.lied:
            it.until = 0.0

    def served(self, index: int) -> None:
        """Note that a node was asked and answered."""
        it = self.standings[index]
        if it.failures and self._clock() > it.until + self._pause(it.failures):
            it.failures, it.why, it.lied = 0, "", False
        if index != self.used:
            log.warning(
                "another node is asked", node=it.name, instead_of=self.standings[self.used].name
            )
            self.used = index

    def complain(self, index: int, why: errors.LedgerError) -> None:
        """Leave a node alone for a while: longer each time, and whatever it says if it lied."""
        it = self.standings[index]
        it.failures += 1
        it.lied = not isinstance(why, errors.NodeUnreachable)
        it.until, it.why = self._clock() + self._pause(it.failures), str(why)
        if it.lied:
            log.error("a node is not believed", node=it.name, code=why.code, why=it.why)

    def views(self) -> list[NodeView]:
        """Return what is known of each."""
        return [self._view(index, it) for index, it in enumerate(self.standings)]

    def _view(self, index: int, it: Standing) -> NodeView:
        why = it.why if self.is_paused(index) else ""
        if not why and self.is_behind(index):
            why = "behind the others"
        return NodeView(it.name, used=index == self.used, head=it.head, why=why)

    @staticmethod
    def _pause(failures: int) -> float:
        return min(LONGEST_PAUSE, FIRST_PAUSE * float(2 ** min(failures - 1, 10)))
