"""A consortium of three in memory, a robot with a device, and one organisation's agent to look at."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from edge import simulate
from edge.detectors import Detector, robot
from edge.evidence.device import Device, Link, make_key
from edge.evidence.pack import Subject, draft
from ledger_service.domain import dataset, dsse, ids, jobplan, order, statement
from ledger_service.domain.calls import Approve, Call, Propose, Refuse, Sent
from ledger_service.domain.facts import OrderWord
from ledger_service.domain.jobplan import JobPlan
from ledger_service.domain.order import Content
from ledger_service.domain.statement import Statement
from ledger_service.testing import FakeClock, MemoryLedger, MemorySigner
from tests.unit.validators.outside import US, Killer, Service, Wire
from validators.agent.accounts import Accounts
from validators.agent.agent import Agent
from validators.agent.check import Checker
from validators.agent.desk import Desk
from validators.agent.house import House
from validators.agent.kept import Kept
from validators.agent.outcomes import Outcomes
from validators.agent.pace import Pace
from validators.agent.pen import Pen
from validators.agent.registry import Registry
from validators.agent.work import Work
from validators.journal.book import Book
from validators.journal.memory import Memory
from validators.rerun.models import Models
from validators.rules.case import Announced
from validators.rules.policy import Policy

ASSET = "1/robot-7"
SEAT = 1
PLAN = jobplan.loads(
    """
