"""Dispute: two final blocks at one height. Nothing is taken in until an operator says which is right."""

from __future__ import annotations

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.chain_errors import NodesDisagree
from ledger_service.domain.facts import Dispute, Rival

log = structlog.get_logger()


def refuse_if_open(dispute: Dispute | None) -> None:
    """Raise NodesDisagree, with nodes, height and both hashes, if nobody has decided it yet."""
    if dispute is not None and dispute.accepted is None:
        raise NodesDisagree(
            block=dispute.number,
            node=dispute.node,
            has=dispute.ours.hex(),
            other=dispute.other,
            instead=dispute.theirs.hex(),
        )


async def check(store: ports.Store) -> None:
    """Raise NodesDisagree while a dispute is open."""
    async with store.reading() as rows:
        refuse_if_open(await rows.disputes.last())


async def stop_for(
    rival: Rival | None, wanted: ids.BlockHash, store: ports.Store, clock: ports.Clock
) -> None:
    """Write a rival down, so that it stops every process also when its node is silent; raise NodesDisagree.

    Go on if an operator has accepted `wanted`, one of the two; raise WrongChain if it was the other.
    """
    if rival is None:
        return
    dispute = Dispute(
        number=rival.ours.number,
        ours=rival.ours.hash,
        theirs=rival.theirs.hash,
        node=rival.node,
        other=rival.other,
        noted_at=clock.now(),
    )
    async with store.transaction() as rows:
        standing = await rows.disputes.add(dispute)
    refuse_if_open(standing)
    if standing.accepted != wanted:
        raise errors.WrongChain(
            "An operator accepted another block.", block=dispute.number, found=wanted.hex()
        )


async def accept(store: ports.Store, block: ids.BlockHash) -> Dispute:
    """Take an operator's word for which block is right; following goes on with it. Raise NotFound."""
    async with store.transaction() as rows:
        settled = await rows.disputes.settle(block)
    if settled is None:
        raise errors.NotFound("No open dispute has this block.", found=block.hex())
    log.warning("an operator accepted a block", block=settled.number, hash=block.hex())
    return settled
