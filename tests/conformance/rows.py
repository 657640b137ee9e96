"""Rows for the suites: whole values, told apart by a number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ledger_service.domain import ids
from ledger_service.domain.facts import Block, CapturedProof, Fact, Moved, Place
from ledger_service.domain.lifecycle import Stage, Status
from ledger_service.domain.order import Content
from ledger_service.domain.records import (
    Delivery,
    DeliveryState,
    Evidence,
    Order,
    Outcome,
    Outgoing,
    Role,
    Token,
)

NOW = datetime(2026, 11, 24, 9, 0, 0, 123456, tzinfo=UTC)
SIGNER = ids.Address(b"\x01" * 20)
OTHER_SIGNER = ids.Address(b"\x02" * 20)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def word(kind: str, number: int) -> bytes:
    return f"{kind} {number}".encode().ljust(32, b".")


def evidence(number: int, **changes: Any) -> Evidence:
    fields: dict[str, Any] = {
        "id": ids.EvidenceId(word("evidence", number)),
        "envelope": b"envelope \x00\xff %d" % number,
        "asset": "1/robot-7",
        "detector": ids.DetectorId(word("detector", 1)),
        "failure_mode": "dull-tool",
        "device": ids.DeviceId(word("device", 1)),
        "sequence": number,
        "dataset_root": ids.DatasetRoot(word("root", number)),
        "gap": False,
        "received_at": later(number),
        "stage": Stage.SEALED,
    }
    return Evidence(**(fields | changes))


def order(number: int, *, of: Evidence | None = None, attempt: int = 1, **changes: Any) -> Order:
    source = of or evidence(number)
    content = Content(
        evidence=source.id,
        dataset_root=source.dataset_root,
        order_digest=ids.OrderDigest(word("document", number)),
        asset_version=ids.VersionId(word("version", 1)),
        detector=source.detector,
        builder=SIGNER,
        cost=2**60 + number,
        deadline=1_800_000_000,
        attempt=attempt,
    )
    fields: dict[str, Any] = {
        "id": ids.OrderId(word("order", number)),
        "content": content,
        "asset": source.asset,
        "document": b'{"number":%d}' % number,
        "created_at": later(number),
    }
    return Order(**(fields | changes))


def outgoing(number: int, **changes: Any) -> Outgoing:
    fields: dict[str, Any] = {
        "key": f"propose:{number}",
        "signer": SIGNER,
        "nonce": number,
        "hash": ids.TxHash(word("hash", number)),
        "raw": b"\x02raw %d" % number,
        "created_at": later(number),
        "orders": (ids.OrderId(word("order", number)), ids.OrderId(word("order", number + 1))),
    }
    return Outgoing(**(fields | changes))


def block(number: int, fork: int = 0) -> Block:
    return Block(
        number=number,
        hash=ids.BlockHash(word(f"block {fork}", number)),
        parent=ids.BlockHash(word(f"block {fork}", number - 1)),
        time=1_700_000_000 + number,
    )


def place(number: int, log: int = 0, transaction: int = 0) -> Place:
    at = ids.TxHash(word("transaction", number))
    return Place(number, block(number).hash, transaction, log, at)


def fact(number: int, *, log: int = 0, of: int = 1, status: Status = Status.PROPOSED) -> Fact:
    moved = Moved(ids.OrderId(word("order", of)), status, SIGNER, word("detail", log))
    return Fact(place(number, log), moved)


def proof(number: int, of: int = 1) -> CapturedProof:
    return CapturedProof(
        order=ids.OrderId(word("order", of)),
        block=number,
        block_hash=block(number).hash,
        header={"fields": ["00", "ff"]},
        account_proof={"slot": "00" * 32, "account": ["f8"]},
        receipt_proof={"0": ["f9", "fa"]},
    )


def delivery(number: int, *, to: str = "documents", key: str = "a", **changes: Any) -> Delivery:
    fields: dict[str, Any] = {
        "dedup": f"{number:012d}/000000/000000/{to}",
        "destination": to,
        "key": key,
        "kind": "Validated",
        "payload": {"number": number, "text": "für Käufer", "none": None},
        "created_at": NOW,
    }
    return Delivery(**(fields | changes))


def outcome(
    item: Delivery, owner: str = "", state: DeliveryState = DeliveryState.DONE, **changes: Any
) -> Outcome:
    """What the claim that made `item`, or another owner, says became of it."""
    return Outcome(item.dedup, owner or item.owner, state, later(0), **changes)


def token(number: int, **changes: Any) -> Token:
    fields: dict[str, Any] = {
        "id": f"token-{number}",
        "digest": word("digest", number),
        "role": Role.OPERATOR,
        "subject": "everybody",
        "created_at": later(number),
    }
    return Token(**(fields | changes))
