"""Asking the nodes: one after the other until one answers; each is checked before it is believed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from ledger_service.chain.nodes import Nodes
from ledger_service.chain.reading import Seen, place_of, seen
from ledger_service.chain.rpc import Node, RpcFailed, quantity
from ledger_service.chain.settings import ChainSettings, Deployment
from ledger_service.domain import errors, ids

BLOCK = "eth_getBlockByNumber"
#: So often all nodes are asked for their heads, and so long each has for it.
LOOK_SECONDS = 2.0
#: What makes another node be asked.
FAULTS = (errors.NodeUnreachable, errors.BadAnswer, errors.BadProof, errors.WrongChain)


class Asking:
    """The nodes of a chain, each of them known to serve it before it is asked anything."""

    settings: ChainSettings
    deployment: Deployment

    def __init__(self, settings: ChainSettings, deployment: Deployment) -> None:
        self.settings = settings
        self.deployment = deployment
        # By an address a password may be known.
        self.nodes = Nodes(settings.labels, settings.period)
        self._clients = [Node(url, timeout=settings.timeout) for url in settings.rpc]
        self._ours: set[int] = set()
        self._agreed: tuple[int, ids.BlockHash] | None = None
        self._looked = time.monotonic()
        self._look: asyncio.Task[None] | None = None

    def agree(self, number: int, block: ids.BlockHash) -> None:
        """Ask no node any more that has another block than this at its height."""
        if self._agreed != (number, block):
            self._agreed = (number, block)
            self._ours.clear()

    async def ask(self, method: str, *parameters: Any) -> Any:
        """Ask our own node, the first; another one while it is away, behind or not believed.

        Raise WrongChain if one serves another chain and none serves ours, BadProof if one lies and
        none answers truly, else NodeUnreachable.
        """
        return await self.ask_first(lambda index: self._call(index, method, *parameters))

    async def ask_many(self, method: str, asked: Sequence[Sequence[Any]]) -> list[Any]:
        """Ask the same of one node many times, in few requests; an error is given as RpcFailed.

        Raise as `ask`.
        """
        return await self.ask_first(partial(self.read, method=method, asked=asked)) if asked else []

    async def read(self, index: int, method: str, asked: Sequence[Sequence[Any]]) -> list[Any]:
        """Ask one node many times. Raise BadAnswer where one of the answers is none."""
        found = await self.tell(index, method, asked)
        bad = next((item for item in found if isinstance(item, errors.BadAnswer)), None)
        if bad is not None:
            raise bad
        return found

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

    async def ask_first(self, turn: Callable[[int], Awaitable[Any]]) -> Any:
        """Return what the first node says whose answer is one. Raise as `ask`."""
        failed: list[errors.LedgerError] = []
        for index in self.nodes.order():
            try:
                answer = await turn(index)
            except FAULTS as exc:
                self.nodes.complain(index, exc)
                failed.append(exc)
                continue
            self.nodes.served(index)
            return answer
        loud = (errors.WrongChain, errors.BadProof)
        wrong = next((exc for exc in failed if isinstance(exc, loud)), None)
        raise wrong or errors.NodeUnreachable(tried=len(self._clients)) from failed[-1]

    async def head_of(self, index: int) -> Seen:
        """Return a node's newest block, its hash checked."""
        found = seen(await self._call(index, BLOCK, "latest", False))
        self.nodes.saw(index, found.block.number)
        return found

    def look_around(self) -> None:
        """Now and then ask all nodes for their heads, beside what is going on."""
        if len(self._clients) == 1 or time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self.look_at_all())

    async def look_at_all(self) -> None:
        """Ask all nodes for their heads; who does not answer is left alone."""
        await asyncio.gather(*(self._look_at(index) for index in range(len(self._clients))))

    async def _look_at(self, index: int) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self.head_of(index)
        except TimeoutError:
            self._find_away(index, errors.NodeUnreachable(found=self._clients[index].address))
        except errors.NodeUnreachable as exc:
            self._find_away(index, exc)
        except FAULTS as exc:
            self.nodes.complain(index, exc)
        except RpcFailed:
            return

    def _find_away(self, index: int, why: errors.LedgerError) -> None:
        """Leave a node alone, but do not count each look at one that is away for long."""
        if not self.nodes.is_paused(index):
            self.nodes.complain(index, why)

    async def _check_chain(self, node: Node) -> None:
        expected = (self.deployment.chain_id, self.deployment.genesis)
        chain_id = quantity(await node.call("eth_chainId"))
        genesis = place_of(await node.call(BLOCK, "0x0", False))
        if (chain_id, genesis.hash if genesis else b"") != expected:
            raise errors.WrongChain(node=node.address, found=chain_id, expected=expected[0])
        if self._agreed is not None:
            number, right = self._agreed
            there = place_of(await node.call(BLOCK, hex(number), False))
            if there is not None and there.hash != right:
                raise errors.WrongChain(
                    "It has another block than the one that an operator accepted.",
                    node=node.address,
                    block=number,
                    found=there.hash.hex(),
                    expected=right.hex(),
                )

    async def _singly(self, index: int, method: str, parameters: Sequence[Any]) -> Any:
        try:
            return await self._call(index, method, *parameters)
        except (RpcFailed, errors.BadAnswer) as exc:
            return exc

    async def _call(self, index: int, method: str, *parameters: Any) -> Any:
        return await self._reach(index, lambda node: node.call(method, *parameters))

    async def _reach(self, index: int, use: Callable[[Node], Awaitable[Any]]) -> Any:
        """Use a node; first, each time that it comes back, which chain it serves.

        It may have been away at the start, or come back with another data folder.
        """
        node = self._clients[index]
        try:
            if index not in self._ours:
                await self._check_chain(node)
                self._ours.add(index)
            return await use(node)
        except errors.NodeUnreachable:
            self._ours.discard(index)
            raise

    async def stop_asking(self) -> None:
        """Close the connections."""
        if self._look is not None:
            self._look.cancel()
            await asyncio.gather(self._look, return_exceptions=True)
        await asyncio.gather(*(client.close() for client in self._clients))
