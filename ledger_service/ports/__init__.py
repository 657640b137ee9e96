"""What the verbs need from outside, as Protocols.

Each has a real and a shipped in-memory implementation (`ledger_service.testing`) and one
conformance suite for both. All methods may raise the errors of `domain.errors` that their area names (StorageError,
ChainError, RelayError); foreign exceptions never pass.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Call, Receipt, Sent, Signed, Unsigned
from ledger_service.domain.facts import (
    Block,
    CapturedProof,
    Fact,
    OrderWord,
    Organisation,
    Proposed,
    Rival,
    Version,
)
from ledger_service.domain.lifecycle import Stage, Status
from ledger_service.domain.order import OrdersDomain
from ledger_service.domain.records import Announcement, Delivery, Evidence, Hop, Move, Order, Result
from ledger_service.ports.disputes import DisputeRows
from ledger_service.ports.outbox import CircuitRows, OutboxRows
from ledger_service.ports.outgoing import OutgoingRows
from ledger_service.ports.tokens import TokenRows

__all__ = [
    "ChainRows",
    "CircuitRows",
    "Clock",
    "Destination",
    "DisputeRows",
    "EvidenceRows",
    "Ledger",
    "Locations",
    "ObjectStore",
    "OrderRows",
    "OutboxRows",
    "OutgoingRows",
    "Signer",
    "Store",
    "TokenRows",
    "Transaction",
]


class Clock(Protocol):
    """Time, so that tests own it."""

    def now(self) -> datetime:
        """Return the present, UTC."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class ObjectStore(Protocol):
    """Bytes under keys (`files/<root>`). A put is atomic and durable when it returns."""

    async def put(self, key: str, chunks: AsyncIterable[bytes], *, staged: bool = False) -> int:
        """Store, replacing what was there; return the size. On error nothing is visible.

        `staged`: it is moved next, and need not be durable before that.
        """

    async def move(self, source: str, target: str) -> None:
        """Rename, replacing the target; bytes and name are durable. Raise NotFound without a source."""

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Stream the bytes (or a range). Raise NotFound on the first step."""

    async def size(self, key: str) -> int | None:
        """Return the size in bytes, None if there is no such object."""

    async def delete(self, key: str) -> None:
        """Delete; nothing happens if there is no such object."""

    def keys(self, prefix: str) -> AsyncIterator[str]:
        """List the keys below a prefix, for housekeeping."""


class Locations(Protocol):
    """Places outside that evidence may be copied from."""

    def open(self, location: str, path: str) -> AsyncIterator[bytes]:
        """Stream a file. Raise LocationNotAllowed, UnsafePath, NotFound on the first step."""


class EvidenceRows(Protocol):
    """Evidence, its stage and its hops."""

    async def add(self, evidence: Evidence) -> None:
        """Insert. Raise SequenceFork (device, sequence), DatasetReused (root), Conflict (same id)."""

    async def check(self, evidence: Evidence) -> None:
        """Raise what `add` would raise; insert nothing."""

    async def get(self, evidence: ids.EvidenceId) -> Evidence:
        """Return it. Raise NotFound."""

    async def latest_of(self, device: ids.DeviceId) -> Evidence | None:
        """Return the device's statement with the highest sequence."""

    async def to_anchor(self, limit: int) -> Sequence[Evidence]:
        """Return sealed evidence that waits for an order, oldest first."""

    async def waiting(self) -> int:
        """Count evidence whose stage is Sealed or Anchoring and that has no settled order: the backlog."""

    async def move(
        self, evidence: ids.EvidenceId, stage: Stage, reason: str = "", *, expected: Stage
    ) -> None:
        """Set the stage of evidence that is where `expected` says. Raise Conflict if it is not."""

    async def list(self, *, limit: int, before: datetime | None = None) -> Sequence[Evidence]:
        """Return the newest first."""

    async def claim(
        self, wanted: Sequence[ids.EvidenceId], stage: Stage, *, expected: Stage
    ) -> frozenset[ids.EvidenceId]:
        """Set the stage of those that are where `expected` says; return which these were."""

    async def hop(self, *hops: Hop) -> None:
        """Record hops; the same name again replaces time and detail and adds its tries."""

    async def hops(self, evidence: ids.EvidenceId) -> Sequence[Hop]:
        """Return the hops in order of first occurrence."""


