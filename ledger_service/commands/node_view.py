"""The chain's nodes side by side: where each stands, and whether they have the same final block."""

from __future__ import annotations

from ledger_service import ports
from ledger_service.chain.client import ChainLedger
from ledger_service.chain.following import Comparison
from ledger_service.commands.findings import Finding
from ledger_service.domain.chain_errors import NodesDisagree
from ledger_service.services import dispute

ACCEPT = "nothing is taken in: find out which is right, then `mol follow accept HASH`"


async def look_at_heads(ledger: ChainLedger) -> Finding:
    """Compare the nodes: one that lags, lies or has another final block is named."""
    found = await ledger.compare()
    if len(found.blocks) > 1:
        return Finding("heads", ok=False, text=_in_dispute(found), todo=ACCEPT)
    wrong = [view for view in found.views if view.head is not None and view.why]
    text = ", ".join(
        f"{view.name} {view.head}{' (asked)' if view.used else ''}{view.why and f' ({view.why})'}"
        for view in found.views
        if view.head is not None
    )
    todo = "look at that node's log and peers; another one is asked meanwhile" if wrong else ""
    return Finding("heads", ok=not wrong, text=text or "none answers", todo=todo)


def _in_dispute(found: Comparison) -> str:
    sides = "; ".join(f"{', '.join(names)}: {hash_}" for hash_, names in found.blocks.items())
    return f"final block {found.number} is not the same everywhere. {sides}"


async def look_at_disputes(store: ports.Store) -> Finding | None:
    """Say what waits for an operator's word; None if nothing does."""
    try:
        await dispute.check(store)
    except NodesDisagree as exc:
        return Finding("dispute", ok=False, text=str(exc), todo=ACCEPT)
    return None
