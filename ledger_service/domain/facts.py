"""What the chain said: blocks, and the orders contract's events as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ledger_service.domain import errors, ids
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.order import Content


@dataclass(frozen=True, slots=True)
class Block:
    """A block's place. `time` in Unix seconds."""

    number: int
    hash: ids.BlockHash
    parent: ids.BlockHash
    time: int


@dataclass(frozen=True, slots=True)
class Rival:
    """Two final blocks at one height, and the nodes that have them (addresses)."""

    ours: Block
    node: str
    theirs: Block
    other: str


@dataclass(frozen=True, slots=True)
class Dispute:
    """A rival that was found, and the block that an operator accepted, if one did."""

    number: int
    ours: ids.BlockHash
    theirs: ids.BlockHash
    node: str
    other: str
    noted_at: datetime
    accepted: ids.BlockHash | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands; `id` sorts like the chain."""

    block: int
    block_hash: ids.BlockHash
    transaction_index: int
    log_index: int
    transaction: ids.TxHash

    @property
    def id(self) -> str:
        """Return the zero-padded `block/transaction/log`: unique, and in chain order as text."""
        return f"{self.block:012d}/{self.transaction_index:06d}/{self.log_index:06d}"


@dataclass(frozen=True, slots=True)
class Proposed:
    """The order is on chain with this content."""

    order: ids.OrderId
    content: Content


@dataclass(frozen=True, slots=True)
class Approved:
    """An organisation approved; `result` is the digest of its result document."""

    order: ids.OrderId
    key: ids.Address
    organisation: int
    seat: int
    result: ids.ResultDigest


@dataclass(frozen=True, slots=True)
class Refused:
    """An organisation refused; `reason` as in `result.Reason`, `detail` a digest."""

    order: ids.OrderId
    key: ids.Address
    organisation: int
    seat: int
    reason: int
    detail: bytes


@dataclass(frozen=True, slots=True)
class CancellationVoted:
    """An organisation wants the validated order cancelled."""

    order: ids.OrderId
    key: ids.Address
    organisation: int
    seat: int


@dataclass(frozen=True, slots=True)
class Moved:
    """The order is now in this state."""

    order: ids.OrderId
    status: Status
    by: ids.Address
    detail: bytes


@dataclass(frozen=True, slots=True)
class Skipped:
    """A batch left this item out; `why` as in the contract's enum."""

    order: ids.OrderId
    why: int
    found: int
    expected: int


Event = Proposed | Approved | Refused | CancellationVoted | Moved | Skipped


@dataclass(frozen=True, slots=True)
class Fact:
    """An event and where it stands."""

    place: Place
    event: Event


@dataclass(frozen=True, slots=True)
class OrderWord:
    """The order's word in the contract, taken apart (see contract, `word`)."""

    approved: int
    against: int
    proposed_at: int
    moved_at: int
    attempt: int
    outcome: int
    was_emergency: bool
    was_contested: bool
    status: Status

    @classmethod
    def unpack(cls, word: int) -> OrderWord:
        """Take a 256-bit word apart; low bits first: 64 | 64 | 40 | 40 | 24 | 8 | 8 | 8.

        Raise BadAnswer if the contract has no such status.
        """
        if word >> 248 not in set(Status):
            raise errors.BadAnswer("No such status.", found=word >> 248)
        return cls(
            approved=word & (2**64 - 1),
            against=word >> 64 & (2**64 - 1),
            proposed_at=word >> 128 & (2**40 - 1),
            moved_at=word >> 168 & (2**40 - 1),
            attempt=word >> 208 & (2**24 - 1),
            outcome=word >> 232 & 0xFF,
            was_emergency=bool(word >> 240 & 1),
            was_contested=bool(word >> 241 & 1),
            status=Status(word >> 248),
        )


@dataclass(frozen=True, slots=True)
class Version:
    """An asset version: who must approve its orders. `seats[i]` is the organisation of seat i."""

    id: ids.VersionId
    asset: ids.AssetId
    live: bool
    seats: tuple[int, ...]
    host: int
    safety: int


@dataclass(frozen=True, slots=True)
class Organisation:
    """A member and its current keys."""

    number: int
    verdict: ids.Address
    governance: ids.Address


@dataclass(frozen=True, slots=True)
class CapturedProof:
    """Taken at finality so that proofs do not rot: raw answers of a node for one order and block.

    `header`, `account_proof`, `receipts` are JSON-RPC values, verified before they are kept.
    """

    order: ids.OrderId
    block: int
    block_hash: ids.BlockHash
    header: dict[str, Any]
    account_proof: dict[str, Any]
    receipt_proof: dict[str, Any]
