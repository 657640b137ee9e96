"""One organisation's agent as a real process, on a chain that runs, fed by a stand-in of the service."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from eth_account import Account as Keys

from edge import simulate
from edge.detectors import robot
from edge.evidence.device import Device, make_key
from edge.evidence.pack import Subject, draft, seal
from ledger_service.chain import consortium
from ledger_service.chain.client import ChainLedger
from ledger_service.domain import ids, order, statement
from ledger_service.domain.calls import Propose
from ledger_service.domain.facts import Approved, Refused
from ledger_service.domain.order import Content
from tests.integration.agent.feed import Feed
from tests.peers.consortium import ASSET, Founded, accounts, mined, send
from tests.unit.validators.conftest import put_model
from tests.unit.validators.world import PLAN
from validators.network.files import Network
from validators.rules.case import Announced

NAME = "1/robot-7"
US, SEAT = 2, 1
DETECTOR = robot.open_shipped()
COMMAND = (sys.executable, "-m", "ledger_service", "agent")
WAIT_SECONDS = 90.0
COMMAND_SECONDS = 120


@dataclass
class AgentFolder:
    """Everything that an organisation gives its agent, and the process that runs on it."""

    root: Path
    key: bytes
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        path = self.root / "agent.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def write(self, network: Network, founded: Founded, feed: Feed, policy: str) -> None:
        self.root.mkdir()
        network.save(self.root)
        deployment = json.dumps(founded.deployment.as_json())
        sealed = Keys.encrypt(self.key, "a password", kdf="pbkdf2", iterations=1000)
        settings = f'organisation = {US}\nservice = "{feed.url}"\n[policy]\n{policy}\n'
        for name, text in {
            "deployment.json": deployment,
            "verdict.json": json.dumps(sealed),
            "verdict.password": "a password\n",
            "token": feed.token,
            "agent.toml": settings,
        }.items():
            (self.root / name).write_text(text, encoding="utf-8")
            (self.root / name).chmod(0o600)
        put_model(self.root / "models" / "robot", DETECTOR)

    def start(self) -> None:
        with (self.root / "agent.log").open("ab") as log:
            arguments = [*COMMAND, "run", "--config", str(self.root / "agent.toml")]
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log)

    def end(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(30)
        self.process = None
        return code

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `mol agent ...` as a person would."""
        command = [*COMMAND, *arguments, "--config", str(self.root / "agent.toml")]
        env = {**os.environ, "COLUMNS": "200"}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False, env=env
        )


@dataclass
class Plant:
    """A device, a builder, a chain; makes orders and looks at what became of them."""

    folder: Path
    founded: Founded
    feed: Feed
    agent: AgentFolder
    device: Device = field(init=False)
    made: int = 0

    async def found(self) -> None:
        """Register our detector and device, as all organisations agree."""
        self.device = make_key(self.folder / "robot.pem")
        motions = [
            consortium.motion("AddDetector", DETECTOR.id),
            consortium.motion("AddDevice", ASSET, self.device.id),
        ]
        async with accounts(self.founded.settings, self.founded.governors()) as voters:
            await consortium.pass_all(self.founded.deployment.consortium, motions, voters)

    def order(self, *, told: bool = True, **changes: Any) -> Announced:
        """Seal new evidence, build its order; `changes` are of the content."""
        self.made += 1
        data = self.folder / f"data-{self.made}"
        data.mkdir()
        now = datetime.now(UTC)
        samples = simulate.csv_bytes(simulate.record(seed=self.made, fault="dull-tool"), now)
        (data / "samples.csv").write_bytes(samples)
        claim = draft(data, Subject(NAME, DETECTOR, "samples.csv", now), self.device)
        _, envelope = seal(claim, self.device)
        item = build(self.founded, claim, envelope, **changes)
        self.feed.add(item, {"samples.csv": samples}, told=told)
        return item

    async def propose(self, ledger: ChainLedger, item: Announced) -> None:
        await mined(ledger, await send(ledger, self.founded.builder, Propose((item.content,))))


def build(
    founded: Founded, claim: statement.Statement, envelope: bytes, **changes: Any
) -> Announced:
    evidence = statement.evidence_id(claim.dumps())
    deadline = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=48)
    document = order.document(
        evidence=evidence, statement=claim, plan=PLAN, currency="EUR", deadline=deadline, attempt=1
    )
    fields: dict[str, Any] = {
        "evidence": evidence,
        "dataset_root": claim.dataset_root,
        "order_digest": order.order_digest(document),
        "asset_version": founded.version,
        "detector": claim.detector,
        "builder": founded.builder.address,
        "cost": PLAN.cost,
        "deadline": int(deadline.timestamp()),
        "attempt": 1,
    }
    content = Content(**{**fields, **changes})
    domain = founded.deployment.domain
    return Announced(order.order_id(content, domain), content, document, envelope)


async def verdicts(ledger: ChainLedger) -> dict[ids.OrderId, list[Approved | Refused]]:
    """Return every verdict of ours on the chain."""
    found: dict[ids.OrderId, list[Approved | Refused]] = {}
    for number in range((await ledger.head()).number + 1):
        block = await ledger.block(number)
        assert block is not None
        for fact in await ledger.facts(block):
            event = fact.event
            if isinstance(event, Approved | Refused) and event.organisation == US:
                found.setdefault(event.order, []).append(event)
    return found


async def until(what: Callable[[], Awaitable[bool]], agent: AgentFolder) -> None:
    """Wait until something is so; show the agent's log if it never is."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not await what():
        assert time.monotonic() < deadline, agent.log[-4000:]
        await asyncio.sleep(0.1)
