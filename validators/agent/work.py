"""The end of the work: the host's agent signs a close-out, once it has the report that it names.

That work has ended nobody can recompute. What is signed is the digest of a report that lies in our
own folder; and where the policy says so, only after a person read it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Complete
from ledger_service.domain.lifecycle import RELEASES_PURCHASE, SETTLED, Status
from ledger_service.domain.order import Content, order_id
from ledger_service.domain.units import format_time
from validators.agent.desk import Decision
from validators.agent.pen import Pen
from validators.agent.source import CloseOut, Source, SourceDown, close_out
from validators.journal.book import Book
from validators.rules.policy import Policy

COMPLETABLE = RELEASES_PURCHASE | {Status.CONTESTED}
MOST = 1000

log = structlog.get_logger()


class Work:
    """One organisation's close-outs, from the feed to the signature."""

    def __init__(
        self,
        *,
        organisation: int,
        ledger: ports.Ledger,
        source: Source,
        pen: Pen,
        book: Book,
        policy: Policy,
        clock: ports.Clock,
        folder: Path,
    ) -> None:
        """`folder`: where the reports are kept, each named by its SHA-256."""
        self._organisation = organisation
        self._ledger = ledger
        self._source = source
        self._pen = pen
        self._book = book
        self._policy = policy
        self._clock = clock
        self._folder = folder

    def note(self, work: CloseOut) -> None:
        """Note a close-out that was told of. One whose report never came gives way to another."""
        memory = self._book.memory
        before = memory.work.get(work.order, {})
        if ("complete", work.order) in memory.purposes or "report" in before:
            return
        if order_id(work.content, self._ledger.orders) != work.order:
            log.warning("close-out of another order", order=work.order.hex())
            return
        if len(memory.work) >= MOST and not before:
            log.error("too many close-outs wait", order=work.order.hex(), limit=MOST)
            return
        entry = {
            "kind": "work",
            "order": work.order.hex(),
            "content": work.content.as_json(),
            "outcome": int(work.outcome),
            "closeOut": work.digest.hex(),
        }
        if before != entry:
            self._book.write(entry)

    async def tend(self, entry: dict[str, Any]) -> None:
        """Sign a close-out if we are the host, the order can be completed, and all is here."""
        work = close_out(entry)
        if await self._host(work.content) != self._organisation:
            self._drop(work.order, "")
            return
        word = await self._ledger.word(work.order)
        if word.status not in COMPLETABLE:
            if word.status in SETTLED:
                self._drop(work.order, f"It is {word.status.title}.")
            return
        if "report" not in entry and not await self._fetch(work):
            return
        if self._policy.person_completes and "confirmed" not in entry:
            return
        await self._sign(work)

    def decide(self, order: ids.OrderId, decision: Decision) -> None:
        """Take what a person decided about the end of an order's work."""
        if not decision.approve:
            self._drop(order, f"{decision.by}: {decision.text}")
            return
        self._book.write({"kind": "confirmed", "order": order.hex(), "by": decision.by})

    async def _sign(self, work: CloseOut) -> None:
        call = Complete(work.content, work.outcome, work.digest)
        doomed = await self._pen.try_out(call)
        if doomed is not None:
            self._drop(work.order, str(doomed))
            return
        log.info("completed", order=work.order.hex(), outcome=work.outcome.name)
        await self._pen.broadcast(self._pen.sign("complete", work.order, call))

    async def _fetch(self, work: CloseOut) -> bool:
        """Fetch the report and keep it; say whether it is here and is the one. Raise StorageError."""
        try:
            report = await self._source.report(work.digest)
        except (errors.NotFound, SourceDown) as exc:
            log.warning("no report of a close-out", order=work.order.hex(), why=str(exc))
            return False
        if hashlib.sha256(report).digest() != work.digest:
            log.error("another report than the close-out names", order=work.order.hex())
            return False
        path = self._folder / work.digest.hex()
        _keep(path, report)
        fields = {"order": work.order.hex(), "report": str(path), "size": len(report)}
        self._book.write({"kind": "reported", "at": format_time(self._clock.now()), **fields})
        if self._policy.person_completes:
            log.warning("the end of the work waits for a person", order=work.order.hex())
        return True

    async def _host(self, content: Content) -> int | None:
        """Return who may complete: the version's host, or the asset's present one if it left."""
        version = await self._ledger.version(content.asset_version)
        if version is None:
            return None
        if await self._ledger.organisation(version.host) is not None:
            return version.host
        current = await self._ledger.current_version(version.asset)
        return current.host if current is not None else None

    def _drop(self, order: ids.OrderId, why: str) -> None:
        if why:
            log.error("not completed", order=order.hex(), why=why)
        self._book.write({"kind": "dropped", "order": order.hex(), "why": why})


def _keep(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as exc:
        raise errors.StorageError(f"The report cannot be kept: {exc}") from exc
