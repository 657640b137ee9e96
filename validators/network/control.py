"""Running a network's nodes detached from this process: start, stop, health."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

from ledger_service.domain import errors
from validators.network.ask import ask, height
from validators.network.files import Network, write_atomically
from validators.network.geth_build import Report
from validators.network.plan import Launch, Plan
from validators.network.processes import ProcessSpec, specs

#: Four JVMs that start at once on a busy machine took over two minutes; who dies is seen at once.
READY_SECONDS = 240.0
#: Besu tries its peers again after a minute, and the rounds without a quorum grow meanwhile.
FLOW_SECONDS = 180.0
STOP_SECONDS = 20.0
REPORT_SECONDS = 5.0
POLL_SECONDS = 0.1
#: A network with a period is ill when its last block is older than this many periods, and so many seconds.
STALE_PERIODS, STALE_SECONDS = 5, 15.0


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """What one node says. `agrees`: it has the same block as the others at their common height."""

    name: str
    up: bool
    pid: int | None = None
    height: int | None = None
    peers: int | None = None
    head: str | None = None
    agrees: bool | None = None
    last_block_age: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """The whole network: healthy if all nodes are up, agree, and blocks flow where they should."""

    healthy: bool
    reason: str
    nodes: tuple[NodeHealth, ...]


async def start(folder: Path, report: Report) -> Network:
    """Start the nodes that are down; return when all answer and blocks flow.

    Raise NodeFailed if one ends or does not come up; the others keep running.
    """
    network, plan = Network.load(folder), Plan.load(folder)
    pairs = list(zip(plan.launches, specs(folder), strict=True))
    down = [(launch, spec) for launch, spec in pairs if running(plan, launch) is None]
    before = max(await _heights(plan)) if len(down) < len(pairs) else -1
    if down:
        report(f"starting {', '.join(launch.name for launch, _ in down)}")
    starts = (_start_one(plan, launch, spec) for launch, spec in down)
    # All have their try; then the first failure is told, and the others keep running.
    for outcome in await asyncio.gather(*starts, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
    await _check_genesis(network, plan)
    if network.block_period and network.kind != "embedded":
        await until_flowing(plan, before, report)
    return network


async def stop(folder: Path) -> list[str]:
    """End the nodes (SIGTERM, then SIGKILL); return the names of those that ran."""
    plan = Plan.load(folder)
    up = [(x, pid) for x in plan.launches if (pid := running(plan, x)) is not None]
    await asyncio.gather(*(_end(plan, launch, pid) for launch, pid in up))
    return [launch.name for launch, _ in up]


async def health(folder: Path) -> Health:
    """Ask every node. Raise BadNetwork without a network there."""
    network, plan = Network.load(folder), Plan.load(folder)
    found = await asyncio.gather(*(_look(plan, launch) for launch in plan.launches))
    common = min((node.height for node in found if node.height is not None), default=0)
    settled = max(0, common - network.finality_depth)
    nodes = await asyncio.gather(*(_compare(plan, node, settled) for node in found))
    hashes = {node.head for node in nodes if node.head}
    judged = tuple(_judge(node, agree=len(hashes) == 1) for node in nodes)
    reason = _complaint(network, judged)
    return Health(healthy=not reason, reason=reason, nodes=judged)


def running(plan: Plan, launch: Launch) -> int | None:
    """Return the process id of a detached node, None if it does not run.

    A process that only inherited the number is told apart by its command line.
    """
    try:
        pid = int(plan.pid(launch).read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except (OSError, ValueError):
        return None
    mark = plan.folder if plan.software == "embedded" else plan.node(launch)
    return pid if str(mark).encode() in words and state != "Z" else None


async def until_flowing(plan: Plan, before: int, report: Report) -> None:
    """Return when every node has a block that was not there: above `before`, and above now's height.

    Raise NodeFailed after three minutes.
    """
    started = told = time.monotonic()
    wanted = max(0, before, *await _heights(plan)) + 1
    while True:
        heights = await _heights(plan)
        if min(heights) >= wanted:
            report(f"blocks flow, height {min(heights)}")
            return
        now = time.monotonic()
        if now - started > FLOW_SECONDS:
            raise errors.NodeFailed("No blocks.", heights=heights, logs=plan.folder / "logs")
        if now - told > REPORT_SECONDS:
            report(f"waiting for blocks: {now - started:.0f} s, heights {heights}")
            told = now
        await asyncio.sleep(POLL_SECONDS)


async def _start_one(plan: Plan, launch: Launch, spec: ProcessSpec) -> None:
    restart = plan.pid(launch).exists()
    write_atomically(plan.pid(launch), str(_spawn(spec)).encode())
    deadline = time.monotonic() + READY_SECONDS
    while spec.ready is not None and not await spec.ready():
        if running(plan, launch) is None or time.monotonic() > deadline:
            raise errors.NodeFailed(node=launch.name, log=_tail(spec.log))
        await asyncio.sleep(POLL_SECONDS)
    if spec.after_start is not None:
        await spec.after_start(restart)


def _spawn(spec: ProcessSpec) -> int:
    """Start a process that outlives this one; return its id."""
    spec.log.parent.mkdir(parents=True, exist_ok=True)
    with spec.log.open("ab") as output:
        process = subprocess.Popen(
            spec.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=spec.cwd,
            env={**os.environ, **spec.env},
            start_new_session=True,
        )
    process.returncode = 0  # Let go of it on purpose: from now on the pid file stands for it.
    return process.pid


async def _check_genesis(network: Network, plan: Plan) -> None:
    for launch in plan.launches:
        block = await ask(launch.rpc, "eth_getBlockByNumber", "0x0", False)
        if block["hash"] != network.genesis_digest:
            raise errors.WrongChain(
                node=launch.name, found=block["hash"], expected=network.genesis_digest
            )


async def _heights(plan: Plan) -> list[int]:
    """Return each node's height; -1 of one that does not answer now."""
    found = await asyncio.gather(*(height(x.rpc) for x in plan.launches), return_exceptions=True)
    return [number if isinstance(number, int) else -1 for number in found]


