"""Blocks and events of which a node's word is not taken: hashes, links and roots are computed anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from eth_hash.auto import keccak

from ledger_service.chain import binding, proofs
from ledger_service.domain import errors, headers, ids
from ledger_service.domain.facts import Block, Fact, Place
from ledger_service.domain.headers import Header

BLOOM_BITS = 2048


@dataclass(frozen=True, slots=True)
class Seen:
    """A block whose hash is that of its header."""

    block: Block
    header: Header


def place_of(fields: Any) -> Block | None:
    """Read a block as the node tells of it, unchecked: a hint, or the name of a chain. Raise BadAnswer."""
    if not fields:
        return None
    try:
        return Block(
            number=int(fields["number"], 16),
            hash=ids.BlockHash(bytes.fromhex(fields["hash"][2:])),
            parent=ids.BlockHash(bytes.fromhex(fields["parentHash"][2:])),
            time=int(fields["timestamp"], 16),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise errors.BadAnswer("Not a block.", cause=repr(exc)) from exc


def seen(fields: Any, number: int | None = None) -> Seen:
    """Read a block and compute its hash. Raise BadAnswer, BadProof; also if it is not the one wanted."""
    told = place_of(fields)
    if told is None:
        raise errors.BadAnswer("No block where there must be one.", expected=number)
    header = headers.from_rpc(fields)
    proofs.check_hash(header, told.hash)
    if number is not None and header.number != number:
        raise errors.BadProof("Another block.", found=header.number, expected=number)
    block = Block(header.number, told.hash, ids.BlockHash(header.parent), header.time)
    return Seen(block, header)


def linked(blocks: Sequence[Seen]) -> None:
    """Raise BadProof unless each block is the child of the one before it."""
    for before, block in pairwise(blocks):
        if block.block.parent != before.block.hash:
            raise errors.BadProof("Not the child of the block below.", found=block.block.number)


def may_hold(bloom: bytes, contract: ids.Address) -> bool:
    """Say whether a block with this bloom may hold an event of the contract. No is certain."""
    digest = keccak(contract)
    bits = int.from_bytes(bloom)
    places = (int.from_bytes(digest[at : at + 2]) % BLOOM_BITS for at in (0, 2, 4))
    return all(bits >> place & 1 for place in places)


def facts_of(receipts: proofs.Receipts, at: Seen, contract: ids.Address) -> list[Fact]:
    """Return a contract's events from a block's receipts, which hash to its header's root.

    Where they stand is counted, not believed; the names of transactions are the node's word.
    Raise BadAnswer.
    """
    found: list[Fact] = []
    log_index = 0
    try:
        for index, receipt in enumerate(receipts.told):
            for log in receipt["logs"]:
                if bytes.fromhex(log["address"][2:]) == contract:
                    event = binding.event_of(log)
                    if event is not None:
                        name = receipts.names[index]
                        place = Place(at.block.number, at.block.hash, index, log_index, name)
                        found.append(Fact(place, event))
                log_index += 1
    except proofs.MALFORMED as exc:
        raise errors.BadAnswer("Not the events of this contract.", cause=repr(exc)[:80]) from exc
    return found
