"""Final blocks for whoever follows, and what other nodes have to say against them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ledger_service.chain.asking import BLOCK, FAULTS, Asking
from ledger_service.chain.nodes import NodeView
from ledger_service.chain.reading import Seen, linked, seen
from ledger_service.chain.rpc import RpcFailed
from ledger_service.chain.sealing import Sealing
from ledger_service.chain.settings import ChainSettings, Deployment
from ledger_service.domain import errors, sealers
from ledger_service.domain.facts import Block, Rival

#: So long a node has to object to a block. One that is slower has no say in it.
OBJECTION_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """What nodes have at one height, final at all of them: hash -> names."""

    number: int
    blocks: dict[str, list[str]]
    views: tuple[NodeView, ...]


class Following(Asking, ABC):
    """The half of the Ledger port that takes the chain in."""

    finality_depth: int

    def __init__(self, settings: ChainSettings, deployment: Deployment) -> None:
        super().__init__(settings, deployment)
        self.finality_depth = settings.finality_depth
        #: Under QBFT a block has the word of two thirds, and is never taken back.
        self.rewritable = settings.kind != sealers.QBFT
        self._sealing = Sealing(settings, deployment.genesis)

    async def final_blocks(self, after: Block | None, start: int, most: int) -> Sequence[Block]:
        """Return final blocks above one, or from `start`: each the child of the one before it.

        The first may be the child of another block than `after`: then the chain was rewritten.
        Hashes, links and seals are checked; a node that fails is left for another one.
        Raise as `ask`.
        """
        self.look_around()
        # Block 0 is known by its name, has no seals and holds nothing.
        first = max(start, 1) if after is None else after.number + 1
        found: Sequence[Block] = await self.ask_first(
            lambda index: self._final_blocks(index, first, most)
        )
        return found

    async def _final_blocks(self, index: int, first: int, most: int) -> Sequence[Block]:
        try:
            return await self._read_final(index, first, most)
        except (errors.BadAnswer, errors.BadProof):
            # What is not final may be rewritten between two answers; hardly twice at once.
            return await self._read_final(index, first, most)

    async def _read_final(self, index: int, first: int, most: int) -> Sequence[Block]:
        # One request where there is one new block: the newest, the next one, and what makes it final.
        depth = self.finality_depth
        numbers = range(first, first + depth + 1)
        asked = [("latest", False), *((hex(number), False) for number in numbers)]
        newest, *told = await self.read(index, BLOCK, asked)
        head = seen(_answer(newest)).block.number
        last = min(head - depth, first + most - 1)
        if first > last:
            self.nodes.saw(index, head)
            return []
        blocks = [seen(_answer(it), first + at) for at, it in enumerate(told)]
        blocks += await self._fetch(index, first + len(blocks), last + depth)
        final = await self._final_of(index, blocks)
        if last + depth == head:
            self.nodes.saw(index, head)
        return final[:most]

    async def _final_of(self, index: int, blocks: Sequence[Seen]) -> list[Block]:
        """Return those of a chain's blocks that are final by its last one. Raise BadAnswer, BadProof.

        All are checked: anybody can make a header up whose number makes the blocks below it final.
        """
        linked(blocks)
        below = blocks[0].block.number - 1
        above = await self._sealing.above(
            below, blocks[0].block.parent, partial(self._fetch, index)
        )
        depths: list[int] = []
        for block in blocks:
            above = self._sealing.check(above, block)
            depths.append(self._sealing.depth(above))
        final: list[Block] = []
        for block, depth in zip(blocks, depths, strict=True):
            self.finality_depth = depth
            if block.block.number + depth > blocks[-1].block.number:
                break
            final.append(self.keep(block).block)
        return final

    @abstractmethod
    def keep(self, block: Seen) -> Seen:
        """Keep a header that was checked, for who asks what is in the block."""

    async def rival(self, block: Block) -> Rival | None:
        """Return another node's final block at this height, if one has another there.

        A node that is away, slow, behind or not believed has no say.
        """
        others = [
            index
            for index in range(len(self.settings.rpc))
            if index != self.nodes.used and not self.nodes.is_paused(index)
        ]
        found = await asyncio.gather(*(self._rival(index, block) for index in others))
        return next((rival for rival in found if rival is not None), None)

    async def _rival(self, index: int, block: Block) -> Rival | None:
        try:
            async with asyncio.timeout(OBJECTION_SECONDS):
                return await self._objection(index, block)
        except FAULTS as exc:
            self.nodes.complain(index, exc)
        except (RpcFailed, TimeoutError):
            pass
        return None

    async def _objection(self, index: int, block: Block) -> Rival | None:
        newest, told = await self.read(
            index, BLOCK, [("latest", False), (hex(block.number), False)]
        )
        head = seen(_answer(newest)).block.number
        self.nodes.saw(index, head)
        depth = self.finality_depth
        if not told or head - depth < block.number:
            return None
        other = seen(_answer(told), block.number)
        if other.block.hash == block.hash:
            return None
        # It counts only if it is final there, by seals that are right: one node alone cannot make that up.
        blocks = [other, *await self._fetch(index, block.number + 1, block.number + depth)]
        linked(blocks)
        fetch = partial(self._fetch, index)
        above = await self._sealing.above(block.number - 1, other.block.parent, fetch)
        for item in blocks:
            above = self._sealing.check(above, item)
        names = [it.name for it in self.nodes.standings]
        return Rival(block, names[self.nodes.used], other.block, names[index])

    async def compare(self) -> Comparison:
        """Ask every node for its head and for the highest block that is final at all that answer."""
        await self.look_at_all()
        answering = [
            index
            for index, view in enumerate(self.nodes.views())
            if view.head is not None and not self.nodes.is_paused(index)
        ]
        heads = [self.nodes.standings[index].head or 0 for index in answering]
        number = max(0, min(heads, default=0) - self.finality_depth)
        asked = (self.tell(index, BLOCK, [(hex(number), False)]) for index in answering)
        told = await asyncio.gather(*asked, return_exceptions=True)
        blocks: dict[str, list[str]] = {}
        for index, answer in zip(answering, told, strict=True):
            block = None if isinstance(answer, BaseException) else _hash_of(answer[0])
            if block:
                blocks.setdefault(block, []).append(self.nodes.standings[index].name)
        return Comparison(number, blocks, tuple(self.nodes.views()))

    async def _fetch(self, index: int, first: int, last: int) -> list[Seen]:
        asked = [(hex(number), False) for number in range(first, last + 1)]
        if not asked:
            return []
        told = await self.read(index, BLOCK, asked)
        return [seen(_answer(it), first + at) for at, it in enumerate(told)]


def _hash_of(answer: object) -> str:
    try:
        return seen(answer).block.hash.hex()
    except errors.ChainError:
        return ""


def _answer(told: object) -> object:
    if isinstance(told, RpcFailed):
        raise errors.BadAnswer("No block where there must be one.", found=str(told)[:120])
    return told
