"""`throughput`: orders validated a second by the whole stack, against what the same network can do.

Four nodes; API, anchor, watcher, relay and three agents, each a process of its own. A backlog of
evidence is posted to the API by a loader, and only after that the anchor starts: the figure is of
everything behind the intake. On the first chain a second, smaller run has the intake inside. Then all
but the nodes stop, and the rivals have the network to themselves: the flood and the plain loop
(`flood.py`). They come last because they sign with the agents' keys: an agent recalls what its key
said, and leaves to a person a machine of which the service has no statement. Rates are by the chain's
own blocks, from the first proposal to the last validation.

Blocks of 1 s are the most that such a chain does, and what the processors must keep up with; with
blocks of 5 s, which the documentation and generators of private chains propose, the chain is the limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from ledger_service.chain.client import ChainLedger
from ledger_service.chain.settings import ChainSettings, Deployment
from ledger_service.demo import claims as claiming
from ledger_service.demo import keys, plant
from ledger_service.demo.claims import Claim
from ledger_service.demo.plant import Built
from ledger_service.demo.site import PARTIES, Site
from ledger_service.demo.supervisor import Process, Supervisor
from ledger_service.domain import ids
from tests.bench import backlog, stored, submit, usage
from tests.bench.api import BACKLOG, Post, send_all
from tests.bench.figures import Against, Result, Target
from tests.bench.flood import Hands, flood, loop
from tests.bench.options import Options, fresh
from tests.bench.rate import Span, until_validated
from tests.bench.stack import answers

LEAST_GAS, MOST_GAS = 10_000_000, 30_000_000
GAS_AN_ORDER = 121_164  #: in batches of twenty, all four transactions (`gas`)
#: Of the limit of gas; the flood fills three quarters of a block, so it takes eleven.
FLOOD_BLOCKS = 8
LOOP_ORDERS = 2
OF_CEILING = Target(0.9, "at least")
SECONDS = 300.0
FULL, IDLE_CORES = 0.72, 0.2  #: a block holds no further batch when about three quarters are used


@dataclass(frozen=True, slots=True)
class Chain:
    """What a chain allows: gas a block, and seconds from one block to the next."""

    gas: int
    period: float

    def __str__(self) -> str:
        return f"{self.gas // 1_000_000} M gas, {self.period:g} s"


@dataclass(frozen=True, slots=True)
class Running:
    """A plant with its chain running, what else runs (`parts`), and who may sign on it."""

    built: Built
    nodes: Supervisor
    parts: Supervisor
    claims: Sequence[Claim]
    ledger: ChainLedger
    hands: Hands

    def pids(self) -> dict[str, int]:
        """Return the processes by name."""
        both = (self.nodes, self.parts)
        return {name: group.pid(name) for group in both for name in group.names()}


async def measure(options: Options) -> list[Result]:
    """Measure. Raise NodeBinaryMissing without the chain's program."""
    results: list[Result] = []
    for number, chain in enumerate(chains(options.period)):
        results += await _at(options, chain, intake=number == 0)
    results += await submit.measure(options)
    return results + await stored.measure(options)


def chains(period: int | None) -> list[Chain]:
    """Return the chains that are measured: of one period, or of all that the published table has."""
    if period is not None:
        return [Chain(LEAST_GAS, period), Chain(MOST_GAS, period)]
    return [Chain(LEAST_GAS, 1), Chain(LEAST_GAS, 5), Chain(MOST_GAS, 1)]


