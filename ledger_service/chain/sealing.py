"""Who may seal the next block, known from block 0 or the last epoch on; each new block is held against it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

import structlog

from ledger_service.chain.reading import Seen, linked
from ledger_service.chain.settings import ChainSettings
from ledger_service.domain import errors, ids, sealers, seals
from ledger_service.domain.sealers import Sealers

KEPT = 2048
AT_ONCE = 100
#: Returns blocks `first` to `last` of one node, their hashes checked. Raises BadAnswer if one lacks.
Fetch = Callable[[int, int], Awaitable[Sequence[Seen]]]

log = structlog.get_logger()


class Sealing:
    """The sealers above each block that was looked at lately.

    Where a network's blocks carry no seals, or validators are not chosen by votes in headers
    (`checkSeals` false in network.json), nothing is checked, and finality is what the file says.
    """

    def __init__(self, settings: ChainSettings, genesis: bytes) -> None:
        self.kind = settings.kind
        self.is_checked = settings.check_seals and self.kind in {sealers.CLIQUE, sealers.QBFT}
        self._depth = settings.finality_depth
        # A depth in the file that is not that of its validators was somebody's decision.
        usual = not settings.validators or self._depth == seals.clique_quorum(settings.validators)
        self._is_counted = usual and self.kind == sealers.CLIQUE
        self._epoch = settings.epoch
        self._genesis = genesis
        self._above: OrderedDict[ids.BlockHash, Sealers] = OrderedDict()

    def depth(self, above: Sealers | None) -> int:
        """Return how many blocks above one make it final: by who may seal them, or as the file says."""
        return above.depth if above is not None and self._is_counted else self._depth

    async def above(self, number: int, block: ids.BlockHash, fetch: Fetch) -> Sealers | None:
        """Return who may seal above a block; None where seals are not checked.

        If it is not known, all blocks since the last epoch are read: they must lead to this very
        block, each sealed by whom the ones before name. Raise BadProof, BadAnswer.
        """
        if not self.is_checked:
            return None
        if block in self._above:
            self._above.move_to_end(block)
            return self._above[block]
        found, at, before = await self._known_below(number, fetch) or await self._epoch_of(
            number, fetch
        )
        first = at
        while at < number:
            blocks = await fetch(at + 1, min(at + AT_ONCE, number))
            linked([before, *blocks])
            for item in blocks:
                found = sealers.check(self.kind, found, item.header, self._epoch)
            before, at = blocks[-1], blocks[-1].block.number
        if before.block.hash != block:
            raise errors.BadProof("The chain does not lead to this block.", found=number)
        if number - first > AT_ONCE:
            log.info("sealers counted", block=number, since=first, sealers=len(found.members))
        return self._keep(block, found)

    async def _known_below(self, number: int, fetch: Fetch) -> tuple[Sealers, int, Seen] | None:
        """Return who seals above the highest known block not far below, and that block."""
        if not self._above:
            return None
        blocks = await fetch(max(1, number - AT_ONCE), number)
        known = (it for it in reversed(blocks) if it.block.hash in self._above)
        found = next(known, None)
        if found is None:
            return None
        return self._above[found.block.hash], found.block.number, found

    async def _epoch_of(self, number: int, fetch: Fetch) -> tuple[Sealers, int, Seen]:
        """Return who seals above the last block at which votes were forgotten, and that block."""
        first = number - number % self._epoch
        (start,) = await fetch(first, first)
        if first == 0 and start.block.hash != self._genesis:
            raise errors.BadProof("Another block 0.", found=start.block.hash.hex())
        return sealers.of_epoch(self.kind, start.header), first, start

    def check(self, found: Sealers | None, block: Seen) -> Sealers | None:
        """Check a block's seals against who may seal it; return who may seal above it. Raise BadProof."""
        if found is None:
            return None
        above = sealers.check(self.kind, found, block.header, self._epoch)
        if above.members != found.members and block.block.hash not in self._above:
            changed = [ids.checksum(it) for it in above.members ^ found.members]
            log.warning(
                "who seals has changed",
                block=block.block.number,
                changed=changed,
                sealers=len(above.members),
            )
        return self._keep(block.block.hash, above)

    def _keep(self, block: ids.BlockHash, above: Sealers) -> Sealers:
        self._above[block] = above
        while len(self._above) > KEPT:
            self._above.popitem(last=False)
        return above
