"""Blocks and transactions as the embedded chain keeps them, and their form in the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import rlp
from eth.abc import BlockHeaderAPI, ReceiptAPI, SignedTransactionAPI
from eth.vm.forks.london.blocks import LondonBlockHeader
from eth.vm.forks.london.receipts import LondonReceiptBuilder
from eth.vm.forks.london.transactions import LondonTransactionBuilder
from eth_hash.auto import keccak

from ledger_service.domain import errors

Writes = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Pending:
    """A signed transaction: its bytes as they were sent, its hash, who signed it."""

    raw: bytes
    hash: bytes
    sender: bytes
    body: SignedTransactionAPI


@dataclass(frozen=True, slots=True)
class Mined:
    """A transaction in a block. `first_log` counts the block's logs before its own."""

    pending: Pending
    receipt: ReceiptAPI
    index: int
    gas_used: int
    first_log: int


@dataclass(frozen=True, slots=True)
class Block:
    """A block that is on disk."""

    header: BlockHeaderAPI
    hash: bytes
    mined: tuple[Mined, ...]

    @property
    def number(self) -> int:
        """The height."""
        return int(self.header.block_number)


def to_record(block: Block, writes: Writes) -> bytes:
    """Return the log record of a block: header, transactions with sender and receipt, state writes."""
    mined = [[m.pending.raw, m.pending.sender, m.receipt.encode()] for m in block.mined]
    return bytes(rlp.encode([rlp.encode(block.header), mined, [list(pair) for pair in writes]]))


def from_record(record: bytes) -> tuple[Block, Writes]:
    """Read a log record. Raise BrokenLog if it is not one."""
    try:
        header_bytes, mined, writes = rlp.decode(record)
        header = rlp.decode(header_bytes, LondonBlockHeader)
        pendings = [decode(raw, sender) for raw, sender, _ in mined]
        receipts = [LondonReceiptBuilder.decode(receipt) for _, _, receipt in mined]
    except (rlp.exceptions.RLPException, ValueError, TypeError) as exc:
        raise errors.BrokenLog(found=repr(exc)) from exc
    return Block(header, header.hash, join(pendings, receipts)), [(k, v) for k, v in writes]


def decode(raw: bytes, sender: bytes | None = None) -> Pending:
    """Read a signed transaction, recovering the sender if it is not given."""
    body = LondonTransactionBuilder.decode(raw)
    return Pending(raw, keccak(raw), body.sender if sender is None else sender, body)


def join(pendings: Iterable[Pending], receipts: Sequence[ReceiptAPI]) -> tuple[Mined, ...]:
    """Lay transactions and their receipts together; receipts carry the running sum of gas."""
    mined: list[Mined] = []
    gas, logs = 0, 0
    for index, (pending, receipt) in enumerate(zip(pendings, receipts, strict=True)):
        mined.append(Mined(pending, receipt, index, receipt.gas_used - gas, logs))
        gas, logs = receipt.gas_used, logs + len(receipt.logs)
    return tuple(mined)