async def _at(options: Options, chain: Chain, *, intake: bool) -> list[Result]:
    """Measure everything on one chain; `intake`: also while evidence is posted."""
    async with _plant(options, chain) as running:
        async with running.parts:
            run = await _run(options, running, more=options.backlog // 4 if intake else 0)
        options.say(f"{chain}: {_exhausted(run)}; processors by process: {_told(run.shares)}")
        count = FLOOD_BLOCKS * chain.gas // GAS_AN_ORDER
        ceiling = await flood(running.ledger, running.hands, count)
        options.say(f"flood: {ceiling.rate:.1f}/s, blocks {100 * ceiling.full:.0f} % full")
        plain = await loop(running.ledger, running.hands, LOOP_ORDERS)
        options.say(f"plain loop: {plain:.2f}/s")
    against = Against("flood of signed transactions", ceiling.rate)
    found = [
        Result(f"validated, {chain}", run.backlog.rate, "1/s", against, OF_CEILING),
        Result(f"validated, {chain}, against a loop", run.backlog.rate, "1/s", _plain(plain)),
        Result(f"intake alone, {chain}", run.accepted, "1/s"),
        Result(f"gas used of blocks, {chain}", 100 * run.backlog.full, "%", _full(ceiling)),
        *_spent(run, chain),
    ]
    if run.intake is not None:
        found.append(Result(f"validated with the intake, {chain}", run.intake.rate, "1/s", against))
    return found


def _spent(run: Run, chain: Chain) -> list[Result]:
    """Return what each process took of the processors, and what an order cost it."""
    found = []
    for name, share in sorted(run.shares.items(), key=lambda item: -item[1]):
        found.append(Result(f"processors, {chain}: {name}", share, "cores"))
        if name not in {"idle", "others"}:
            each = 1000 * share * run.seconds / run.backlog.validated
            found.append(Result(f"processor time an order, {chain}: {name}", each, "ms"))
    return found


def _exhausted(run: Run) -> str:
    """Say what ran out: the gas of blocks, the processors (by whom most), or neither."""
    if run.backlog.full > FULL:
        return "the gas of the blocks is exhausted"
    if run.shares["idle"] < IDLE_CORES:
        ours = {name: n for name, n in run.shares.items() if name not in {"idle", "others"}}
        return f"the processors are exhausted, most of them by {max(ours, key=ours.__getitem__)}"
    return "neither gas nor processors are exhausted: it waits"


@dataclass(frozen=True, slots=True)
class Run:
    """What came of the stack's runs. `accepted`: posts a second, nothing being anchored.

    `shares`: processors in use from the anchor's start to the last validation, `seconds` long.
    """

    backlog: Span
    intake: Span | None
    accepted: float
    shares: Mapping[str, float]
    seconds: float


async def _run(options: Options, running: Running, *, more: int) -> Run:
    """Run the backlog, and then as many as `more` with their intake; none: only the backlog."""
    site, count = running.built.site, options.backlog
    options.say(f"{count + more} pieces of evidence are sealed by their devices")
    posts = await backlog.posts(site, running.claims, count + more, seed=1)
    await _start(running, "api")
    await asyncio.gather(*(_start_agent(running, party.name) for party in PARTIES))
    await _start(running, "follow")
    await _start(running, "relay")
    accepted = await _post(running, posts[:count])
    options.say(f"intake: {accepted:.1f}/s; the anchor starts")
    start, before = (await running.ledger.head()).number, usage.look(running.pids())
    await _start(running, "anchor")
    whole = await until_validated(running.ledger, start, count, seconds=SECONDS)
    after = usage.look(running.pids())
    shares = usage.shares(before, after)
    options.say(f"backlog: {whole.rate:.1f}/s")
    with_intake = await _with_intake(running, posts[count:]) if more else None
    return Run(whole, with_intake, accepted, _grouped(shares), after.at - before.at)


async def _with_intake(running: Running, posts: Sequence[Post]) -> Span:
    start = (await running.ledger.head()).number
    _, found = await asyncio.gather(
        _post(running, posts),
        until_validated(running.ledger, start, len(posts), seconds=SECONDS),
    )
    return found


def _grouped(shares: Mapping[str, float]) -> dict[str, float]:
    """Sum the nodes, and the agents: they do the same each."""
    found: dict[str, float] = {}
    for name, share in shares.items():
        kind = next((f"{word}s" for word in ("node", "agent") if name.startswith(word)), name)
        found[kind] = found.get(kind, 0.0) + share
    return found


@asynccontextmanager
async def _plant(options: Options, chain: Chain) -> AsyncIterator[Running]:
    site = Site(fresh(f"throughput-{chain.gas // 1_000_000}-{chain.period:g}"))
    claims = backlog.robots(site)
    machines = claiming.machines(site, claims)
    detectors = claiming.keep_models(site, claims)
    async with Supervisor() as nodes:
        network = await plant.lay_out(
            site, options.chain, options.say, period=chain.period, gas_limit=chain.gas
        )
        await plant.start_chain(site, nodes, options.say)
        built = await plant.found(site, network, machines, detectors, options.say)
        _allow(site)
        settings, deployment = ChainSettings.load(site.network), Deployment.load(site.deployment)
        ledger = ChainLedger(settings, deployment)
        try:
            version = await ledger.current_version(ids.asset_id(claims[0].asset))
            assert version is not None
            hands = Hands(
                plant.open_key(site, *keys.BUILDER),
                [plant.open_key(site, party.name, "verdict") for party in PARTIES],
                version.id,
                detectors[0],
            )
            yield Running(built, nodes, Supervisor(), claims, ledger, hands)
        finally:
            await ledger.close()


def _allow(site: Site) -> None:
    """Let a backlog wait, and robots fail all the time: an agent would take it for one episode."""
    config = site.config.read_text(encoding="utf-8")
    site.config.write_text(config + BACKLOG, encoding="utf-8")
    for party in PARTIES:
        file = site.agent(party) / "agent.toml"
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("[policy]\n", "[policy]\nepisode_hours = 0\n"), "utf-8")


async def _start(running: Running, part: str) -> None:
    site = running.built.site
    argv = plant.mol(part, "--config", site.config)
    ready = answers(running.built.base_url) if part == "api" else None
    await running.parts.start(Process(part, argv, site.logs / f"{part}.log", ready=ready))


async def _start_agent(running: Running, party: str) -> None:
    site = running.built.site
    config = next(site.agent(it) / "agent.toml" for it in PARTIES if it.name == party)
    argv = plant.mol("agent", "--config", config)
    await running.parts.start(Process(f"agent-{party}", argv, site.logs / f"agent-{party}.log"))


async def _post(running: Running, posts: Sequence[Post]) -> float:
    token = running.built.site.token("operator").read_text(encoding="utf-8").strip()
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(running.built.base_url, headers=headers) as session:
        return (await send_all(session, posts, lambda: None)).rate


def _plain(rate: float) -> Against:
    return Against("plain web3.py loop", rate)


def _full(ceiling: Span) -> Against:
    return Against("in the flood", 100 * ceiling.full)


def _told(shares: Mapping[str, float]) -> str:
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {share:.2f}" for name, share in ordered)
