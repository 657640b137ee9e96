"""The trie of a list, as a header commits to it: its root, and proofs of single items.

The keys are the RLP of the indices (yellow paper, 4.3.2), of which none begins with another.
"""

from __future__ import annotations

from collections.abc import Sequence

import rlp
from eth_hash.auto import keccak

from ledger_service.domain.tries import BRANCH_ITEMS, EMPTY_ROOT, HASH_BYTES

Path = tuple[int, ...]
Item = bytes | list["Item"]
Entries = Sequence[tuple[Path, bytes]]


class ListTrie:
    """A trie of all items, built at once."""

    def __init__(self, items: Sequence[bytes]) -> None:
        self._nodes: dict[bytes, list[Item]] = {}
        entries = sorted((_path(index), item) for index, item in enumerate(items))
        self._top = self._build(entries, 0) if entries else []
        self.root = keccak(rlp.encode(self._top)) if entries else EMPTY_ROOT

    def proof(self, index: int) -> list[bytes]:
        """Return the nodes from the root to an item that is there."""
        path, node = _path(index), self._top
        found = [rlp.encode(node)]
        while True:
            if len(node) == BRANCH_ITEMS:
                child, path = node[path[0]], path[1:]
            else:
                skipped = _nibbles_of(node[0])
                if skipped is None:  # a leaf
                    return found
                child, path = node[1], path[skipped:]
            if isinstance(child, bytes):
                node = self._nodes[child]
                found.append(rlp.encode(node))
            else:
                node = child

    def _build(self, entries: Entries, at: int) -> list[Item]:
        first, last = entries[0][0], entries[-1][0]
        if len(entries) == 1:
            return [_compact(first[at:], leaf=True), entries[0][1]]
        end = at
        while first[end] == last[end]:
            end += 1
        if end > at:
            return [_compact(first[at:end], leaf=False), self._reference(entries, end)]
        branch: list[Item] = [b""] * BRANCH_ITEMS
        start = 0
        while start < len(entries):
            nibble, stop = entries[start][0][at], start
            while stop < len(entries) and entries[stop][0][at] == nibble:
                stop += 1
            branch[nibble] = self._reference(entries[start:stop], at + 1)
            start = stop
        return branch

    def _reference(self, entries: Entries, at: int) -> Item:
        """Return a node as it stands in the one above: itself if it is short, else its hash."""
        node = self._build(entries, at)
        encoded = rlp.encode(node)
        if len(encoded) < HASH_BYTES:
            return node
        digest = keccak(encoded)
        self._nodes[digest] = node
        return digest


def _path(index: int) -> Path:
    return tuple(nibble for byte in rlp.encode(index) for nibble in (byte >> 4, byte & 15))


def _compact(path: Path, *, leaf: bool) -> bytes:
    """Write a path with its hex prefix: whether it is odd, and whether a leaf's."""
    flag, odd = 2 * leaf, len(path) % 2
    nibbles = (flag + 1, *path) if odd else (flag, 0, *path)
    return bytes(high << 4 | low for high, low in zip(nibbles[::2], nibbles[1::2], strict=True))


def _nibbles_of(encoded: Item) -> int | None:
    """Return how many nibbles an extension's path has; None for a leaf's."""
    assert isinstance(encoded, bytes)
    if encoded[0] & 0x20:
        return None
    return 2 * len(encoded) - (1 if encoded[0] & 0x10 else 2)