id: robot-dull-tool
assetType: robot
failureMode: dull-tool
title: Change the drill
tasks: [{description: Change the drill, minutes: 10}]
parts: [{number: DRL-12, description: Drill 12 mm, quantity: 2, unit: C62, unitPrice: 8900}]
supplier: {id: SUP-0009, name: Cutting Tools Depot}
skill: operator
lockOut: [Hold the spindle]
labourCost: 6000
priority: 3
deadlineHours: 48
"""
)
DETECTOR = robot.open_shipped()


@dataclass
class Running:
    """An agent that is open."""

    agent: Agent
    house: House
    pen: Pen
    book: Book
    accounts: Accounts
    checker: Checker
    desk: Desk
    kept: Kept
    wire: Wire

    @property
    def memory(self) -> Memory:
        return self.book.memory

    def verdict(self, item: Announced) -> tuple[str, str]:
        """Return what was said of an order, or is held against it, and for which reason."""
        held = self.agent.held.get(item.order)
        if held is not None:
            return "refuse", held.refusal.reason.name
        entry = self.memory.verdicts.get(item.order, {"verdict": "nothing"})
        return entry["verdict"], entry.get("reason", "")


@cache
def recorded(seed: int, fault: str | None, start: datetime) -> bytes:
    """Return what a logger wrote; many tests look at the same recording."""
    return simulate.csv_bytes(simulate.record(seed=seed, fault=fault), start)


class World:
    """Three organisations, of which we are the second; time stands still until told."""

    def __init__(self, folder: Path, models: Models, *, depth: int = 0) -> None:
        self.folder = folder
        self.models = models
        self.clock = FakeClock()
        self.ledger = MemoryLedger(clock=self.clock, finality_depth=depth)
        self.service = Service()
        self.killer = Killer()
        self.sent: list[bytes] = []
        self.staged: dict[str, bytes] = {}
        self.policy = Policy()
        self.key = "verdict 2"
        self.device = make_key(folder / "robot.pem")
        self.asset = ids.asset_id(ASSET)
        for number in (1, 2, 3):
            verdict, governance = MemorySigner(f"verdict {number}"), MemorySigner(f"gov {number}")
            self.ledger.add_organisation(number, verdict.address, governance.address)
        self.ledger.add_builder(MemorySigner("builder").address)
        self.ledger.add_detector(DETECTOR.id)
        self.ledger.add_device(self.asset, self.device.id)
        self.version = self.ledger.register_version(self.asset, (1, 2, 3), 1, 3)

    # ---- what a device and a builder do

    def claim(
        self,
        *,
        seed: int = 1,
        fault: str | None = "dull-tool",
        detector: Detector = DETECTOR,
        device: Device | None = None,
        **changes: Any,
    ) -> Statement:
        """Word the device's next statement; `changes` are of its fields."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            data = recorded(seed, fault, self.clock.now())
            (Path(name) / "samples.csv").write_bytes(data)
            (Path(name) / "note.txt").write_bytes(b"seen by a technician %d" % seed)
            subject = Subject(ASSET, detector, "samples.csv", self.clock.now())
            found = draft(Path(name), subject, device or self.device)
            for entry in found.entries:
                self.staged[entry.path] = (Path(name) / entry.path).read_bytes()
        return replace(found, **changes)

    def with_file(self, claim: Statement, data: bytes, path: str = "samples.csv") -> Statement:
        """Return the statement over other bytes, as a device would that seals what it measured."""
        hasher = dataset.FileHasher()
        hasher.update(data)
        self.staged[path] = data
        other = dataset.Entry(path, len(data), "text/csv", hasher.chunk, hasher.root())
        entries = tuple(other if entry.path == path else entry for entry in claim.entries)
        return replace(claim, entries=entries, dataset_root=dataset.dataset_root(entries))

    def order(
        self,
        claim: Statement | None = None,
        *,
        plan: JobPlan = PLAN,
        device: Device | None = None,
        currency: str = "EUR",
        payload: bytes | None = None,
        document: bytes | None = None,
        **content: Any,
    ) -> Announced:
        """Seal a statement, build its order, and let the service know both."""
        claim = claim or self.claim()
        device = device or self.device
        payload = payload or claim.dumps()
        evidence = statement.evidence_id(payload)
        advance(device, Link(claim.sequence, evidence))
        envelope = device.seal(payload).dumps()
        return self.build(
            claim, envelope, plan=plan, currency=currency, document=document, **content
        )

    def build(
        self,
        claim: Statement,
        envelope: bytes,
        *,
        plan: JobPlan = PLAN,
        currency: str = "EUR",
        document: bytes | None = None,
        attempt: int = 1,
        **content: Any,
    ) -> Announced:
        """Build the order of sealed evidence; `content` changes fields of what the chain is told."""
        evidence = statement.evidence_id(dsse.loads(envelope).payload)
        deadline = self.clock.now() + timedelta(hours=plan.deadline_hours)
        document = document or order.document(
            evidence=evidence,
            statement=claim,
            plan=plan,
            currency=currency,
            deadline=deadline,
            attempt=attempt,
        )
        made = Content(
            evidence=evidence,
            dataset_root=claim.dataset_root,
            order_digest=order.order_digest(document),
            asset_version=self.version,
            detector=claim.detector,
            builder=MemorySigner("builder").address,
            cost=plan.cost,
            deadline=int(deadline.timestamp()),
            attempt=attempt,
        )
        made = replace(made, **content)
        item = Announced(order.order_id(made, self.ledger.orders), made, document, envelope)
        self.service.envelopes[evidence] = envelope
        self.service.files.setdefault(evidence, dict(self.staged))
        self.service.documents[item.order] = document
        return item

    # ---- the chain

    async def say(self, key: str, call: Call, *, only: bool = False) -> None:
        """Let a key say something, and mine it; `only`: nothing else that waits."""
        signer = MemorySigner(key)
        nonce = await self.ledger.nonce(signer.address)
        signed = signer.sign(self.ledger.prepare(call), nonce)
        assert await self.ledger.send(signed.raw) is Sent.ACCEPTED
        await self.ledger.mine([signed.hash] if only else None)

    async def propose(self, item: Announced) -> None:
        await self.say("builder", Propose((item.content,)))

    async def propose_anyhow(self, item: Announced) -> None:
        """Propose what could be proposed once: while its detector was live."""
        detectors = self.ledger.registry.detectors
        before = detectors.get(item.content.detector)
        self.ledger.add_detector(item.content.detector)
        await self.propose(item)
        if before is None:
            del detectors[item.content.detector]
        else:
            detectors[item.content.detector] = before

    async def approve(self, item: Announced, number: int, key: str = "") -> None:
        result = ids.ResultDigest(bytes([number]) * 32)
        call = Approve((item.content,), (number - 1,), (result,))
        await self.say(key or f"verdict {number}", call)

    async def refuse(self, item: Announced, number: int) -> None:
        await self.say(f"verdict {number}", Refuse(item.content, number - 1, 1, bytes(32)))

    async def word(self, item: Announced) -> OrderWord:
        return await self.ledger.word(item.order)

    # ---- our agent

    @asynccontextmanager
    async def agent(self, name: str = "agent") -> AsyncIterator[Running]:
        """Open our agent in its folder; closing it is all that a kill leaves."""
        home = self.folder / name
        book = Book(home)
        try:
            yield self._join(book, home)
        finally:
            book.close()

    def _join(self, book: Book, home: Path) -> Running:
        ledger, clock = self.killer.over(self.ledger), self.clock
        wire = Wire(ledger, self.sent)
        service = self.killer.over(self.service)
        registry, desk = Registry(ledger, clock), Desk(home / "desk")
        kept = self._kept(home)
        signer, pace = MemorySigner(self.key), Pace()
        pen = Pen(ledger=ledger, send=wire.send, signer=signer, book=book, clock=clock)
        checker = self._checker(registry, service, kept)
        agent = Agent(
            organisation=US,
            ledger=ledger,
            registry=registry,
            checker=checker,
            source=service,
            pen=pen,
            book=book,
            policy=self.policy,
            clock=clock,
            pace=pace,
        )
        accounts = Accounts(organisation=US, ledger=ledger, pen=pen, book=book)
        outcomes = Outcomes(ledger=ledger, pen=pen, book=book, clock=clock, pace=pace)
        house = House(
            agent=agent,
            accounts=accounts,
            pen=pen,
            outcomes=outcomes,
            ledger=ledger,
            source=service,
            book=book,
            desk=desk,
            work=self._work(ledger, service, pen, book, home),
            policy=self.policy,
            clock=clock,
            first_block=0,
            prepare=_nothing,
        )
        return Running(agent, house, pen, book, accounts, checker, desk, kept, wire)

    def _kept(self, home: Path) -> Kept:
        kept = Kept(home / "kept", self.policy.kept_max_bytes)
        kept.tidy()
        return kept

    def _work(self, ledger: Any, service: Any, pen: Pen, book: Book, home: Path) -> Work:
        return Work(
            organisation=US,
            ledger=ledger,
            source=service,
            pen=pen,
            book=book,
            policy=self.policy,
            clock=self.clock,
            folder=home / "close-outs",
        )

    def _checker(self, registry: Registry, service: Any, kept: Kept) -> Checker:
        return Checker(
            domain=self.ledger.orders,
            registry=registry,
            source=service,
            kept=kept,
            models=self.models,
            clock=self.clock,
            dataset_max_bytes=self.policy.dataset_max_bytes,
        )


def advance(device: Device, link: Link) -> None:
    """Advance a device's chain; nobody pulls the plug here, so nothing is made durable."""
    assert link.previous is not None
    fields = {"sequence": link.sequence, "previous": link.previous.hex()}
    device._state.write_text(json.dumps(fields), encoding="utf-8")


async def _nothing() -> None:
    """Chain and key are what they must be."""


def line(item: Announced) -> dict[str, Any]:
    """Return an order as a line of the feed."""
    return {
        "kind": "order",
        "order": item.order.hex(),
        "body": {
            "content": item.content.as_json(),
            "document": base64.b64encode(item.document).decode(),
            "envelope": base64.b64encode(item.envelope).decode(),
        },
    }
