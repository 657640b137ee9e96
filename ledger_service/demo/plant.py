"""Building a plant from nothing: keys, chain, contracts, motions, settings; then its processes."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from ledger_service import settings as config
from ledger_service.api.auth import make_token
from ledger_service.chain import consortium
from ledger_service.chain.account import Account
from ledger_service.chain.consortium import Motion, OrganisationKeys, VersionTerms
from ledger_service.chain.keys import LocalSigner, load_keystore, password_beside
from ledger_service.chain.settings import ChainSettings
from ledger_service.demo import configs, keys
from ledger_service.demo.site import HOST, PARTIES, SAFETY, Party, Site
from ledger_service.demo.supervisor import Process, Supervisor
from ledger_service.domain import ids
from ledger_service.domain.records import Role
from ledger_service.files import write_secret
from ledger_service.wiring.service import open_store
from validators.network import control
from validators.network.files import Kind, Network
from validators.network.layout import Wanted, create
from validators.network.plan import GAS_LIMIT, Plan
from validators.network.processes import specs

Report = Callable[[str], None]
EMERGENCY_CAP = 2_000_000
EMERGENCY_MAX = 3
HEALTH_SECONDS = 1.0
PERIOD = 1.0  #: seconds a block


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of the plant: its asset name, type, and the public id of its device key."""

    asset: str
    type: str
    device: ids.DeviceId


@dataclass(frozen=True, slots=True)
class Built:
    """A plant that is built and not running."""

    site: Site
    network: Network
    base_url: str


async def build(
    site: Site,
    kind: Kind,
    machines: Sequence[Machine],
    detectors: Sequence[ids.DetectorId],
    supervisor: Supervisor,
    report: Report,
) -> Built:
    """Make keys, start the chain, deploy, pass all motions, write settings and tokens.

    Raise NodeBinaryMissing where the chain's program is not there, ProcessFailed, ChainError.
    """
    network = await lay_out(site, kind, report)
    await start_chain(site, supervisor, report)
    report(
        f"chain runs: {len(network.nodes)} {network.software} node(s),"
        f" {network.block_period:g} s blocks"
    )
    return await found(site, network, machines, detectors, report)


async def lay_out(
    site: Site, kind: Kind, report: Report, *, period: float = PERIOD, gas_limit: int = GAS_LIMIT
) -> Network:
    """Make the keys and the network's folder; nothing is started.

    `period`: seconds from block to block; the embedded chain makes one when one is wanted.

    Raise NodeBinaryMissing.
    """
    addresses = await asyncio.to_thread(keys.make_keys, site)
    report("keys made: three organisations with three each, the builder, the deployer")
    fund = [ids.checksum(address) for address in addresses.values()]
    embedded = kind == "embedded"
    wanted = Wanted(
        kind, 1 if embedded else 4, 0.0 if embedded else period, fund=fund, gas_limit=gas_limit
    )
    return await create(site.chain, wanted, report)


async def found(
    site: Site,
    network: Network,
    machines: Sequence[Machine],
    detectors: Sequence[ids.DetectorId],
    report: Report,
) -> Built:
    """Deploy on a chain that runs, pass all motions, write settings and tokens. Raise ChainError."""
    await _deploy(site, machines, detectors)
    report("contracts deployed; members, machines, devices and detectors registered by motions")
    base_url = f"http://127.0.0.1:{free_port()}"
    configs.write(site, network, base_url, {m.asset: m.type for m in machines})
    await _make_tokens(site)
    return Built(site, network, base_url)


async def start_chain(site: Site, supervisor: Supervisor, report: Report) -> None:
    """Start the nodes, watched; return when blocks flow where they come by themselves.

    Raise ProcessFailed, NodeFailed.
    """
    await supervisor.start(
        *(
            Process(s.name, s.argv, s.log, s.env, s.cwd, s.ready, s.after_start)
            for s in specs(site.chain)
        )
    )
    plan = Plan.load(site.chain)
    if plan.software != "embedded":
        await control.until_flowing(plan, 0, report)