class OrderRows(Protocol):
    """Orders, results, close-outs, and the feed to the organisations."""

    async def add(self, *orders: Order) -> None:
        """Insert; the same id again is no error and changes nothing.

        Raise Conflict if another order has this attempt of the evidence and was not voided.
        """

    async def evidence_of(
        self, orders: Sequence[ids.OrderId]
    ) -> Mapping[ids.OrderId, ids.EvidenceId]:
        """Return the evidence of each order that is there."""

    async def void(self, order: ids.OrderId) -> None:
        """Say that its proposal had no effect: another order may make this attempt."""

    async def get(self, order: ids.OrderId) -> Order:
        """Return it. Raise NotFound."""

    async def some(self, *orders: ids.OrderId) -> Mapping[ids.OrderId, Order]:
        """Return those of them that are there."""

    async def of_evidence(self, *evidence: ids.EvidenceId) -> Sequence[Order]:
        """Return all attempts, first one first."""

    async def opened(self, limit: int, after: ids.OrderId | None = None) -> Sequence[Order]:
        """Return orders that are Proposed, oldest first, behind one of them."""

    async def of_dataset(self, root: ids.DatasetRoot) -> Sequence[Order]:
        """Return all orders that this dataset belongs to."""

    async def beginning(self, digits: str) -> Sequence[Order]:
        """Return two of the orders whose id begins with these hex digits; fewer if there are."""

    async def list(
        self, *, limit: int, status: Status | None = None, asset: str | None = None
    ) -> Sequence[Order]:
        """Return the newest first."""

    async def move(self, *moves: Move) -> None:
        """Set statuses by the lifecycle's table, one move after the other.

        Raise IllegalMove; NotFound for an order that is not there.
        """

    async def reset(self, order: ids.OrderId, status: Status, block: int | None) -> None:
        """Set the status anew after a rewind of the chain; the table does not apply."""

    async def add_result(self, *results: Result) -> None:
        """Keep result documents beside the others; the same again changes nothing.

        The chain says which of an organisation's documents counts, and may say so later.
        """

    async def results(self, *orders: ids.OrderId) -> Sequence[Result]:
        """Return the result documents handed in for these orders, by order, organisation and digest."""

    async def announce(self, kind: str, order: ids.OrderId, body: dict[str, object]) -> int:
        """Append to the feed; return the sequence. One announcement per (kind, order)."""

    async def announce_all(
        self, kind: str, bodies: Mapping[ids.OrderId, dict[str, object]]
    ) -> None:
        """Append one announcement an order, in this order."""

    async def told(self, kind: str, order: ids.OrderId) -> Announcement | None:
        """Return what was announced of this kind for an order."""

    async def announcements(self, after: int, limit: int) -> Sequence[Announcement]:
        """Return the feed behind a sequence."""


class ChainRows(Protocol):
    """Blocks followed, the cursor, facts, proofs."""

    async def cursor(self) -> Block | None:
        """Return the last block taken in."""

    async def advance(self, block: Block, expected: Block | None) -> None:
        """Move the cursor from `expected` to `block`. Raise CursorMoved if it is elsewhere."""

    async def hold(self) -> None:
        """Let nobody take a block in before the end of this transaction."""

    async def strays(self, builder: ids.Address, of: ids.EvidenceId | None) -> Sequence[Proposed]:
        """Return a builder's proposals without a row of the order, in chain order; all are read."""

    async def block(self, number: int) -> Block | None:
        """Return a block taken in, by number."""

    async def rewind(self, to: Block, expected: Block) -> Sequence[ids.OrderId]:
        """Drop all above `to` (blocks, facts, proofs, open outbox rows of them).

        Move the cursor back from `expected`; return the orders concerned. Raise CursorMoved if it is
        elsewhere, before anything is dropped.
        """

    async def add_fact(self, *facts: Fact) -> frozenset[str]:
        """Insert those that are not there; return the ids of these places."""

    async def facts(self, *orders: ids.OrderId) -> Sequence[Fact]:
        """Return the facts of orders, in chain order."""

    async def add_proof(self, *proofs: CapturedProof) -> None:
        """Keep proofs."""

    async def proofs(self, order: ids.OrderId) -> Sequence[CapturedProof]:
        """Return an order's proofs in chain order."""


class Transaction(Protocol):
    """One database transaction: everything in it, or nothing."""

    evidence: EvidenceRows
    orders: OrderRows
    outgoing: OutgoingRows
    chain: ChainRows
    outbox: OutboxRows
    circuits: CircuitRows
    tokens: TokenRows
    disputes: DisputeRows


class Store(Protocol):
    """The database."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Begin; commit when the block ends, roll back when it raises. The only commit there is."""

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        """Begin a transaction that only reads, on a snapshot; it never waits for a writer."""


