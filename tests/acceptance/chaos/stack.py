"""The whole service in many processes: N of each part, three agents, a chain, real destinations.

Nodes run as `mol network start` leaves them, detached; all else is kept alive by a supervisor. What
the settings file of a demo does not say is said by the environment, as in production.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from ledger_service.demo import claims as claiming
from ledger_service.demo import plant
from ledger_service.demo.claims import Claim
from ledger_service.demo.plant import Built, free_port, mol
from ledger_service.demo.site import PARTIES, Party, Site
from ledger_service.demo.supervisor import Process, Supervisor
from tests.peers.receiver import SECRET
from validators.network import control
from validators.network.files import Kind, Network
from validators.network.plan import Plan

PARTS = ("api", "anchor", "follow", "relay")
HEALTH_SECONDS = 2.0
#: So slow an answer that kills fall between an event's effect and the note of it.
WEBHOOK_SECONDS = 1.5
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Shape:
    """What to run. `database`: a URL, empty for the plant's own SQLite file."""

    kind: Kind = "embedded"
    database: str = ""
    workers: int = 1
    orders: int = 6
    environment: Mapping[str, str] = field(default_factory=dict)
    before_start: Callable[[Site, Network], None] = lambda _site, _network: None


@dataclass
class Stack:
    """A running plant. `lie`: a false claim, of one more machine. `urls`: one address per copy of the API."""

    built: Built
    supervisor: Supervisor
    claims: Sequence[Claim]
    lie: Claim
    urls: Sequence[str]
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def site(self) -> Site:
        return self.built.site

    @property
    def webhook_log(self) -> Path:
        return self.site.root / "webhook.jsonl"

    @property
    def nodes(self) -> list[str]:
        return [launch.name for launch in Plan.load(self.site.chain).launches]

    def node_pid(self, name: str) -> int | None:
        plan = Plan.load(self.site.chain)
        (launch,) = (item for item in plan.launches if item.name == name)
        return control.running(plan, launch)

    def pid(self, name: str) -> int | None:
        """Return the process id of a node or of a supervised process."""
        return self.node_pid(name) if name in self.nodes else self.supervisor.pid(name)

    def signal(self, name: str, number: signal.Signals) -> bool:
        """Send a signal to a process; say whether it was there."""
        pid = self.pid(name)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
                return True
        return False

    async def kill_node(self, name: str) -> bool:
        """kill -9 of a node; return when it is gone, saying whether it was there."""
        struck = self.signal(name, signal.SIGKILL)
        while self.node_pid(name) is not None:  # noqa: ASYNC110  not our child: nothing tells of its end
            await asyncio.sleep(0.02)
        return struck

    async def start_nodes(self) -> None:
        """Do what an operator does: `mol network start`."""
        async with self.starting:
            await control.start(self.site.chain, _quiet)

    async def doctor(self) -> dict[str, dict[str, Any]]:
        """Return what `mol doctor` finds, by name."""
        _, said = await self.mol("doctor", "--config", self.site.config, "--json")
        return {item["name"]: item for item in json.loads(said)}

    async def mol(self, *words: object) -> tuple[int, str]:
        """Run a `mol` command; return its exit code and what it said."""
        process = await asyncio.create_subprocess_exec(
            *mol(*words),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()


@asynccontextmanager
async def running(folder: Path, shape: Shape) -> AsyncIterator[Stack]:
    """Build and start everything in a new folder; end it all."""
    site = Site(folder)
    hook, ports = free_port(), [free_port() for _ in range(shape.workers)]
    gathered = claiming.simulated(site, shape.orders + 1, datetime.now(UTC))
    *claims, lie = gathered.claims  # the last one is a false claim
    with _environment(_settings(site, shape, hook, ports[0])):
        try:
            built = await _found(site, shape, gathered.claims)
            _point_agents(site, ports)
            async with Supervisor() as supervisor:
                stack = Stack(built, supervisor, claims, lie, [_url(port) for port in ports])
                await _start(stack, hook)
                yield stack
        finally:
            await _stop_nodes(site)


async def _found(site: Site, shape: Shape, claims: Sequence[Claim]) -> Built:
    machines = claiming.machines(site, claims)
    detectors = claiming.keep_models(site, claims)
    network = await plant.lay_out(site, shape.kind, _quiet)
    shape.before_start(site, network)
    network = await control.start(site.chain, _quiet)
    return await plant.found(site, network, machines, detectors, _quiet)


async def _start(stack: Stack, hook: int) -> None:
    site, supervisor = stack.site, stack.supervisor
    words = [
        sys.executable,
        "-m",
        "tests.peers.hook",
        str(hook),
        str(stack.webhook_log),
        str(WEBHOOK_SECONDS),
    ]
    log = site.logs / "webhook.log"
    ready = _answers(f"{_url(hook)}/live")
    await supervisor.start(Process("webhook", words, log, cwd=ROOT, ready=ready))
    parts = [_part(site, p, number, url) for number, url in enumerate(stack.urls, 1) for p in PARTS]
    await supervisor.start(*parts, *(_agent(site, party) for party in PARTIES))


def _agent(site: Site, party: Party) -> Process:
    name, config = f"agent-{party.name}", site.agent(party) / "agent.toml"
    return Process(name, mol("agent", "--config", config), site.logs / f"{name}.log")


def _part(site: Site, part: str, number: int, url: str) -> Process:
    name = f"{part}-{number}"
    environment = {"MOL_API__PORT": url.rpartition(":")[2]} if part == "api" else {}
    ready = _answers(f"{url}/health/live") if part == "api" else None
    return Process(
        name,
        mol(part, "--config", site.config),
        site.logs / f"{name}.log",
        environment,
        ready=ready,
    )


def _settings(site: Site, shape: Shape, hook: int, port: int) -> dict[str, str]:
    """Return what the environment says: the database, and a webhook that checks signatures."""
    secret = site.root / "webhook.secret"
    secret.write_text(SECRET, encoding="utf-8")
    secret.chmod(0o600)
    return {
        **({"MOL_DATABASE__URL": shape.database} if shape.database else {}),
        "MOL_API__PORT": str(port),
        "MOL_API__BASE_URL": _url(port),
        "MOL_DESTINATIONS__EVENTS__KIND": "webhook",
        "MOL_DESTINATIONS__EVENTS__URL": f"{_url(hook)}/hook",
        "MOL_DESTINATIONS__EVENTS__SECRET_FILE": str(secret.resolve()),
        **shape.environment,
    }


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Say it to this process, which makes tokens, and so to all that it starts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _point_agents(site: Site, ports: Sequence[int]) -> None:
    """Give each agent a copy of the API of its own, as far as there are so many."""
    for index, party in enumerate(PARTIES):
        file = site.agent(party) / "agent.toml"
        lines = file.read_text("utf-8").splitlines()
        service = f'service = "{_url(ports[index % len(ports)])}"'
        kept = [service if line.startswith("service = ") else line for line in lines]
        file.write_text("\n".join(kept) + "\n", "utf-8")


def _answers(url: str) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        try:
            async with httpx.AsyncClient(timeout=HEALTH_SECONDS) as client:
                return (await client.get(url)).is_success
        except httpx.HTTPError:
            return False

    return ready


async def _stop_nodes(site: Site) -> None:
    if not (site.chain / "launch.json").exists():
        return
    plan = Plan.load(site.chain)
    for launch in plan.launches:  # a frozen one does not hear that it is to end
        if (pid := control.running(plan, launch)) is not None:
            os.kill(pid, signal.SIGCONT)
    await control.stop(site.chain)


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _quiet(_: str) -> None:
    """Say nothing of how it is built."""
