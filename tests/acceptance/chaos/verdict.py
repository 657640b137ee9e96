"""What the chain says, and what each destination holds: nothing lost, doubled or out of order."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path
from typing import Any

from lxml import etree

from ledger_service.chain.client import ChainLedger
from ledger_service.chain.settings import ChainSettings, Deployment
from ledger_service.domain.facts import Approved, Fact, Moved, Proposed
from ledger_service.services.deliveries import ROUTES
from tests.acceptance.chaos.load import Piece
from tests.acceptance.chaos.stack import Stack
from tests.acceptance.demos import UBL
from tests.peers.hook import Received

#: Destination -> order -> the states that it was told of, in the order in which it was told.
Told = Mapping[str, Mapping[str, Sequence[str]]]


@dataclass
class Verdict:
    """What was wrong, one line each; `believed`: false claims. `figures` for the record."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    believed: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.disordered or self.believed)


async def judge(stack: Stack, accepted: Sequence[Piece]) -> Verdict:
    """Compare what was accepted with the chain, and the chain with every destination."""
    facts = await chain_facts(stack)
    verdict = Verdict()
    _judge_orders(verdict, facts, [piece.evidence for piece in accepted])
    _judge_lies(verdict, facts, {piece.evidence for piece in accepted if piece.lie})
    expected = moves(facts)
    for destination, told in destinations(stack).items():
        _judge_destination(verdict, destination, expected, told)
    received = Received.read(stack.webhook_log)
    verdict.figures |= {"orders": len(expected), "repeated requests": received.repeats}
    verdict.figures["deliveries"] = sum(
        len(states) for told in destinations(stack).values() for states in told.values()
    )
    return verdict


async def chain_facts(stack: Stack) -> list[Fact]:
    """Return every event of the orders contract, read past the service."""
    deployment = Deployment.load(stack.site.deployment)
    ledger = ChainLedger(ChainSettings.load(stack.site.network), deployment)
    found: list[Fact] = []
    try:
        for number in range(deployment.block, (await ledger.head()).number + 1):
            block = await ledger.block(number)
            assert block is not None
            found += await ledger.facts(block)
    finally:
        await ledger.close()
    return found


def moves(facts: Iterable[Fact]) -> dict[str, list[str]]:
    """Return order -> states that it went through, in chain order."""
    found = defaultdict(list)
    for fact in facts:
        if isinstance(fact.event, Moved):
            found[fact.event.order.hex()].append(fact.event.status.title)
    return dict(found)


def destinations(stack: Stack) -> Told:
    """Return what each destination holds, as the far side counts it."""
    service = stack.site.service
    return {
        "events": _events(Received.read(stack.webhook_log)),
        "documents": _documents(service / "documents"),
        "erp": _purchases(service / "purchase-orders"),
        "notifications": _notes(service / "mailbox/new"),
    }


def _judge_orders(verdict: Verdict, facts: Sequence[Fact], accepted: Sequence[str]) -> None:
    proposed = Counter(
        fact.event.content.evidence.hex() for fact in facts if isinstance(fact.event, Proposed)
    )
    approvals = Counter(
        (fact.event.order.hex(), fact.event.organisation)
        for fact in facts
        if isinstance(fact.event, Approved)
    )
    verdict.lost += [f"no order of evidence {name}" for name in accepted if not proposed[name]]
    verdict.doubled += [f"{n} orders of {name}" for name, n in proposed.items() if n > 1]
    verdict.doubled += [f"{n} approvals {name}" for name, n in approvals.items() if n > 1]
    strange = proposed.keys() - set(accepted)
    verdict.doubled += [f"an order of evidence that nobody posted: {name}" for name in strange]


def _judge_lies(verdict: Verdict, facts: Sequence[Fact], lies: AbstractSet[str]) -> None:
    events = [fact.event for fact in facts]
    false = {
        event.order
        for event in events
        if isinstance(event, Proposed) and event.content.evidence.hex() in lies
    }
    verdict.believed += [
        f"{event.order.hex()} was approved by {event.organisation}, and its claim is false"
        for event in events
        if isinstance(event, Approved) and event.order in false
    ]


def _judge_destination(
    verdict: Verdict,
    destination: str,
    expected: Mapping[str, Sequence[str]],
    told: Mapping[str, Sequence[str]],
) -> None:
    routed = {status.title for status in ROUTES[destination]}
    for order in expected.keys() | told.keys():
        wanted = [state for state in expected.get(order, []) if state in routed]
        found = list(told.get(order, []))
        line = f"{destination} {order[:12]}: {found}, and the chain {wanted}"
        missing, extra = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
        if missing:
            verdict.lost.append(line)
        elif extra:
            verdict.doubled.append(line)
        elif found != wanted:
            verdict.disordered.append(line)


def _events(received: Received) -> dict[str, list[str]]:
    found = defaultdict(list)
    for event in received.effects:
        found[event["subject"]].append(event["type"].split(".")[-2].capitalize())
    return dict(found)


def _documents(folder: Path) -> dict[str, list[str]]:
    read: list[dict[str, Any]] = [json.loads(f.read_text("utf-8")) for f in folder.glob("*.json")]
    return {item["id"]: [step["status"] for step in item["history"]] for item in read}


def _purchases(folder: Path) -> dict[str, list[str]]:
    found = defaultdict(list)
    for file in folder.glob("orders/*.xml"):
        order = etree.parse(file).findtext("cbc:CustomerReference", namespaces=UBL)
        found[order].append("Validated")
    return dict(found)


def _notes(folder: Path) -> dict[str, list[str]]:
    found = defaultdict(list)
    for file in folder.glob("*"):
        message = message_from_bytes(file.read_bytes())
        found[str(message["X-Order-Id"]).strip()].append("Validated")
    return dict(found)
