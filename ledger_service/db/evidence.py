"""Evidence, its stage and its hops, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Row, Select, bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger_service.db import sql
from ledger_service.db.tables import evidence, hop, maintenance_order
from ledger_service.domain import errors, ids
from ledger_service.domain.lifecycle import SETTLED, Stage, Status
from ledger_service.domain.records import Evidence, Hop


def _waiting() -> Select[int]:
    order, other = maintenance_order.alias("opened"), maintenance_order.alias("other")
    over = other.c.status.in_([int(it) for it in SETTLED])
    sealed = select(func.count()).where(
        evidence.c.stage == Stage.SEALED.value,
        ~select(1).where(other.c.evidence == evidence.c.id, over).exists(),
    )
    anchoring = select(func.count(order.c.evidence.distinct())).where(
        order.c.status.in_([int(it) for it in set(Status) - SETTLED]),
        ~select(1).where(other.c.evidence == order.c.evidence, over).exists(),
        select(1)
        .where(evidence.c.id == order.c.evidence, evidence.c.stage == Stage.ANCHORING.value)
        .exists(),
    )
    return select(sealed.scalar_subquery() + anchoring.scalar_subquery())


#: Made once: it takes longer to build than to run.
_WAITING = _waiting()


class SqlEvidence:
    """The EvidenceRows port."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, item: Evidence) -> None:
        """Insert; a unique constraint that is hit waits for whoever was faster, then is named."""
        insert = sql.insert(self._connection, evidence).values(**sql.values_of(item))
        done = await self._connection.execute(
            insert.on_conflict_do_nothing().returning(evidence.c.number)
        )
        if done.first() is None:
            await self.check(item)
            raise errors.Conflict("This evidence was just sealed.", found=item.id.hex())

    async def check(self, item: Evidence) -> None:
        """Raise what `add` would raise; insert nothing."""
        query = select(
            evidence.c.id, evidence.c.device, evidence.c.sequence, evidence.c.dataset_root
        ).where(
            or_(
                evidence.c.id == item.id,
                (evidence.c.device == item.device) & (evidence.c.sequence == item.sequence),
                evidence.c.dataset_root == item.dataset_root,
            )
        )
        found = (await self._connection.execute(query)).all()
        if any(row.id == item.id for row in found):
            raise errors.Conflict("This evidence is already sealed.", found=item.id.hex())
        for row in found:
            if (row.device, row.sequence) == (item.device, item.sequence):
                raise errors.SequenceFork(found=row.id.hex(), sequence=item.sequence)
        if found:
            raise errors.DatasetReused(found=found[0].id.hex())

    async def get(self, wanted: ids.EvidenceId) -> Evidence:
        """Return it. Raise NotFound."""
        found = await self._one(evidence.c.id == wanted)
        if found is None:
            raise errors.NotFound("No such evidence.", found=wanted.hex())
        return found

    async def latest_of(self, device: ids.DeviceId) -> Evidence | None:
        """Return the device's statement with the highest sequence."""
        query = (
            select(evidence)
            .where(evidence.c.device == device)
            .order_by(evidence.c.sequence.desc())
            .limit(1)
        )
        row = (await self._connection.execute(query)).first()
        return _read(row) if row else None

    async def to_anchor(self, limit: int) -> Sequence[Evidence]:
        """Return sealed evidence, oldest first."""
        rows = await self._connection.execute(_TO_ANCHOR, {"most": limit})
        return [_read(row) for row in rows]

    async def waiting(self) -> int:
        """Count the backlog: what is sealed, and what has open orders only.

        From the open side, by index: it is asked before each upload, and what is settled grows for
        years. What is being anchored has an order from the same transaction on.
        """
        return int((await self._connection.execute(_WAITING)).scalar_one())

    async def move(
        self, wanted: ids.EvidenceId, stage: Stage, reason: str = "", *, expected: Stage
    ) -> None:
        """Set the stage by an UPDATE that says where it was: who comes second waits, then is told."""
        done = await self._connection.execute(
            update(evidence)
            .where(evidence.c.id == wanted, evidence.c.stage == expected.value)
            .values(stage=stage.value, reason=reason)
        )
        if not done.rowcount:
            raise errors.Conflict("The evidence is elsewhere by now.", expected=expected.value)

    async def claim(
        self, wanted: Sequence[ids.EvidenceId], stage: Stage, *, expected: Stage
    ) -> frozenset[ids.EvidenceId]:
        """Set the stage of those that are where `expected` says, by one UPDATE."""
        done = await self._connection.execute(
            update(evidence)
            .where(evidence.c.id.in_(wanted), evidence.c.stage == expected.value)
            .values(stage=stage.value, reason="")
            .returning(evidence.c.id)
        )
        return frozenset(ids.EvidenceId(row.id) for row in done)

    async def list(self, *, limit: int, before: datetime | None = None) -> Sequence[Evidence]:
        """Return the newest first."""
        query = select(evidence).order_by(evidence.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(evidence.c.received_at < before)
        return [_read(row) for row in await self._connection.execute(query)]

    async def hop(self, *items: Hop) -> None:
        """Insert, or replace time and detail and add the tries."""
        if not items:
            return
        insert = sql.insert(self._connection, hop)
        statement = insert.on_conflict_do_update(
            index_elements=["evidence", "name"],
            set_={
                "at": insert.excluded.at,
                "detail": insert.excluded.detail,
                "tries": hop.c.tries + insert.excluded.tries,
            },
        )
        await self._connection.execute(statement, [sql.values_of(item) for item in items])

    async def hops(self, wanted: ids.EvidenceId) -> Sequence[Hop]:
        """Return the hops in order of first occurrence."""
        query = select(hop).where(hop.c.evidence == wanted).order_by(hop.c.number)
        return [
            Hop(ids.EvidenceId(row.evidence), row.name, row.at, row.tries, row.detail)
            for row in await self._connection.execute(query)
        ]

    async def _one(self, condition: Any) -> Evidence | None:
        row = (await self._connection.execute(select(evidence).where(condition))).first()
        return _read(row) if row else None


_TO_ANCHOR = (
    select(evidence)
    .where(evidence.c.stage == Stage.SEALED)
    .order_by(evidence.c.number)
    .limit(bindparam("most", type_=Integer()))
)


def _read(row: Row[Any]) -> Evidence:
    return Evidence(
        id=ids.EvidenceId(row.id),
        envelope=row.envelope,
        asset=row.asset,
        detector=ids.DetectorId(row.detector),
        failure_mode=row.failure_mode,
        device=ids.DeviceId(row.device),
        sequence=row.sequence,
        dataset_root=ids.DatasetRoot(row.dataset_root),
        gap=row.gap,
        received_at=row.received_at,
        stage=Stage(row.stage),
        reason=row.reason,
    )
