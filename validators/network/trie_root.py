"""The state root of a genesis, without a node: a Merkle-Patricia root over a handful of accounts.

Yellow Paper, appendix D. Every node is made anew from the pairs below it, which is right for a few
dozen accounts and for nothing larger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import rlp
from eth_hash.auto import keccak

EMPTY_ROOT = keccak(rlp.encode(b""))
_EMPTY_CODE = keccak(b"")
_HASHED = 32  # a node shorter than this stands in its parent itself

Pair = tuple[tuple[int, ...], bytes]


def state_root(balances: Mapping[bytes, int]) -> bytes:
    """Return the root of a state where these addresses (20 bytes) hold wei and nothing else exists."""
    accounts = {
        keccak(address): rlp.encode([b"", wei, EMPTY_ROOT, _EMPTY_CODE])
        for address, wei in balances.items()
    }
    return trie_root(accounts)


def trie_root(items: Mapping[bytes, bytes]) -> bytes:
    """Return the root over keys of one length."""
    if not items:
        return bytes(EMPTY_ROOT)
    pairs = sorted((_nibbles(key), value) for key, value in items.items())
    return bytes(keccak(rlp.encode(_node(pairs, 0))))


def _node(pairs: Sequence[Pair], depth: int) -> list[object]:
    if len(pairs) == 1:
        path, value = pairs[0]
        return [_compact(path[depth:], leaf=True), value]
    first, last = pairs[0][0], pairs[-1][0]
    shared = depth
    while first[shared] == last[shared]:
        shared += 1
    if shared > depth:
        return [_compact(first[depth:shared], leaf=False), _reference(_node(pairs, shared))]
    groups = [[p for p in pairs if p[0][depth] == nibble] for nibble in range(16)]
    children = [_reference(_node(group, depth + 1)) if group else b"" for group in groups]
    return [*children, b""]


def _reference(node: list[object]) -> object:
    encoded = rlp.encode(node)
    return node if len(encoded) < _HASHED else keccak(encoded)


def _compact(path: Sequence[int], *, leaf: bool) -> bytes:
    odd = len(path) % 2
    flags = 2 * leaf + odd
    digits = [flags, *path] if odd else [flags, 0, *path]
    return bytes(16 * high + low for high, low in zip(digits[::2], digits[1::2], strict=True))


def _nibbles(key: bytes) -> tuple[int, ...]:
    return tuple(nibble for byte in key for nibble in divmod(byte, 16))
