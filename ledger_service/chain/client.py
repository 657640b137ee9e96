"""The Ledger port: the chain through one or more nodes, whatever they run.

Differences between clients that are dealt with here, and nowhere else: geth answers an unknown
block in a state query with an error, Besu with null; GoQuorum has no eth_getBlockReceipts; QBFT's
block hash is not the keccak of the header; no QBFT client knows the tag `finalized`.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from contracts.load import load
from ledger_service.chain import heads, proofs, reading
from ledger_service.chain.asking import BLOCK
from ledger_service.chain.following import Following
from ledger_service.chain.reading import Seen
from ledger_service.chain.registry import Registry
from ledger_service.chain.rpc import Node, octets
from ledger_service.chain.sending import Sending
from ledger_service.chain.settings import ChainSettings, Deployment
from ledger_service.domain import errors, ids
from ledger_service.domain.facts import Block, CapturedProof, Fact

#: Blocks whose headers, and blocks whose receipts, are kept for who asks next what is in them.
HEADERS_KEPT = 512
RECEIPTS_KEPT = 8
#: So long a proof is tried again while a node that may have it is away or in trouble.
PATIENCE_SECONDS = 60.0


class ChainLedger(Following, Registry, Sending):
    """The orders contract and its consortium, seen through nodes."""

    def __init__(self, settings: ChainSettings, deployment: Deployment) -> None:
        Sending.__init__(self)
        Following.__init__(self, settings, deployment)
        self.orders = deployment.domain
        self._headers: OrderedDict[ids.BlockHash, Seen] = OrderedDict()
        self._receipts: OrderedDict[ids.BlockHash, proofs.Receipts] = OrderedDict()
        self.patience = PATIENCE_SECONDS
        self._unproven: float | None = None

    async def check(self) -> None:
        """Raise WrongChain unless each node that answers serves our chain, with our contracts' code.

        Raise NodeUnreachable if none answers.
        """
        checks = [self._check_node(node) for node in self._clients]
        found = await asyncio.gather(*checks, return_exceptions=True)
        failed = [item for item in found if isinstance(item, BaseException)]
        wrong = [item for item in failed if not isinstance(item, errors.NodeUnreachable)]
        if wrong or len(failed) == len(self._clients):
            raise (wrong or failed)[0]

    async def _check_node(self, node: Node) -> None:
        await self._check_chain(node)
        for name, address in (
            ("Consortium", self.deployment.consortium),
            ("MaintenanceOrders", self.deployment.orders),
        ):
            code = octets(await node.call("eth_getCode", ids.checksum(address), "latest"))
            if not load(name).matches(code):
                raise errors.WrongChain(
                    "Other code than this version's.", node=node.address, contract=name
                )

    async def head(self) -> Block:
        """Return the newest block."""
        self.look_around()
        found: Seen = await self.ask_first(self.head_of)
        return self.keep(found).block

    async def block(self, number: int) -> Block | None:
        """Return the block at a height of the canonical chain."""

        async def turn(index: int) -> Seen | None:
            told = await self._call(index, BLOCK, hex(number), False)
            return reading.seen(told, number) if told else None

        found: Seen | None = await self.ask_first(turn)
        return None if found is None else self.keep(found).block

    async def facts(self, block: Block) -> Sequence[Fact]:
        """Return the events of exactly this block: all of them, proven by its header.

        Where the header's bloom filter has not our contract, there is none, and no node is asked.
        """
        at = await self._seen(block)
        if not reading.may_hold(at.header.bloom, self.deployment.orders):
            return []
        return reading.facts_of(await self._receipts_of(at), at, self.deployment.orders)

    def heads(self) -> AsyncIterator[Block]:
        """Yield new heads as they come; never ends. They are hints: what a block holds is read anew."""
        return heads.follow(self.settings, self.head, reading.place_of)

    async def capture(self, order: ids.OrderId, block: Block) -> CapturedProof | None:
        """Take and verify the proofs of one order. As `captures`."""
        (proof,) = await self.captures([order], block)
        return proof

    async def captures(
        self, orders: Sequence[ids.OrderId], block: Block
    ) -> Sequence[CapturedProof | None]:
        """Take and verify the proofs of orders at a block; None for all where no node keeps the state.

        Each node is asked until one proves it: some keep less state than others, and one may lie.
        Raise NodeUnreachable if none answers, or one is away, behind or in trouble, for a minute at
        most: then it is not known whether one keeps it.
        """
        away = unsure = 0
        for index in self.nodes.order():
            try:
                found = await self._captures_of(index, orders, block)
            except errors.NodeUnreachable:
                away += 1
            except errors.ChainError as exc:
                unsure += not await self._keeps_none(index, exc, block)
            else:
                self._unproven = None
                return found
        if away == len(self._clients) or (away + unsure and self._is_patient()):
            raise errors.NodeUnreachable("It may keep the state of the block.", tried=block.number)
        if not away + unsure:
            self._unproven = None
        return [None] * len(orders)

    async def _captures_of(
        self, index: int, orders: Sequence[ids.OrderId], block: Block
    ) -> Sequence[CapturedProof]:
        ask = partial(self._call, index)
        at = await self._seen_by(index, block)
        receipts = await self._receipts_from(index, at)
        contract, place = self.deployment.orders, (block, at.header)
        return await proofs.capture(ask, contract, orders, place, receipts)

    async def _keeps_none(self, index: int, why: errors.ChainError, block: Block) -> bool:
        """Say whether a node has the block without its state, and is not just behind or in trouble."""
        if not proofs.is_of_no_state(why):
            return False
        try:
            told = await self._call(index, BLOCK, hex(block.number), False)
            return reading.seen(told, block.number).block.hash == block.hash
        except errors.ChainError:
            return False

    def _is_patient(self) -> bool:
        """Say whether proofs have been tried in vain for less than a minute, whatever the block."""
        now = time.monotonic()
        self._unproven = now if self._unproven is None else self._unproven
        return now - self._unproven < self.patience

    def keep(self, block: Seen) -> Seen:
        """Keep a header that was checked, for who asks what is in the block."""
        _put(self._headers, block.block.hash, block, HEADERS_KEPT)
        return block

    async def _seen(self, block: Block) -> Seen:
        found: Seen = await self.ask_first(lambda index: self._seen_by(index, block))
        return found

    async def _seen_by(self, index: int, block: Block) -> Seen:
        if block.hash in self._headers:
            return self._headers[block.hash]
        name = "0x" + block.hash.hex()
        told = await self._call(index, "eth_getBlockByHash", name, False)
        found = reading.seen(told, block.number)
        if found.block.hash != block.hash:
            raise errors.BadProof("Another block.", found=found.block.hash.hex(), expected=name)
        return self.keep(found)

    async def _receipts_of(self, at: Seen) -> proofs.Receipts:
        found: proofs.Receipts = await self.ask_first(lambda index: self._receipts_from(index, at))
        return found

    async def _receipts_from(self, index: int, at: Seen) -> proofs.Receipts:
        name = at.block.hash
        if name not in self._receipts:
            ask, ask_many = partial(self._call, index), partial(self.read, index)
            told = await proofs.receipts_of(ask, ask_many, at.block)
            _put(self._receipts, name, proofs.Receipts(at.header, told), RECEIPTS_KEPT)
        return self._receipts[name]

    async def close(self) -> None:
        """Close the connections."""
        await self.stop_sending()
        await self.stop_asking()


def _put(
    kept: OrderedDict[ids.BlockHash, Any], key: ids.BlockHash, value: object, most: int
) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
