"""The Ledger port: the chain through one or more nodes, whatever they run.

Differences between clients that are dealt with here, and nowhere else: geth answers an unknown
block in a state query with an error, Besu with null; GoQuorum has no eth_getBlockReceipts; QBFT's
block hash is not the keccak of the header; no QBFT client knows the tag `finalized`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from contracts.load import load
from ledger_service.chain import binding, heads, proofs
from ledger_service.chain.registry import Registry
from ledger_service.chain.rpc import Node, RpcFailed, octets, quantity
from ledger_service.chain.sending import Sending
from ledger_service.chain.settings import ChainSettings, Deployment
from ledger_service.domain import errors, ids
from ledger_service.domain.facts import Block, CapturedProof, Fact

RETURN_SECONDS = 30.0


class ChainLedger(Registry, Sending):
    """The orders contract and its consortium, seen through nodes."""

    def __init__(self, settings: ChainSettings, deployment: Deployment) -> None:
        super().__init__()
        self.settings = settings
        self.deployment = deployment
        self.orders = deployment.domain
        self.finality_depth = settings.finality_depth
        self._nodes = [Node(url, timeout=settings.timeout) for url in settings.rpc]
        self._best = 0
        self._return_at = 0.0
        self._ours: set[int] = set()

    async def check(self) -> None:
        """Raise WrongChain unless each node that answers serves our chain, with our contracts' code.

        Raise NodeUnreachable if none answers.
        """
        checks = [self._check_node(node) for node in self._nodes]
        found = await asyncio.gather(*checks, return_exceptions=True)
        failed = [item for item in found if isinstance(item, BaseException)]
        wrong = [item for item in failed if not isinstance(item, errors.NodeUnreachable)]
        if wrong or len(failed) == len(self._nodes):
            raise (wrong or failed)[0]

    async def _check_chain(self, node: Node) -> None:
        expected = (self.deployment.chain_id, self.deployment.genesis)
        chain_id = quantity(await node.call("eth_chainId"))
        genesis = _block(await node.call("eth_getBlockByNumber", "0x0", False))
        if (chain_id, genesis.hash if genesis else b"") != expected:
            raise errors.WrongChain(node=node.url, found=chain_id, expected=expected[0])

    async def _check_node(self, node: Node) -> None:
        await self._check_chain(node)
        for name, address in (
            ("Consortium", self.deployment.consortium),
            ("MaintenanceOrders", self.deployment.orders),
        ):
            code = octets(await node.call("eth_getCode", ids.checksum(address), "latest"))
            if not load(name).matches(code):
                raise errors.WrongChain(
                    "Other code than this version's.", node=node.url, contract=name
                )

    async def ask(self, method: str, *parameters: Any) -> Any:
        """Ask our own node, the first; another one while it is away.

        Raise WrongChain if one serves another chain and none serves ours, else NodeUnreachable.
        """
        return await self._ask(lambda index: self._call(index, method, *parameters))

    async def ask_many(self, method: str, asked: Sequence[Sequence[Any]]) -> list[Any]:
        """Ask the same of one node many times, in few requests; an error is given as RpcFailed.

        Raise as `ask`.
        """

        async def turn(index: int) -> list[Any]:
            found = await self.tell(index, method, asked)
            bad = next((item for item in found if isinstance(item, errors.BadAnswer)), None)
            if bad is not None:
                raise bad
            return found

        return await self._ask(turn) if asked else []

    async def tell(self, index: int, method: str, asked: Sequence[Sequence[Any]]) -> list[Any]:
        """Give one node many questions; RpcFailed or BadAnswer stand in the place of theirs.

        Raise WrongChain, NodeUnreachable.
        """
        if len(asked) == 1:
            return [await self._singly(index, method, asked[0])]
        try:
            return list(await self._reach(index, lambda node: node.call_many(method, asked)))
        except errors.BadAnswer:  # one of them spoils the request: not that of the others
            return list(
                await asyncio.gather(*(self._singly(index, method, each) for each in asked))
            )

    async def _singly(self, index: int, method: str, parameters: Sequence[Any]) -> Any:
        try:
            return await self._call(index, method, *parameters)
        except (RpcFailed, errors.BadAnswer) as exc:
            return exc

    async def _ask(self, turn: Callable[[int], Awaitable[Any]]) -> Any:
        failed: list[errors.ChainError] = []
        for index in self._turns():
            try:
                answer = await turn(index)
            except (errors.NodeUnreachable, errors.BadAnswer, errors.WrongChain) as exc:
                failed.append(exc)
                continue
            self._settle_on(index)
            return answer
        wrong = next((exc for exc in failed if isinstance(exc, errors.WrongChain)), None)
        raise wrong or errors.NodeUnreachable(tried=len(self._nodes)) from failed[-1]

    async def _call(self, index: int, method: str, *parameters: Any) -> Any:
        return await self._reach(index, lambda node: node.call(method, *parameters))

    async def _reach(self, index: int, use: Callable[[Node], Awaitable[Any]]) -> Any:
        """Use a node; first, each time that it comes back, which chain it serves.

        It may have been away at the start, or come back with another data folder.
        """
        node = self._nodes[index]
        try:
            if index not in self._ours:
                await self._check_chain(node)
                self._ours.add(index)
            return await use(node)
        except errors.NodeUnreachable:
            self._ours.discard(index)
            raise

    def _turns(self) -> list[int]:
        """Return the nodes in the order to ask: the one that answered last, the first again in time."""
        if time.monotonic() > self._return_at:
            self._best = 0
        return [(self._best + turn) % len(self._nodes) for turn in range(len(self._nodes))]

    def _settle_on(self, index: int) -> None:
        if index != self._best:
            self._best, self._return_at = index, time.monotonic() + RETURN_SECONDS

    async def head(self) -> Block:
        """Return the newest block."""
        block = _block(await self.ask("eth_getBlockByNumber", "latest", False))
        if block is None:
            raise errors.BadAnswer("No newest block.")
        return block

    async def block(self, number: int) -> Block | None:
        """Return the block at a height of the canonical chain."""
        return _block(await self.ask("eth_getBlockByNumber", hex(number), False))

    async def facts(self, block: Block) -> Sequence[Fact]:
        """Return the events of exactly this block: asked by hash, so an orphan's are never mixed in."""
        wanted = {
            "address": ids.checksum(self.deployment.orders),
            "blockHash": "0x" + block.hash.hex(),
        }
        logs = await self.ask("eth_getLogs", wanted)
        if not isinstance(logs, list):
            raise errors.BadAnswer("No logs.", found=repr(logs)[:80])
        try:
            read = [binding.fact_of(item) for item in logs if not item.get("removed")]
        except proofs.MALFORMED as exc:
            raise errors.BadAnswer("Not the logs of this contract.", cause=repr(exc)[:80]) from exc
        found = [fact for fact in read if fact is not None]
        if any(fact.place.block_hash != block.hash for fact in found):
            raise errors.BadAnswer("Logs of another block.", expected=block.hash.hex())
        return sorted(found, key=lambda fact: fact.place.id)

    def heads(self) -> AsyncIterator[Block]:
        """Yield new heads as they come; never ends."""
        return heads.follow(self.settings, self.head, _block)

    async def capture(self, order: ids.OrderId, block: Block) -> CapturedProof | None:
        """Take and verify the proofs of an order at a block; None where no node keeps the state.

        Each node is asked until one proves it: some keep less state than others, and one may lie.
        Raise NodeUnreachable if none answers: then it is not known whether one keeps it.
        """
        away = 0
        for index in self._turns():
            ask = partial(self._call, index)
            try:
                return await proofs.capture(ask, self.deployment.orders, order, block)
            except errors.NodeUnreachable:
                away += 1
            except errors.ChainError:
                continue
        if away == len(self._nodes):
            raise errors.NodeUnreachable(tried=away)
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self.stop_sending()
        await asyncio.gather(*(node.close() for node in self._nodes))


def _block(fields: Any) -> Block | None:
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
