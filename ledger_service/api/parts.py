"""What the routers need, made by `wiring`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import Request

from ledger_service import ports
from ledger_service.api.tokens import Tokens
from ledger_service.chain.nodes import NodeView
from ledger_service.services.anchor import Anchor
from ledger_service.services.close import Close
from ledger_service.services.fetch import Fetch
from ledger_service.services.inline import Inline
from ledger_service.services.seal import Seal
from ledger_service.services.track import Track
from ledger_service.services.wakes import Wakes


@dataclass(frozen=True, slots=True)
class Parts:
    """The verbs and ports behind the API.

    `ready` raises LedgerError where something is missing; `nodes` says which nodes answer
    and how many the chain needs; `views` how this process knows each of them.
    """

    store: ports.Store
    clock: ports.Clock
    tokens: Tokens
    seal: Seal
    anchor: Anchor
    track: Track
    fetch: Fetch
    inline: Inline
    close: Close
    wakes: Wakes
    ready: Callable[[], Awaitable[dict[str, int]]]
    nodes: Callable[[], Awaitable[dict[str, object]]]
    views: Callable[[], Sequence[NodeView]]
    base_url: str
    public_datasets: bool = True
    public_metrics: bool = True


async def parts_of(request: Request) -> Parts:
    """Return the parts of the running application (a FastAPI dependency).

    FastAPI calls a plain function in a thread, for each request.
    """
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts
