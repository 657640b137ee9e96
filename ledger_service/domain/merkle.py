"""Merkle tree hash of RFC 9162 section 2.1, SHA-256, streaming, with inclusion proofs.

Leaves are `SHA-256(0x00 || data)`, nodes `SHA-256(0x01 || left || right)`; the tree over n leaves
splits at the largest power of two below n. The empty tree hashes to SHA-256 of nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from ledger_service.domain import errors

EMPTY_ROOT = hashlib.sha256(b"").digest()
LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"
HASH_BYTES = 32


def new_leaf() -> hashlib._Hash:
    """Return the hash of a leaf whose data is yet to come, in pieces."""
    return hashlib.sha256(LEAF_PREFIX)


def leaf_hash(data: bytes | bytearray | memoryview) -> bytes:
    """Hash one leaf. `data` is not copied; hashlib drops the GIL from 2 KiB on."""
    leaf = new_leaf()
    leaf.update(data)
    return leaf.digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash one inner node of two 32-byte children."""
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


class TreeHasher:
    """Takes leaf hashes in order, keeps O(log n) of them (the compact range of the RFC's tree)."""

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self._peaks: list[bytes] = []
        self.size = 0

    def append(self, leaf: bytes) -> None:
        """Add the hash of the next leaf (32 bytes)."""
        node, size = leaf, self.size
        while size & 1:
            node = node_hash(self._peaks.pop(), node)
            size >>= 1
        self._peaks.append(node)
        self.size += 1

    def copy(self) -> TreeHasher:
        """Return one that stands where this one stands, and goes its own way."""
        twin = TreeHasher()
        twin._peaks, twin.size = list(self._peaks), self.size
        return twin

    def root(self) -> bytes:
        """Return the tree head over the leaves so far."""
        if not self._peaks:
            return EMPTY_ROOT
        node = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            node = node_hash(peak, node)
        return node


def tree_root(leaves: Iterable[bytes]) -> bytes:
    """Return the tree head over leaf hashes given in order."""
    hasher = TreeHasher()
    for leaf in leaves:
        hasher.append(leaf)
    return hasher.root()


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return PATH(index, D[n]) of RFC 9162 section 2.1.3.1, bottom up. Raise BadProof."""
    _check_index(index, len(leaves))
    if len(leaves) <= 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*inclusion_path(leaves[:split], index), tree_root(leaves[split:])]
    return [*inclusion_path(leaves[split:], index - split), tree_root(leaves[:split])]


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Recompute the root from an inclusion proof (RFC 9162 section 2.1.3.2).

    Raise BadProof if index, size and length of the path do not fit, or a node is no hash; the caller compares the root.
    """
    _check_index(index, size)
    for given in (leaf, *path):
        if len(given) != HASH_BYTES:
            raise errors.BadProof("A node is not a hash.", found=len(given), expected=HASH_BYTES)
    node, fn, sn = leaf, index, size - 1
    for sibling in path:
        if sn == 0:
            raise errors.BadProof("Inclusion path is too long.", found=len(path))
        if fn & 1 or fn == sn:
            node = node_hash(sibling, node)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = node_hash(node, sibling)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise errors.BadProof("Inclusion path is too short.", found=len(path))
    return node


def _check_index(index: int, size: int) -> None:
    if not 0 <= index < size:
        raise errors.BadProof("Leaf index outside the tree.", found=index, expected=f"below {size}")