async def _end(plan: Plan, launch: Launch, pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running(plan, launch) is not None:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            deadline += STOP_SECONDS
        await asyncio.sleep(POLL_SECONDS)


async def _look(plan: Plan, launch: Launch) -> NodeHealth:
    pid = running(plan, launch)
    try:
        block = await ask(launch.rpc, "eth_getBlockByNumber", "latest", False)
        peers = int(await ask(launch.rpc, "net_peerCount"), 16)
    except errors.ChainError:
        return NodeHealth(launch.name, up=False, pid=pid)
    number, stamp = int(block["number"], 16), int(block["timestamp"], 16)
    age = max(0.0, time.time() - stamp) if number else None
    return NodeHealth(launch.name, True, pid, number, peers, last_block_age=age)


async def _compare(plan: Plan, node: NodeHealth, at: int) -> NodeHealth:
    """Add the hash that the node has at a height where all should agree."""
    if not node.up:
        return node
    (launch,) = (x for x in plan.launches if x.name == node.name)
    try:
        block = await ask(launch.rpc, "eth_getBlockByNumber", hex(at), False)
    except errors.ChainError:
        return node
    return replace(node, head=str(block["hash"]) if block else None)


def _judge(node: NodeHealth, *, agree: bool) -> NodeHealth:
    return replace(node, agrees=agree) if node.up else node


def _complaint(network: Network, nodes: tuple[NodeHealth, ...]) -> str:
    if down := [node.name for node in nodes if not node.up]:
        return f"down: {', '.join(down)}"
    if not all(node.agrees for node in nodes):
        return "the nodes do not agree on the chain"
    if lonely := [node.name for node in nodes if len(nodes) > 1 and not node.peers]:
        return f"without peers: {', '.join(lonely)}"
    limit = max(STALE_PERIODS * network.block_period, STALE_SECONDS)
    ages = [node.last_block_age for node in nodes]
    expected = network.block_period and network.kind != "embedded"
    if expected and any(age is None or age > limit for age in ages):
        return "no new blocks"
    return ""


def _tail(path: Path, lines: int = 15) -> str:
    text = path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return "\n" + "\n".join(text)
