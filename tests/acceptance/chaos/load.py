"""Work for a running plant: evidence is posted, every validated order's work is reported as done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import httpx
import pytest

from edge.evidence import bundle, send
from ledger_service.demo import claims as claiming
from ledger_service.demo.claims import Claim
from tests.acceptance.chaos.stack import Stack

#: A copy of the API that is frozen is passed over after so long.
TIMEOUT_SECONDS = 10.0
TRIES = 40
POLL_SECONDS = 0.5
#: How an order ends, and how often destinations hear of it: documents and events of each state that
#: it goes through, purchase and technician of its approval.
ENDS = {"Completed": 6, "Refused": 2}


@dataclass
class Piece:
    """A piece of evidence that the service has accepted, and what it says of it."""

    evidence: str
    lie: bool = False
    tracker: dict[str, Any] = field(default_factory=dict)
    order: dict[str, Any] = field(default_factory=dict)
    reported: bool = False

    @property
    def state(self) -> str:
        return str(self.tracker.get("state", "accepted"))

    @property
    def done(self) -> int:
        return sum(item["state"] == "done" for item in self.order.get("deliveries", []))

    @property
    def ended(self) -> bool:
        end = "Refused" if self.lie else "Completed"
        return self.state == end and self.done == ENDS[end]


class Load:
    """Clients of one plant. Whatever does not answer is asked again, another copy if there is one."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._clients = [self._client(url, "operator") for url in stack.urls]
        self._technicians = [self._client(url, "technician") for url in stack.urls]
        self.pieces: list[Piece] = []

    @property
    def client(self) -> httpx.AsyncClient:
        """An operator's client of the first copy."""
        return self._clients[0]

    def _client(self, url: str, token: str) -> httpx.AsyncClient:
        text = self._stack.site.token(token).read_text("utf-8").strip()
        headers = {"Authorization": f"Bearer {text}"}
        return httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS)

    async def post(self, claim: Claim) -> Piece:
        """Post until it is accepted: from then on it is promised."""
        packed = await asyncio.to_thread(claiming.seal, self._stack.site, claim, datetime.now(UTC))
        for turn in range(TRIES):
            client = self._clients[turn % len(self._clients)]
            with bundle.read(packed.file) as opened:
                try:
                    await send.send(client, opened, tries=2)
                except send.Unreachable:
                    continue
            self.pieces.append(Piece(packed.evidence.hex(), claim.lie is not None))
            return self.pieces[-1]
        pytest.fail(f"{claim.title} was not accepted in {TRIES} tries")

    async def spread(self, claims: Sequence[Claim], seconds: float) -> None:
        """Post evidence one by one, over so many seconds at least."""
        started = time.monotonic()
        for index, claim in enumerate(claims):
            await asyncio.sleep(
                max(0.0, started + index * seconds / len(claims) - time.monotonic())
            )
            await self.post(claim)

    async def follow(self, *, seconds: float) -> None:
        """Report the work of each validated order; return when all has ended and is delivered."""
        deadline = time.monotonic() + seconds
        while waiting := [piece for piece in self.pieces if not piece.ended]:
            if time.monotonic() > deadline:
                pytest.fail(self._late(waiting, seconds))
            for piece in waiting:
                await self.look(piece)
                if piece.state == "Validated" and not piece.reported:
                    await self._report(piece)
            await asyncio.sleep(POLL_SECONDS)

    async def look(self, piece: Piece) -> None:
        """Ask where a piece is; nothing is known anew if no copy answers."""
        tracker = await self._get(f"/v1/evidence/{piece.evidence}")
        if tracker and tracker["orders"]:
            order = await self._get(f"/v1/orders/{tracker['orders'][-1]['orderId']}")
            piece.order = order or piece.order
        piece.tracker = tracker or piece.tracker

    async def until(self, piece: Piece, state: str, *, seconds: float) -> None:
        """Wait until a piece is in a state."""
        deadline = time.monotonic() + seconds
        while piece.state != state:
            if time.monotonic() > deadline:
                pytest.fail(self._late([piece], seconds))
            await self.look(piece)
            await asyncio.sleep(POLL_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in (*self._clients, *self._technicians):
            await client.aclose()

    async def _get(self, path: str) -> dict[str, Any] | None:
        for client in self._clients:
            try:
                answer = await client.get(path)
            except httpx.HTTPError:
                continue
            if answer.is_success:
                return dict(answer.json())
        return None

    async def _report(self, piece: Piece) -> None:
        path = f"/v1/orders/{piece.order['orderId']}/close-out"
        for client in self._technicians:
            try:
                answer = await client.post(
                    path, params={"outcome": "cured"}, content=piece.evidence.encode()
                )
            except httpx.HTTPError:
                continue
            piece.reported = piece.reported or answer.is_success

    def _late(self, waiting: Sequence[Piece], seconds: float) -> str:
        said = [f"{p.evidence[:12]} {p.state} {p.tracker.get('hops', [])[-3:]}" for p in waiting]
        return f"not ended after {seconds:.0f} s:\n" + "\n".join(said)