class Ledger(Protocol):
    """The chain as one organisation or the service sees it, through one or more nodes."""

    orders: OrdersDomain
    finality_depth: int
    rewritable: bool  #: False where a final block is never taken back, whatever a node says

    async def head(self) -> Block:
        """Return the newest block. Raise NodeUnreachable."""

    async def block(self, number: int) -> Block | None:
        """Return the block at a height of the canonical chain."""

    async def facts(self, block: Block) -> Sequence[Fact]:
        """Return the orders contract's events in exactly this block, in order: all of them."""

    async def final_blocks(self, after: Block | None, start: int, most: int) -> Sequence[Block]:
        """Return final blocks above one, or from `start`: each the child of the one before it.

        The first may be the child of another block than `after`: then the chain was rewritten.
        """

    async def rival(self, block: Block) -> Rival | None:
        """Return another node's final block at this height, if one has another there."""

    def agree(self, number: int, block: ids.BlockHash) -> None:
        """Ask no node any more that has another block than this at its height."""

    def heads(self) -> AsyncIterator[Block]:
        """Yield new heads as they come (subscription, else polling); never ends, may repeat."""

    async def nonce(self, address: ids.Address, block: int | None = None) -> int:
        """Return how many transactions of this key are mined; up to a block, if one is named."""

    async def waiting_nonce(self, address: ids.Address) -> int:
        """Return the nonce behind all of this key that is mined or waits in a pool, as far as nodes tell."""

    async def block_gas(self) -> int:
        """Return how much gas the newest block holds."""

    async def simulate(self, call: Call, sender: ids.Address) -> None:
        """Try the call on the newest state. Raise CallReverted with the contract's reason."""

    async def simulate_many(
        self, tried: Sequence[Call], sender: ids.Address
    ) -> Sequence[errors.LedgerError | None]:
        """Try each call by itself on the newest state; return what is wrong with it, if anything.

        CallReverted, or another ChainError where a node has a trouble of its own.
        """

    def prepare(self, call: Call) -> Unsigned:
        """Encode the call with its fixed gas limit and this network's fees."""

    async def send(self, raw: bytes) -> Sent:
        """Give the raw transaction to every known node; return the best outcome."""

    async def send_many(self, raws: Sequence[bytes]) -> Sequence[Sent]:
        """Give them to every known node, in this order; return the best outcome of each."""

    async def receipt(self, transaction: ids.TxHash) -> Receipt | None:
        """Return the receipt on the canonical chain, if mined."""

    async def receipts(self, transactions: Sequence[ids.TxHash]) -> Sequence[Receipt | None]:
        """Return the receipt of each on the canonical chain, None where it is not mined."""

    async def word(self, order: ids.OrderId) -> OrderWord:
        """Return the order's word at the newest block."""

    async def latest_order(
        self, asset: ids.AssetId, evidence: ids.EvidenceId
    ) -> ids.OrderId | None:
        """Return the last order proposed for this evidence of this asset, here or on predecessors."""

    async def current_version(self, asset: ids.AssetId) -> Version | None:
        """Return the live version of an asset."""

    async def version(self, version: ids.VersionId) -> Version | None:
        """Return any registered version."""

    async def organisation_of(self, key: ids.Address) -> int | None:
        """Return the member whose current verdict key this is."""

    async def organisation(self, number: int) -> Organisation | None:
        """Return a member."""

    async def detector_live(self, detector: ids.DetectorId) -> bool:
        """Say whether the detector is registered and not revoked."""

    async def device_live(self, asset: ids.AssetId, device: ids.DeviceId) -> bool:
        """Say whether the device key is registered for the asset and not revoked."""

    async def captures(
        self, orders: Sequence[ids.OrderId], block: Block
    ) -> Sequence[CapturedProof | None]:
        """Take and verify the proofs of orders at a block; None where no node keeps the state.

        Raise NodeUnreachable if none answers, or for a while if one is away or in trouble: then it is
        not known whether one keeps it.
        """


class Signer(Protocol):
    """A key that signs transactions; the key itself never leaves it."""

    address: ids.Address

    def sign(self, unsigned: Unsigned, nonce: int) -> Signed:
        """Sign."""


class Destination(Protocol):
    """Where facts are delivered to, exactly-once in effect."""

    name: str

    async def deliver(self, delivery: Delivery) -> dict[str, object]:
        """Bring the fact there, idempotent by `delivery.dedup`; return a reference people can use.

        Raise DestinationRefused (final, needs a person) or DestinationDown (come back later; its
        field `retry_after` says in how many seconds, if the destination did). After an unknown outcome the
        implementation reads back before it writes again.
        """
