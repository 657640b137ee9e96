"""How each node of a folder is run, for whoever runs it: `mol network start`, or a supervisor.

A spec is started the same way the first time and after any death; `ready` says when the node
answers, `after_start` does what must come then. For a Clique signer that is: meet a peer, be level
with all peers that answer, then `miner_start`. Specs of one network are started side by side, for
`after_start` waits for the others.

The signers of a new chain begin in the same moment, at a full second. The genesis lies in the past,
so whose turn it is seals at once, and the others, who add a chance delay to the second that they
are in, would do so too if much of it were over. Several blocks 1 can grow into two chains of one
difficulty on which each signer has just signed: then none may seal, for good. Nor can one begin
before the others: who does not seal yet discards a first block.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import validators
from ledger_service.domain import errors
from validators.network import besu, geth
from validators.network.ask import answers, ask, height
from validators.network.plan import Launch, Plan

MEET_SECONDS = 60.0
POLL_SECONDS = 0.2
GONE_SECONDS = 5.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to run. `after_start` is called after each time it is ready; True: it is a restart."""

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready: Callable[[], Awaitable[bool]] | None = None
    after_start: Callable[[bool], Awaitable[None]] | None = None


def specs(folder: Path) -> list[ProcessSpec]:
    """Return the processes of a network folder. Raise BadNetwork."""
    plan = Plan.load(folder)
    gate = Gate(len(plan.launches))
    return [_spec(plan, launch, gate) for launch in plan.launches]


class Gate:
    """Where the signers of a new chain wait for each other."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self._open = asyncio.Event()

    async def enter(self) -> None:
        """Return when all are there, just after a full second. Raise TimeoutError after a minute."""
        self._missing -= 1
        if self._missing <= 0:
            self._open.set()
        await asyncio.wait_for(self._open.wait(), MEET_SECONDS)
        await asyncio.sleep(1 - time.time() % 1)


def _spec(plan: Plan, launch: Launch, gate: Gate) -> ProcessSpec:
    log_file, ready = plan.log(launch), partial(answers, launch.rpc)
    match plan.software:
        case "embedded":
            argv = _embedded(plan, launch)
            root = Path(validators.__file__).parents[1]
            return ProcessSpec(launch.name, argv, log_file, cwd=root, ready=ready)
        case "besu":
            argv, env = besu.command(plan, launch), besu.environment()
            return ProcessSpec(launch.name, argv, log_file, env, ready=ready)
        case "goquorum":
            argv, env = geth.command(plan, launch), geth.environment(plan)
            return ProcessSpec(launch.name, argv, log_file, env, ready=ready)
        case "geth":
            argv = geth.command(plan, launch)
            begin = partial(begin_sealing, plan, launch, gate)
            return ProcessSpec(launch.name, argv, log_file, ready=ready, after_start=begin)


async def begin_sealing(plan: Plan, launch: Launch, gate: Gate, restart: bool) -> None:  # noqa: FBT001  a supervisor's hook
    """Let a signer seal once it is level with its peers. Return at once if it dies meanwhile.

    The first time, raise NodeFailed if no peer comes within a minute. Later it waits for as long
    as it takes: a signer alone could do nothing but split the chain.
    """
    rivals = [other.rpc for other in plan.launches if other is not launch]
    loop = asyncio.get_running_loop()
    started = alive = loop.time()
    while rivals:
        try:
            if await _level(launch.rpc, rivals):
                break
            alive = loop.time()
        except errors.NodeUnreachable:
            if loop.time() - alive > GONE_SECONDS:
                log.warning("%s is gone before it could seal", launch.name)
                return
        if not restart and loop.time() - started > MEET_SECONDS:
            raise errors.NodeFailed("It finds no peers.", node=launch.name, log=plan.log(launch))
        await asyncio.sleep(POLL_SECONDS)
    if rivals and not restart and not await height(launch.rpc):
        try:
            await gate.enter()
        except TimeoutError as exc:
            raise errors.NodeFailed("Not all signers came.", node=launch.name) from exc
    await ask(launch.rpc, "miner_start")


async def _level(own: str, rivals: Sequence[str]) -> bool:
    """Say whether a node has a peer, and the height of the highest rival that answers.

    On a new chain: whether it has all rivals as peers.

    Raise NodeUnreachable if the node itself does not answer.
    """
    peers = int(await ask(own, "net_peerCount"), 16)
    if not peers:
        return False
    found = await asyncio.gather(*(height(r) for r in rivals), return_exceptions=True)
    highest = max((number for number in found if isinstance(number, int)), default=0)
    return await height(own) >= highest and (highest > 0 or peers >= len(rivals))


def _embedded(plan: Plan, launch: Launch) -> list[str]:
    return [
        *(sys.executable, "-m", "validators.network.embedded", "--dir", str(plan.folder)),
        *("--port", str(launch.http), "--period", str(plan.period)),
        *("--chain-id", str(plan.chain_id)),
    ]
