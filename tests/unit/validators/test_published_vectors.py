"""An agent, by its own checks, finds in the published vectors what their ids say, and refuses what is spoiled."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger_service.domain import dsse, errors, ids, order, statement
from ledger_service.domain.order import Content, OrdersDomain
from ledger_service.domain.result import Reason
from tests.unit.validators.world import Running, World
from validators.agent.check import Checker, check_document
from validators.agent.registry import Registry
from validators.rules.case import Announced, CannotSay, Refused

FOLDER = Path(__file__).parents[2] / "vectors"


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


ORDERS = read("orders.json")
DOMAIN = OrdersDomain(
    ORDERS["domain"]["chainId"],
    ids.parse_address(ORDERS["domain"]["verifyingContract"]),
    bytes.fromhex(ORDERS["domain"]["salt"]),
)


@pytest.fixture
def announced() -> Announced:
    return Announced(
        order=ids.OrderId(bytes.fromhex(ORDERS["orders"][0]["id"])),
        content=Content.from_json(ORDERS["orders"][0]["content"]),
        document=ORDERS["document"]["text"].encode(),
        envelope=read("statements.json")["statements"][0]["envelope"].encode(),
    )


@pytest.fixture
def checker(world: World, us: Running) -> Checker:
    """Check as our agent does, on the chain of the vectors."""
    return Checker(
        domain=DOMAIN,
        registry=Registry(world.ledger, world.clock),
        source=world.service,
        kept=us.kept,
        models=world.models,
        clock=world.clock,
        dataset_max_bytes=world.policy.dataset_max_bytes,
    )


def test_an_agent_finds_the_published_order_evidence_and_document(
    checker: Checker, announced: Announced
) -> None:
    checker.order_id(announced)
    claim = checker.statement(announced)
    document = check_document(announced, claim)

    assert claim.device.hex() == read("statements.json")["statements"][0]["key"]["device"]
    assert document.sum == document.cost.amount == announced.content.cost


def test_an_agent_takes_no_other_content_for_the_published_order(
    checker: Checker, announced: Announced
) -> None:
    sound = announced.content
    for content in (
        replace(sound, cost=1),
        replace(sound, attempt=2),
        replace(sound, cost=2**64),
    ):
        with pytest.raises(CannotSay):
            checker.order_id(replace(announced, content=content))


def test_an_agent_takes_no_other_document_for_the_published_order(
    checker: Checker, announced: Announced
) -> None:
    claim = checker.statement(announced)
    for document in (announced.document + b" ", announced.document.replace(b"EUR", b"USD")):
        with pytest.raises(Refused) as caught:
            check_document(replace(announced, document=document), claim)
        assert caught.value.refusal.reason is Reason.DOCUMENT_MISMATCH


def around(envelope: bytes, sound: Announced) -> Announced:
    """Order whatever is in the envelope: the content names it as its evidence."""
    try:
        evidence = statement.evidence_id(dsse.loads(envelope).payload)
    except errors.InvalidEvidence:
        evidence = sound.content.evidence
    content = replace(sound.content, evidence=evidence)
    return Announced(order.order_id(content, DOMAIN), content, sound.document, envelope)


async def reason(checker: Checker, item: Announced) -> Reason | None:
    """Return why it is refused; None where there is not even evidence to speak about."""
    try:
        await checker.check(item, lambda _: None)
    except Refused as exc:
        return exc.refusal.reason
    except CannotSay:
        return None
    pytest.fail("approved")


async def test_an_agent_reads_no_evidence_with_a_published_fault_and_trusts_no_such_signature(
    world: World, checker: Checker, announced: Announced
) -> None:
    claim = checker.statement(announced)
    world.ledger.add_device(ids.asset_id(claim.asset), claim.device)
    found = {
        case["file"]: await reason(
            checker, around((FOLDER / "bad" / case["file"]).read_bytes(), announced)
        )
        for case in read("bad/index.json")["cases"]
    }

    assert await reason(checker, announced) is Reason.WRONG_ASSET  # all before that was right
    assert len(found) > 60
    assert set(found.values()) == {None, Reason.UNREADABLE, Reason.BAD_SIGNATURE}
    for file, why in found.items():
        unread = {None} if file.startswith("envelope-") else {Reason.UNREADABLE}
        signed = file.startswith("signature-") or file == "statement-key-other-curve.json"
        assert why in ({Reason.BAD_SIGNATURE} if signed else unread), file
