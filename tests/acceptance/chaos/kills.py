"""kill -9 and SIGSTOP at random moments, by a seed; a killed node comes back by `mol network start`."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from ledger_service.demo.claims import Claim
from tests.acceptance.chaos.load import Load
from tests.acceptance.chaos.stack import Shape, Stack, running
from tests.acceptance.chaos.verdict import Verdict, judge
from validators.network.files import Kind

#: A process is left alone for so long after a kill: it must have a chance to do something wrong.
REST_SECONDS = 3.0
NODE_REST_SECONDS = 15.0
#: The receiver of the webhook is the world outside; it is not what is tried here.
SPARED = ("webhook",)
FOLLOW_SECONDS = 240.0
#: A frozen relay's rows are another's before it wakes: then its own notes must count for nothing.
LEASE_SECONDS, FREEZE_SECONDS = 5, 8.0


class Killer:
    """Kills and freezes at moments within a span, and processes, that the seed chooses."""

    def __init__(self, stack: Stack, rng: random.Random) -> None:
        self._stack = stack
        self._rng = rng
        self._rests: dict[str, float] = {}
        self._mending: list[asyncio.Task[None]] = []
        self.killed: Counter[str] = Counter()
        self.frozen: Counter[str] = Counter()

    async def run(self, kills: int, freezes: int, seconds: float) -> None:
        started = time.monotonic()
        strikes = [self._kill] * kills + [self._freeze] * freezes
        self._rng.shuffle(strikes)
        moments = sorted(self._rng.uniform(0, seconds) for _ in strikes)
        for moment, strike in zip(moments, strikes, strict=True):
            await asyncio.sleep(max(0.0, started + moment - time.monotonic()))
            while not await self._struck(strike):  # noqa: ASYNC110  a rest ends with no event
                await asyncio.sleep(0.1)
        await asyncio.gather(*self._mending)

    async def _struck(self, strike: Callable[[str], Awaitable[bool]]) -> bool:
        able = self._able()
        return bool(able) and await strike(self._rng.choice(able))

    async def _freeze(self, name: str) -> bool:
        if not self._stack.signal(name, signal.SIGSTOP):
            return False
        self.frozen[name] += 1
        rest = time.monotonic() + FREEZE_SECONDS + REST_SECONDS
        self._rests |= dict.fromkeys(self._alike(name), rest)
        self._mending.append(asyncio.create_task(self._thaw(name)))
        return True

    async def _thaw(self, name: str) -> None:
        await asyncio.sleep(FREEZE_SECONDS)
        self._stack.signal(name, signal.SIGCONT)

    def _alike(self, name: str) -> list[str]:
        """Return what rests with it: of nodes one at a time is away, or the chain would halt."""
        return self._stack.nodes if name in self._stack.nodes else [name]

    async def _kill(self, name: str) -> bool:
        now, nodes = time.monotonic(), self._stack.nodes
        if name in nodes:
            struck = await self._stack.kill_node(name)
            self._rests |= dict.fromkeys(nodes, now + NODE_REST_SECONDS)
            self._mending.append(asyncio.create_task(self._stack.start_nodes()))
        else:
            struck = self._stack.signal(name, signal.SIGKILL)
            self._rests[name] = now + REST_SECONDS
        self.killed[name] += struck
        return struck

    def _able(self) -> list[str]:
        now = time.monotonic()
        names = [name for name in self._stack.supervisor.names() if name not in SPARED]
        return [n for n in (*names, *self._stack.nodes) if self._rests.get(n, 0) <= now]


def shape(kind: Kind, database: str, workers: int, orders: int) -> Shape:
    """Return many workers of each part, whose leases are shorter than a freeze."""
    environment = {"MOL_RELAY__LEASE_SECONDS": str(LEASE_SECONDS)}
    return Shape(kind, database, workers, orders, environment)


def mixed(stack: Stack, rng: random.Random) -> list[Claim]:
    """Return what is to be claimed, the false claim somewhere in it."""
    claims = list(stack.claims)
    claims.insert(rng.randint(0, len(claims)), stack.lie)
    return claims


async def run(
    folder: Path,
    wanted: Shape,
    rng: random.Random,
    *,
    kills: int,
    freezes: int,
    seconds: float,
    report: Callable[[str], None],
) -> Verdict:
    """Post evidence and report work while processes are killed; judge what came of it."""
    async with running(folder, wanted) as stack, Load(stack) as load:
        report(f"{len(stack.supervisor.names())} processes and {len(stack.nodes)} node(s) run")
        killer = Killer(stack, rng)
        await asyncio.gather(
            killer.run(kills, freezes, seconds), load.spread(mixed(stack, rng), seconds)
        )
        report(f"killed {dict(killer.killed)}, frozen {dict(killer.frozen)}")
        await load.follow(seconds=FOLLOW_SECONDS)
        stack.supervisor.check()
        verdict = await judge(stack, load.pieces)
        verdict.figures |= {"kills": killer.killed.total(), "freezes": killer.frozen.total()}
        verdict.figures["accepted"] = len(load.pieces)
        return verdict
