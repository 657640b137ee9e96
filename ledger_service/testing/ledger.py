"""A chain in memory: pool, blocks made when told, forks, and the rules of the orders contract."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Call, Receipt, Sent, Unsigned
from ledger_service.domain.facts import (
    Block,
    CapturedProof,
    Event,
    Fact,
    OrderWord,
    Organisation,
    Place,
    Version,
)
from ledger_service.domain.order import OrdersDomain
from ledger_service.testing.clock import FakeClock
from ledger_service.testing.consortium import Registry, Terms
from ledger_service.testing.disputes import Neighbours
from ledger_service.testing.many import Many
from ledger_service.testing.orderbook import NOTHING, Book, Turn
from ledger_service.testing.signer import (
    MemoryTransaction,
    decode,
    memory_address,
    write_call,
)

CHAIN_ID = 31337
GAS = 100_000
FAR_NONCE = 64
DAY = 24 * 3600


@dataclass
class _Mined:
    """A block with what it holds, and the state after it."""

    block: Block
    book: Book
    nonces: dict[ids.Address, int]
    transactions: list[MemoryTransaction] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    receipts: dict[ids.TxHash, Receipt] = field(default_factory=dict)


class MemoryLedger(Neighbours, Many):
    """The Ledger port, and the whole chain behind it.

    Nothing is mined until `mine()`; with `automine` each send makes its block. Faults to order:
    `down` (every question raises NodeUnreachable), `answers` (the next sends end so, without
    effect), `keeps_state` (False: no proofs), `least_price` and `most_gas` (what nodes take).
    `price` is what `prepare` offers. Proofs here are marked as of no chain.
    """

    def __init__(
        self,
        *,
        finality_depth: int = 0,
        automine: bool = False,
        clock: ports.Clock | None = None,
    ) -> None:
        super().__init__()
        self.finality_depth = finality_depth
        self.automine = automine
        self.registry = Registry()
        self.down = False
        self.keeps_state = True
        self.price = self.least_price = 0
        self.most_gas = GAS
        self.gas_of_block = 30_000_000
        self.answers: deque[Sent] = deque()
        self._clock = clock or FakeClock()
        self._salt = 0
        self._pool: dict[ids.TxHash, MemoryTransaction] = {}
        self._orphans: dict[ids.BlockHash, _Mined] = {}
        self._changed = asyncio.Condition()
        genesis = Block(0, ids.BlockHash(_digest("genesis")), ids.BlockHash(bytes(32)), self._now())
        self._chain = [_Mined(genesis, Book(), {})]
        contract = memory_address("orders contract")
        self.orders = OrdersDomain(CHAIN_ID, contract, genesis.hash)

    # ---- who belongs: as if by motions that all agreed to

    def add_organisation(self, number: int, verdict: ids.Address, governance: ids.Address) -> None:
        """Let an organisation in."""
        self.registry.organisations[number] = Organisation(number, verdict, governance)
        self.registry.members.add(number)

    def rotate(self, number: int, verdict: ids.Address) -> None:
        """Give an organisation another verdict key."""
        present = self.registry.organisations[number]
        self.registry.organisations[number] = replace(present, verdict=verdict)

    def expel(self, number: int) -> None:
        """Take an organisation out; its versions go on living until `end_version`."""
        self.registry.members.discard(number)

    def add_builder(self, key: ids.Address) -> None:
        """Let a key propose."""
        self.registry.builders.add(key)

    def remove_builder(self, key: ids.Address) -> None:
        """Let it no longer propose."""
        self.registry.builders.discard(key)

    def add_detector(self, detector: ids.DetectorId) -> None:
        """Register a detector."""
        self.registry.detectors[detector] = True

    def revoke_detector(self, detector: ids.DetectorId) -> None:
        """Revoke it for ever."""
        self.registry.detectors[detector] = False

    def add_device(self, asset: ids.AssetId, device: ids.DeviceId) -> None:
        """Register a device of an asset."""
        self.registry.devices[asset, device] = True

    def revoke_device(self, asset: ids.AssetId, device: ids.DeviceId) -> None:
        """Revoke it for ever."""
        self.registry.devices[asset, device] = False

    def register_version(
        self,
        asset: ids.AssetId,
        seats: tuple[int, ...],
        host: int,
        safety: int = 0,
        *,
        ratify_period: int = DAY,
        emergency_cap: int = 0,
        emergency_max: int = 0,
    ) -> ids.VersionId:
        """Register the next version of an asset; the one before ends. Return its id."""
        before = self.registry.current.get(asset)
        terms = (asset, seats, host, safety, ratify_period, emergency_cap, emergency_max, before)
        version = ids.VersionId(_digest(repr(terms)))
        if before is not None:
            self.end_version(before)
        self.registry.versions[version] = Terms(
            version=Version(version, asset, live=True, seats=seats, host=host, safety=safety),
            ratify_period=ratify_period,
            emergency_cap=emergency_cap,
            emergency_max=emergency_max,
        )
        self.registry.current[asset] = version
        return version

    def end_version(self, version: ids.VersionId) -> None:
        """End a version."""
        terms = self.registry.versions[version]
        ended = replace(terms.version, live=False)
        self.registry.versions[version] = replace(terms, version=ended)

    # ---- the chain, told what to do

    @property
    def pending(self) -> list[ids.TxHash]:
        """Return what waits in the pool, in order of arrival."""
        return list(self._pool)

    async def mine(self, only: Sequence[ids.TxHash] | None = None) -> Block:
        """Make a block of all that is ready, or of `only` these in this order; return it."""
        mined = self._next_block()
        wanted = self.pending if only is None else list(only)
        while ready := next((tx for tx in wanted if self._is_ready(tx, mined)), None):
            wanted.remove(ready)
            self._execute(self._pool.pop(ready), mined)
        self._chain.append(mined)
        async with self._changed:
            self._changed.notify_all()
        return mined.block

    async def mine_many(self, count: int) -> Block:
        """Make `count` blocks; return the last one."""
        for _ in range(count):
            block = await self.mine()
        return block

    def fork(self, depth: int, *, forget: bool = False) -> Block:
        """Take the newest `depth` blocks back; return the new head.

        Their transactions wait again (`forget`: they are gone). Blocks made from here have other hashes.
        """
        gone = self._chain[len(self._chain) - depth :]
        del self._chain[len(self._chain) - depth :]
        self._salt += 1
        waiting = {} if forget else {tx.hash: tx for item in gone for tx in item.transactions}
        self._pool = {**waiting, **self._pool}
        self._orphans |= {item.block.hash: item for item in gone}
        return self._chain[-1].block

    def drop(self, *transactions: ids.TxHash) -> None:
        """Let the pool forget transactions (all, if none is named), as pools do."""
        for transaction in transactions or self.pending:
            self._pool.pop(transaction, None)

    # ---- the port

    async def head(self) -> Block:
        """Return the newest block."""
        self._check_up()
        return self._chain[-1].block

    async def block(self, number: int) -> Block | None:
        """Return the block at a height."""
        self._check_up()
        return self._chain[number].block if 0 <= number < len(self._chain) else None

    async def facts(self, block: Block) -> Sequence[Fact]:
        """Return the events of exactly this block, an orphan's too."""
        self._check_up()
        found = {item.block.hash: item for item in self._chain} | self._orphans
        return list(found[block.hash].facts) if block.hash in found else []

    async def heads(self) -> AsyncIterator[Block]:
        """Yield the head, then each new one; never ends."""
        seen: Block | None = None
        while True:
            async with self._changed:
                while self._chain[-1].block == seen:
                    await self._changed.wait()
            seen = self._chain[-1].block
            yield seen

    async def nonce(self, address: ids.Address, block: int | None = None) -> int:
        """Return how many transactions of this key are mined, up to a block."""
        self._check_up()
        at = len(self._chain) - 1 if block is None else max(block, 0)
        if at >= len(self._chain):
            raise errors.BadAnswer("The node has no such block.", found=block)
        return self._chain[at].nonces.get(address, 0)

    async def waiting_nonce(self, address: ids.Address) -> int:
        """Return the nonce behind all of this key that is mined or waits in the pool."""
        nonce = await self.nonce(address)
        waiting = {tx.nonce for tx in self._pool.values() if tx.signer == address}
        while nonce in waiting:
            nonce += 1
        return nonce

    async def block_gas(self) -> int:
        """Return how much gas a block holds."""
        self._check_up()
        return self.gas_of_block

    async def simulate(self, call: Call, sender: ids.Address) -> None:
        """Try the call on the newest state. Raise CallReverted."""
        self._check_up()
        now = max(self._now(), self._chain[-1].block.time)
        Turn(self.registry, self._chain[-1].book.copy(), self.orders, sender, now).run(call)

    def prepare(self, call: Call) -> Unsigned:
        """Encode the call, readably."""
        fees = (("gasPrice", self.price),)
        return Unsigned(CHAIN_ID, self.orders.contract, write_call(call), GAS, fees)

    async def send(self, raw: bytes) -> Sent:
        """Take bytes of a MemorySigner into the pool, by the rules that nodes have."""
        if self.answers:
            return self.answers.popleft()
        if self.down:
            return Sent.RETRY
        outcome = self._take(raw)
        if outcome is Sent.ACCEPTED and self.automine:
            await self.mine()
        return outcome

    async def receipt(self, transaction: ids.TxHash) -> Receipt | None:
        """Return the receipt on the present chain, if mined."""
        self._check_up()
        found = (item.receipts.get(transaction) for item in self._chain)
        return next((receipt for receipt in found if receipt), None)

    async def word(self, order: ids.OrderId) -> OrderWord:
        """Return the order's word."""
        self._check_up()
        return self._chain[-1].book.words.get(order, NOTHING)

    async def latest_order(
        self, asset: ids.AssetId, evidence: ids.EvidenceId
    ) -> ids.OrderId | None:
        """Return the last order proposed for this evidence of this asset."""
        self._check_up()
        return self._chain[-1].book.latest.get((asset, evidence))

    async def current_version(self, asset: ids.AssetId) -> Version | None:
        """Return the live version of an asset."""
        self._check_up()
        current = self.registry.current.get(asset)
        version = self.registry.versions[current].version if current else None
        return version if version is not None and version.live else None

    async def version(self, version: ids.VersionId) -> Version | None:
        """Return any registered version."""
        self._check_up()
        terms = self.registry.versions.get(version)
        return terms.version if terms else None

    async def organisation_of(self, key: ids.Address) -> int | None:
        """Return the member whose current verdict key this is."""
        self._check_up()
        return self.registry.verdict_of(key) or None

    async def organisation(self, number: int) -> Organisation | None:
        """Return a member."""
        self._check_up()
        member = number in self.registry.members
        return self.registry.organisations[number] if member else None

    async def detector_live(self, detector: ids.DetectorId) -> bool:
        """Say whether the detector is registered and not revoked."""
        self._check_up()
        return self.registry.detectors.get(detector, False)

    async def device_live(self, asset: ids.AssetId, device: ids.DeviceId) -> bool:
        """Say whether the device is registered for the asset and not revoked."""
        self._check_up()
        return self.registry.devices.get((asset, device), False)

    async def capture(self, order: ids.OrderId, block: Block) -> CapturedProof | None:
        """Return what stands for a proof here: it says itself that it proves nothing."""
        self._check_up()
        if not self.keeps_state:
            return None
        mark = {"chain": "memory"}
        return CapturedProof(order, block.number, block.hash, mark, dict(mark), dict(mark))

    # ---- inside

    def _check_up(self) -> None:
        if self.down:
            raise errors.NodeUnreachable(found="memory")

    def _now(self) -> int:
        return int(self._clock.now().timestamp())

    def _take(self, raw: bytes) -> Sent:
        try:
            tx = decode(raw)
        except errors.SendRejected:
            return Sent.REFUSED
        target = self.orders.contract if tx.call else tx.signer
        if (tx.chain_id, tx.to) != (CHAIN_ID, target) or tx.gas > self.most_gas:
            return Sent.REFUSED
        if tx.hash in self._pool:
            return Sent.KNOWN
        if tx.price < self.least_price:
            return Sent.UNDERPRICED
        if any((tx.signer, tx.nonce) == (it.signer, it.nonce) for it in self._pool.values()):
            return Sent.UNDERPRICED
        mined = self._chain[-1].nonces.get(tx.signer, 0)
        if tx.nonce < mined:
            return Sent.NONCE_USED
        if tx.nonce > mined + FAR_NONCE:
            return Sent.RETRY
        self._pool[tx.hash] = tx
        return Sent.ACCEPTED

    def _next_block(self) -> _Mined:
        last = self._chain[-1]
        number, time = last.block.number + 1, max(last.block.time + 1, self._now())
        name = f"{last.block.hash.hex()} {number} {time} {self._salt}"
        block = Block(number, ids.BlockHash(_digest(name)), last.block.hash, time)
        return _Mined(block, last.book.copy(), last.nonces.copy())

    def _is_ready(self, transaction: ids.TxHash, mined: _Mined) -> bool:
        tx = self._pool.get(transaction)
        return tx is not None and tx.nonce == mined.nonces.get(tx.signer, 0)

    def _execute(self, tx: MemoryTransaction, mined: _Mined) -> None:
        book, index = mined.book.copy(), len(mined.transactions)
        try:
            turn = Turn(self.registry, book, self.orders, tx.signer, mined.block.time)
            events: list[Event] = turn.run(tx.call) if tx.call else []
            mined.book, succeeded = book, True
        except errors.CallReverted:
            events, succeeded = [], False
        for event in events:
            place = Place(mined.block.number, mined.block.hash, index, len(mined.facts), tx.hash)
            mined.facts.append(Fact(place, event))
        mined.transactions.append(tx)
        mined.nonces[tx.signer] = tx.nonce + 1
        mined.receipts[tx.hash] = Receipt(
            tx.hash, mined.block.number, mined.block.hash, succeeded, GAS
        )


def _digest(text: str) -> bytes:
    return hashlib.sha256(f"memory {text}".encode()).digest()