async def start_parties(built: Built, supervisor: Supervisor) -> None:
    """Start the service and three agents, each a process of its own, watched."""
    site = built.site

    async def serves() -> bool:
        try:
            async with httpx.AsyncClient(timeout=HEALTH_SECONDS) as client:
                return (await client.get(f"{built.base_url}/health/live")).is_success
        except httpx.HTTPError:
            return False

    await supervisor.start(
        Process(
            "service", mol("up", "--config", site.config), site.logs / "service.log", ready=serves
        ),
        *(
            Process(
                f"agent-{party.name}",
                mol("agent", "--config", site.agent(party) / "agent.toml"),
                site.logs / f"agent-{party.name}.log",
            )
            for party in PARTIES
        ),
    )


def mol(*arguments: object) -> list[str]:
    """Return the command line of a `mol` command, run by this interpreter."""
    return [sys.executable, "-m", "ledger_service", *map(str, arguments)]


def free_port() -> int:
    """Return a TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def open_key(site: Site, owner: str, role: str) -> LocalSigner:
    """Open a key of the plant."""
    keystore = site.keystore(owner, role)
    return load_keystore(keystore, password_beside(keystore))


def organisation_keys(site: Site, party: Party) -> OrganisationKeys:
    """Open an organisation's three keys; only a demo has them in one place."""
    return OrganisationKeys(*(open_key(site, party.name, role) for role in keys.ROLES))


@asynccontextmanager
async def accounts(
    settings: ChainSettings, signers: Sequence[LocalSigner]
) -> AsyncIterator[list[Account]]:
    """Open accounts that send by hand."""
    opened = [Account(settings, signer) for signer in signers]
    try:
        yield opened
    finally:
        await asyncio.gather(*(account.close() for account in opened))


async def _deploy(
    site: Site, machines: Sequence[Machine], detectors: Sequence[ids.DetectorId]
) -> None:
    settings = ChainSettings.load(site.network)
    parties = [organisation_keys(site, party) for party in PARTIES]
    signers = [open_key(site, *keys.DEPLOYER), *(party.governance for party in parties)]
    builder = open_key(site, *keys.BUILDER)
    async with accounts(settings, signers) as (deployer, *voters):
        deployment = await consortium.deploy(deployer, parties, [builder])
        configs.write_json(site.deployment, deployment.as_json())
        listing = consortium.motion("ListOrders", ids.checksum(deployment.orders))
        motions = [listing, *_motions(machines, detectors)]
        await consortium.pass_all(deployment.consortium, motions, voters)


def _motions(machines: Sequence[Machine], detectors: Sequence[ids.DetectorId]) -> list[Motion]:
    seats = tuple(party.number for party in PARTIES)
    versions = [
        VersionTerms(
            ids.asset_id(machine.asset),
            seats,
            HOST.number,
            SAFETY.number,
            emergency_cap=EMERGENCY_CAP,
            emergency_max=EMERGENCY_MAX,
        )
        for machine in machines
    ]
    return [
        *(consortium.motion("RegisterVersion", version.as_tuple()) for version in versions),
        *(consortium.motion("AddDetector", detector) for detector in detectors),
        *(
            consortium.motion("AddDevice", ids.asset_id(machine.asset), machine.device)
            for machine in machines
        ),
    ]


async def _make_tokens(site: Site) -> None:
    settings, now = config.load(site.config), datetime.now(UTC)
    wanted: list[tuple[Role, str, str]] = [
        (role, role.value, "") for role in Role if role is not Role.ORGANISATION
    ]
    wanted += [(Role.ORGANISATION, party.name, str(party.number)) for party in PARTIES]
    async with open_store(settings) as store, store.transaction() as rows:
        for role, name, subject in wanted:
            text, token = make_token(role, subject, now)
            await rows.tokens.add(token)
            write_secret(site.token(name), text + "\n")
