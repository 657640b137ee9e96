"""Block headers: from JSON-RPC fields to the hash, and who sealed them.

A header is the RLP list of its fields in order; which ones exist depends on the fork. Its hash is
keccak-256 of that list, except under QBFT, where the seals are left out (see `seals`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rlp
from eth_hash.auto import keccak

from ledger_service.domain import errors

# Order of the yellow paper, then of the EIPs that appended: 1559, 4895, 4844 (two), 4788, 7685.
BYTES = "bytes"
NUMBER = "number"
FIELDS: tuple[tuple[str, str], ...] = (
    ("parentHash", BYTES),
    ("sha3Uncles", BYTES),
    ("miner", BYTES),
    ("stateRoot", BYTES),
    ("transactionsRoot", BYTES),
    ("receiptsRoot", BYTES),
    ("logsBloom", BYTES),
    ("difficulty", NUMBER),
    ("number", NUMBER),
    ("gasLimit", NUMBER),
    ("gasUsed", NUMBER),
    ("timestamp", NUMBER),
    ("extraData", BYTES),
    ("mixHash", BYTES),
    ("nonce", BYTES),
)
LATER: tuple[tuple[str, str], ...] = (
    ("baseFeePerGas", NUMBER),
    ("withdrawalsRoot", BYTES),
    ("blobGasUsed", NUMBER),
    ("excessBlobGas", NUMBER),
    ("parentBeaconBlockRoot", BYTES),
    ("requestsHash", BYTES),
)
_HEX = re.compile(r"0x[0-9a-fA-F]*")
EXTRA = 12  #: place of extraData in the list


@dataclass(frozen=True, slots=True)
class Header:
    """A header as its RLP fields, in order."""

    fields: tuple[bytes, ...]

    @property
    def extra(self) -> bytes:
        """Return extraData."""
        return self.fields[EXTRA]

    @property
    def number(self) -> int:
        """Return the height."""
        return int.from_bytes(self.fields[8])

    @property
    def parent(self) -> bytes:
        """Return the hash of the block before."""
        return self.fields[0]

    @property
    def state_root(self) -> bytes:
        """Return the root of the state trie."""
        return self.fields[3]

    @property
    def transactions_root(self) -> bytes:
        """Return the root of the transactions trie."""
        return self.fields[4]

    @property
    def receipts_root(self) -> bytes:
        """Return the root of the receipts trie."""
        return self.fields[5]

    @property
    def bloom(self) -> bytes:
        """Return the bloom filter of addresses and topics of all events in the block."""
        return self.fields[6]

    @property
    def time(self) -> int:
        """Return when it was made, in Unix seconds."""
        return int.from_bytes(self.fields[11])

    @property
    def miner(self) -> bytes:
        """Return the miner field: proposer under QBFT, candidate of a vote under Clique."""
        return self.fields[2]

    @property
    def nonce(self) -> bytes:
        """Return the nonce field: the direction of a Clique vote."""
        return self.fields[14]

    def with_extra(self, extra: bytes) -> Header:
        """Return the header with other extraData."""
        return Header((*self.fields[:EXTRA], extra, *self.fields[EXTRA + 1 :]))

    def keccak(self) -> bytes:
        """Return keccak-256 of the RLP list: the hash under every consensus but QBFT."""
        return keccak(rlp.encode(list(self.fields)))


def from_rpc(answer: Mapping[str, Any]) -> Header:
    """Read the fields of an eth_getBlockBy... answer or a newHeads frame. Raise BadAnswer.

    geth's frames carry later forks' fields as null: left out, as the chain does.
    """
    try:
        first = [_field(answer[name], kind) for name, kind in FIELDS]
        later = [_field(answer[name], kind) for name, kind in LATER if answer.get(name) is not None]
    except (KeyError, ValueError, TypeError) as exc:
        raise errors.BadAnswer("Not a block header.", found=repr(exc)[:80]) from exc
    return Header(tuple(first + later))


def rlp_list(data: bytes) -> Sequence[Any]:
    """Decode an RLP list, strictly. Raise BadProof."""
    try:
        decoded = rlp.decode(data)
    except (rlp.exceptions.RLPException, RecursionError) as exc:
        raise errors.BadProof("Not RLP.", found=data[:16].hex()) from exc
    if not isinstance(decoded, list):
        raise errors.BadProof("Not an RLP list.", found=data[:16].hex())
    return decoded


def text_item(item: Any) -> bytes:
    """Return an item of an RLP list that must be a byte string. Raise BadProof."""
    if not isinstance(item, bytes):
        raise errors.BadProof("A list where bytes belong.", found=len(item))
    return item


def list_item(item: Any) -> Sequence[Any]:
    """Return an item of an RLP list that must be a list itself. Raise BadProof."""
    if isinstance(item, bytes):
        raise errors.BadProof("Bytes where a list belongs.", found=item[:16].hex())
    return list(item)


def _field(text: str, kind: str) -> bytes:
    if not _HEX.fullmatch(text):
        raise ValueError(text[:40])
    if kind == NUMBER:
        number = int(text, 16)
        return number.to_bytes((number.bit_length() + 7) // 8)
    return bytes.fromhex(text[2:])
