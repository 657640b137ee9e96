"""Who sealed a block: Clique (EIP-225) and QBFT (as Besu and GoQuorum encode it).

The validators in force are the caller's to know: from genesis, counting votes. A header's own list
is self-declared and proves nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import rlp
from coincurve import PublicKey
from eth_hash.auto import keccak

from ledger_service.domain import errors, ids
from ledger_service.domain.headers import Header, list_item, rlp_list, text_item

SEAL_BYTES = 65
VANITY_BYTES = 32
ADDRESS_BYTES = 20
QBFT_PARTS = 5
VOTE_PARTS = 2
ADD_VOTE = b"\xff" * 8
DROP_VOTE = b"\x00" * 8


@dataclass(frozen=True, slots=True)
class Vote:
    """A validator's vote in a header: who, and in or out."""

    candidate: ids.Address
    add: bool


@dataclass(frozen=True, slots=True)
class QbftExtra:
    """extraData of QBFT: RLP[vanity, validators, vote, round, seals]."""

    vanity: bytes
    validators: tuple[bytes, ...]
    vote: Vote | None
    round: bytes
    seals: tuple[bytes, ...]


def clique_signer(header: Header) -> ids.Address:
    """Recover who sealed a Clique header: its last 65 bytes of extraData sign all the rest."""
    if len(header.extra) < VANITY_BYTES + SEAL_BYTES:
        raise errors.BadProof("No Clique seal.", found=len(header.extra))
    unsealed = header.with_extra(header.extra[:-SEAL_BYTES])
    return _signer(header.extra[-SEAL_BYTES:], unsealed.keccak())


def clique_vote(header: Header) -> Vote | None:
    """Return the vote in a Clique header; `miner` is the candidate, zero for none."""
    if not any(header.miner):
        return None
    if header.nonce not in {ADD_VOTE, DROP_VOTE}:
        raise errors.BadProof("Neither in nor out.", found=header.nonce.hex())
    return Vote(ids.Address(header.miner), header.nonce == ADD_VOTE)


def clique_signers(genesis: Header) -> tuple[ids.Address, ...]:
    """Return the signers of a genesis or checkpoint header."""
    listed = genesis.extra[VANITY_BYTES:-SEAL_BYTES]
    if not listed or len(listed) % ADDRESS_BYTES:
        raise errors.BadProof("Not a list of signers.", found=len(listed))
    places = range(0, len(listed), ADDRESS_BYTES)
    return tuple(ids.Address(listed[at : at + ADDRESS_BYTES]) for at in places)


def qbft_extra(header: Header) -> QbftExtra:
    """Take QBFT's extraData apart. Raise BadProof."""
    parts = rlp_list(header.extra)
    if len(parts) != QBFT_PARTS:
        raise errors.BadProof("Not QBFT extraData.", found=len(parts))
    vanity, validators, vote, number, seals = parts
    return QbftExtra(
        vanity=text_item(vanity),
        validators=tuple(text_item(item) for item in list_item(validators)),
        vote=_qbft_vote(list_item(vote)),
        round=text_item(number),
        seals=tuple(text_item(item) for item in list_item(seals)),
    )


def qbft_hash(header: Header) -> ids.BlockHash:
    """Return the block hash: keccak of the header with round 0 and no seals.

    Each node keeps the seals that it heard itself, so the same block has several extraData.
    """
    return ids.BlockHash(_without_seals(header, b"").keccak())


def qbft_committers(header: Header) -> tuple[ids.Address, ...]:
    """Recover who committed: each seal signs the header with its round and no seals."""
    extra = qbft_extra(header)
    digest = _without_seals(header, extra.round).keccak()
    return tuple(_signer(seal, digest) for seal in extra.seals)


def qbft_quorum(validators: int) -> int:
    """Return how many must commit: ceil(2N/3), as Besu requires."""
    return -(-2 * validators // 3)


def clique_quorum(signers: int) -> int:
    """Return how many must be up for blocks to go on: nobody signs twice in floor(N/2)+1 of them."""
    return signers // 2 + 1


def check_qbft(header: Header, validators: Collection[ids.Address]) -> ids.BlockHash:
    """Check the commit seals against the validators in force; return the block hash.

    Raise BadProof for a seal from outside, a repeated one, or too few.
    """
    if not validators:
        raise errors.BadProof("No validators to check against.")
    committers = qbft_committers(header)
    outside = set(committers) - set(validators)
    if outside:
        raise errors.BadProof("A seal from outside the validators.", found=outside.pop().hex())
    if len(set(committers)) != len(committers):
        raise errors.BadProof("A seal stands twice.")
    needed = qbft_quorum(len(validators))
    if len(committers) < needed:
        raise errors.BadProof("Too few seals.", found=len(committers), expected=needed)
    return qbft_hash(header)


def check_clique(header: Header, signers: Collection[ids.Address]) -> ids.BlockHash:
    """Check that a signer in force sealed; return the block hash. One seal is one signer's word."""
    signer = clique_signer(header)
    if signer not in signers:
        raise errors.BadProof("Sealed from outside the signers.", found=signer.hex())
    return ids.BlockHash(header.keccak())


def _qbft_vote(parts: Sequence[Any]) -> Vote | None:
    if not parts:
        return None
    if len(parts) != VOTE_PARTS or len(text_item(parts[0])) != ADDRESS_BYTES:
        raise errors.BadProof("Not a vote.", found=len(parts))
    return Vote(ids.Address(parts[0]), add=parts[1] == b"\xff")


def _without_seals(header: Header, number: bytes) -> Header:
    parts = rlp_list(header.extra)
    if len(parts) != QBFT_PARTS:
        raise errors.BadProof("Not QBFT extraData.", found=len(parts))
    return header.with_extra(rlp.encode([*parts[:3], number, []]))


def _signer(seal: bytes, digest: bytes) -> ids.Address:
    if len(seal) != SEAL_BYTES or seal[-1] not in {0, 1, 27, 28}:
        raise errors.BadProof("Not a seal.", found=seal.hex())
    compact = seal[:-1] + bytes([seal[-1] % 27])
    try:
        key = PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except ValueError as exc:
        raise errors.BadProof("Not a signature.", found=seal.hex()) from exc
    return ids.Address(keccak(key.format(compressed=False)[1:])[12:])
