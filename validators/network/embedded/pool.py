"""Transactions that wait for a block, in order of nonce per sender and of arrival between senders.

Kept in memory only: a kill loses what waits, as in the pool of any node. Texts of refusals are
geth's (core/txpool of v1.13.15), because clients match them by prefix.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from eth.constants import SECPK1_N
from eth_utils.exceptions import ValidationError

from validators.network.embedded.blocks import Pending
from validators.network.embedded.rpc import RpcError

LIMIT = 20_000
SERVER_ERROR = -32000


@dataclass(frozen=True, slots=True)
class Standing:
    """What a transaction is judged by: the chain, and its sender's account at the head."""

    chain_id: int
    gas_limit: int
    nonce: int
    balance: int


class Pool:
    """The waiting transactions."""

    def __init__(self) -> None:
        self._by_hash: dict[bytes, Pending] = {}
        self._by_sender: dict[bytes, dict[int, bytes]] = {}
        self._next: dict[bytes, int] = {}
        self._arrival: dict[bytes, int] = {}
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._by_hash)

    def get(self, digest: bytes) -> Pending | None:
        """Return a waiting transaction by its hash."""
        return self._by_hash.get(digest)

    def add(self, pending: Pending, standing: Standing) -> None:
        """Take a transaction. Raise RpcError with geth's text if it can never be mined."""
        if pending.hash in self._by_hash:
            raise RpcError(SERVER_ERROR, "already known")
        sender, nonce = pending.sender, int(pending.body.nonce)
        self._next[sender] = max(standing.nonce, self._next.get(sender, 0))
        _check(pending, standing, self._next[sender])
        own = self._by_sender.setdefault(sender, {})
        if nonce in own:
            _check_bump(self._by_hash[own[nonce]], pending)
            self._drop(own[nonce])
        elif len(self._by_hash) >= LIMIT:
            raise RpcError(SERVER_ERROR, "txpool is full")
        self._by_sender.setdefault(sender, {})[nonce] = pending.hash
        self._by_hash[pending.hash] = pending
        self._arrivals += 1
        self._arrival[pending.hash] = self._arrivals

    def next_nonce(self, sender: bytes, mined: int) -> int:
        """Return the first nonce that neither the chain (`mined`) nor the pool has used."""
        own = self._by_sender.get(sender, {})
        nonce = max(mined, self._next.get(sender, 0))
        while nonce in own:
            nonce += 1
        return nonce

    def ready(self) -> Iterator[Pending]:
        """Yield what can be mined now: each sender's unbroken run of nonces, earliest arrival first."""
        heap: list[tuple[int, bytes, int]] = []
        for sender in self._by_sender:
            self._push(heap, sender, self._next.get(sender, 0))
        while heap:
            _, sender, nonce = heapq.heappop(heap)
            yield self._by_hash[self._by_sender[sender][nonce]]
            self._push(heap, sender, nonce + 1)

    def settle(self, mined: Iterable[Pending]) -> None:
        """Forget what a block took, and whatever shares its nonces."""
        for pending in mined:
            sender, nonce = pending.sender, int(pending.body.nonce)
            self._next[sender] = nonce + 1
            if (rival := self._by_sender.get(sender, {}).get(nonce)) is not None:
                self._drop(rival)

    def drop(self, pending: Pending) -> None:
        """Throw out one that turned out to be unfit."""
        if pending.hash in self._by_hash:
            self._drop(pending.hash)

    def _push(self, heap: list[tuple[int, bytes, int]], sender: bytes, nonce: int) -> None:
        if (digest := self._by_sender[sender].get(nonce)) is not None:
            heapq.heappush(heap, (self._arrival[digest], sender, nonce))

    def _drop(self, digest: bytes) -> None:
        pending = self._by_hash.pop(digest)
        del self._arrival[digest]
        own = self._by_sender[pending.sender]
        del own[int(pending.body.nonce)]
        if not own:
            del self._by_sender[pending.sender]


def _check(pending: Pending, standing: Standing, next_nonce: int) -> None:
    body = pending.body
    nonce, gas = int(body.nonce), int(body.gas)
    if body.chain_id is None:
        raise RpcError(
            SERVER_ERROR, "only replay-protected (EIP-155) transactions allowed over RPC"
        )
    if body.chain_id != standing.chain_id:
        text = f"invalid sender: invalid chain id for signer: have {body.chain_id} want {standing.chain_id}"
        raise RpcError(SERVER_ERROR, text)
    if gas > standing.gas_limit:
        raise RpcError(SERVER_ERROR, "exceeds block gas limit")
    if body.max_priority_fee_per_gas > body.max_fee_per_gas:
        text = "max priority fee per gas higher than max fee per gas"
        raise RpcError(SERVER_ERROR, text)
    if gas < body.intrinsic_gas:
        text = f"intrinsic gas too low: gas {gas}, minimum needed {body.intrinsic_gas}"
        raise RpcError(SERVER_ERROR, text)
    if body.s > SECPK1_N // 2:
        raise RpcError(SERVER_ERROR, "invalid sender: invalid transaction v, r, s values")
    try:
        body.validate()
    except ValidationError as exc:
        raise RpcError(SERVER_ERROR, f"invalid transaction: {exc}") from exc
    if nonce < next_nonce:
        raise RpcError(SERVER_ERROR, f"nonce too low: next nonce {next_nonce}, tx nonce {nonce}")
    cost = int(body.value) + gas * int(body.max_fee_per_gas)
    if cost > standing.balance:
        over = cost - standing.balance
        text = f"balance {standing.balance}, tx cost {cost}, overshot {over}"
        raise RpcError(SERVER_ERROR, f"insufficient funds for gas * price + value: {text}")


def _check_bump(old: Pending, new: Pending) -> None:
    """Both fees must rise by a tenth, as in geth; at no fee there is nothing to outbid."""
    for name in ("max_fee_per_gas", "max_priority_fee_per_gas"):
        before, after = getattr(old.body, name), getattr(new.body, name)
        if after <= before or after * 10 < before * 11:
            raise RpcError(SERVER_ERROR, "replacement transaction underpriced")
