"""Merkle Patricia tries (yellow paper, appendix D): inclusion proofs, checked strictly.

A proof is the list of nodes from the root to the value. Each is hashed and compared with what the
node above names; nodes that are not used make the proof invalid, so a proof has one form.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import rlp
from eth_hash.auto import keccak

from ledger_service.domain import errors
from ledger_service.domain.headers import rlp_list, text_item

EMPTY_ROOT = keccak(rlp.encode(b""))
EMPTY_CODE = keccak(b"")
BRANCH_ITEMS = 17
PATH_ITEMS = 2
HASH_BYTES = 32
ACCOUNT_ITEMS = 4

Node = Sequence[bytes | Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Account:
    """What the state trie says of an address."""

    nonce: int
    balance: int
    storage_root: bytes
    code_hash: bytes


def prove(root: bytes, key: bytes, proof: Sequence[bytes]) -> bytes | None:
    """Return the value under `key` in the trie with this root, None if it is proven absent.

    Raise BadProof if a node does not hash to its reference, a node is missing or left over, or a
    node is not one.
    """
    path = _nibbles(key)
    nodes = iter(proof)
    node: bytes | Node = root
    if root == EMPTY_ROOT:
        _nothing_left(nodes)
        return None
    while True:
        items = _resolve(node, nodes)
        if len(items) == BRANCH_ITEMS:
            if not path:
                return _value(items[16], nodes)
            node, path = items[path[0]], path[1:]
        else:
            prefix, leaf = _compact(text_item(items[0]))
            if leaf:
                return _value(items[1] if prefix == path else b"", nodes)
            if path[: len(prefix)] != prefix:
                return _value(b"", nodes)
            node, path = items[1], path[len(prefix) :]
        if node == b"":
            return _value(b"", nodes)


def prove_account(state_root: bytes, address: bytes, proof: Sequence[bytes]) -> Account | None:
    """Return the account, None if it is proven absent. Raise BadProof."""
    value = prove(state_root, keccak(address), proof)
    if value is None:
        return None
    parts = [text_item(item) for item in rlp_list(value)]
    if len(parts) != ACCOUNT_ITEMS:
        raise errors.BadProof("Not an account.", found=len(parts), expected=ACCOUNT_ITEMS)
    nonce, balance, storage, code = parts
    return Account(int.from_bytes(nonce), int.from_bytes(balance), storage, code)


def prove_slot(storage_root: bytes, slot: bytes, proof: Sequence[bytes]) -> int:
    """Return the word in a storage slot (32-byte key); a slot proven absent holds zero."""
    value = prove(storage_root, keccak(slot), proof)
    if value is None:
        return 0
    try:
        word = text_item(rlp.decode(value))
    except (rlp.exceptions.RLPException, RecursionError) as exc:
        raise errors.BadProof("Not a word.", found=value[:40].hex()) from exc
    if len(word) > HASH_BYTES:
        raise errors.BadProof("Not a word.", found=len(word), expected=f"at most {HASH_BYTES}")
    return int.from_bytes(word)


def prove_item(root: bytes, index: int, proof: Sequence[bytes]) -> bytes:
    """Return the item of a transactions or receipts trie; its key is the RLP of its index."""
    value = prove(root, rlp.encode(index), proof)
    if value is None:
        raise errors.BadProof("The item is proven absent.", found=index)
    return value


def mapping_slot(key: bytes, slot: int) -> bytes:
    """Return the storage slot of `mapping[key]` (Solidity: keccak(key . slot))."""
    return keccak(key.rjust(32, b"\0") + slot.to_bytes(32))


def _resolve(node: bytes | Node, nodes: Iterator[bytes]) -> Sequence[bytes]:
    """Return the node's items: embedded as they stand, or the next of the proof by its hash."""
    if not isinstance(node, bytes):
        return _check(node)
    encoded = next(nodes, None)
    if encoded is None:
        raise errors.BadProof("A node is missing.", expected=node.hex())
    # A node shorter than 32 bytes stands in its parent; only the root is hashed whatever its size.
    if len(node) != HASH_BYTES or keccak(encoded) != node:
        raise errors.BadProof("A node is not what the one above names.", expected=node.hex())
    return _check(rlp_list(encoded))


def _check(items: Node) -> Sequence[bytes]:
    if len(items) not in {PATH_ITEMS, BRANCH_ITEMS}:
        raise errors.BadProof("Not a trie node.", found=len(items))
    # An item may be an embedded node; `_resolve` tells.
    return cast("Sequence[bytes]", items)


def _compact(encoded: bytes) -> tuple[tuple[int, ...], bool]:
    """Decode a hex-prefix path; return (nibbles, whether it is a leaf)."""
    nibbles = _nibbles(encoded)
    if not nibbles or nibbles[0] > 3:  # noqa: PLR2004  two flag bits
        raise errors.BadProof("Not a hex-prefix path.", found=encoded.hex())
    odd, leaf = nibbles[0] & 1, bool(nibbles[0] & 2)
    if not odd and nibbles[1]:
        raise errors.BadProof("Not a hex-prefix path.", found=encoded.hex())
    return nibbles[1 if odd else 2 :], leaf


def _value(value: bytes, nodes: Iterator[bytes]) -> bytes | None:
    _nothing_left(nodes)
    return text_item(value) or None


def _nothing_left(nodes: Iterator[bytes]) -> None:
    if next(nodes, None) is not None:
        raise errors.BadProof("The proof has nodes that are not used.")


def _nibbles(data: bytes) -> tuple[int, ...]:
    return tuple(nibble for byte in data for nibble in (byte >> 4, byte & 15))
