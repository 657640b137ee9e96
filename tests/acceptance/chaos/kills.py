"""kill -9 of a process at random moments, by a seed; a node comes back by `mol network start`."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.chaos.load import Load
from tests.acceptance.chaos.stack import Shape, Stack, running
from tests.acceptance.chaos.verdict import Verdict, judge

#: A process is left alone for so long after a kill: it must have a chance to do something wrong.
REST_SECONDS = 3.0
NODE_REST_SECONDS = 15.0
#: The receiver of the webhook is the world outside; it is not what is tried here.
SPARED = ("webhook",)
FOLLOW_SECONDS = 240.0


class Killer:
    """Kills `count` times within `seconds`, at moments and of processes that the seed chooses."""

    def __init__(self, stack: Stack, rng: random.Random) -> None:
        self._stack = stack
        self._rng = rng
        self._rests: dict[str, float] = {}
        self._starting: list[asyncio.Task[None]] = []
        self.killed: Counter[str] = Counter()

    async def run(self, count: int, seconds: float) -> None:
        started = time.monotonic()
        for moment in sorted(self._rng.uniform(0, seconds) for _ in range(count)):
            await asyncio.sleep(max(0.0, started + moment - time.monotonic()))
            await self._strike()
        await asyncio.gather(*self._starting)

    async def _strike(self) -> None:
        while not (able := self._able()):  # noqa: ASYNC110  a rest ends by itself, with no event
            await asyncio.sleep(0.1)
        name, now = self._rng.choice(able), time.monotonic()
        self.killed[name] += 1
        self._rests[name] = now + REST_SECONDS
        if name in (nodes := self._stack.nodes):
            await self._stack.kill_node(name)
            self._rests |= dict.fromkeys(nodes, now + NODE_REST_SECONDS)
            self._starting.append(asyncio.create_task(self._stack.start_nodes()))
        else:
            self._stack.signal(name, signal.SIGKILL)

    def _able(self) -> list[str]:
        now = time.monotonic()
        names = [name for name in self._stack.supervisor.names() if name not in SPARED]
        return [n for n in (*names, *self._stack.nodes) if self._rests.get(n, 0) <= now]


async def run(
    folder: Path,
    shape: Shape,
    rng: random.Random,
    *,
    kills: int,
    seconds: float,
    report: Callable[[str], None],
) -> Verdict:
    """Post evidence and report work while processes are killed; judge what came of it."""
    async with running(folder, shape) as stack:
        report(f"{len(stack.supervisor.names())} processes and {len(stack.nodes)} node(s) run")
        load, killer = Load(stack), Killer(stack, rng)
        try:
            killing = asyncio.create_task(killer.run(kills, seconds))
            posting = asyncio.create_task(load.spread(stack.claims, seconds))
            await asyncio.gather(killing, posting)
            report(f"killed {dict(killer.killed)}")
            await load.follow(seconds=FOLLOW_SECONDS)
        finally:
            await load.close()
        stack.supervisor.check()
        verdict = await judge(stack, [piece.evidence for piece in load.pieces])
        verdict.figures |= {"kills": killer.killed.total(), "accepted": len(load.pieces)}
        return verdict
