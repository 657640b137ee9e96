"""What the agent writes into its journal about an order, and where it stands with one."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ledger_service.domain import ids
from ledger_service.domain.calls import Approve
from ledger_service.domain.facts import OrderWord
from ledger_service.domain.lifecycle import RELEASES_PURCHASE, Status
from ledger_service.domain.result import SALT_BYTES, ResultDocument
from ledger_service.domain.statement import Statement
from ledger_service.domain.units import format_time
from validators.rules.case import Announced, Ask, Case, Refusal

RELEASED = RELEASES_PURCHASE | {Status.COMPLETED, Status.CANCELLED}


@dataclass(frozen=True, slots=True)
class Place:
    """Where we stand with an order of this asset: our seat, and what of ours is on chain already."""

    asset: ids.AssetId
    seat: int
    word: OrderWord

    @property
    def proposed(self) -> bool:
        """Say whether the order stands on chain at all."""
        return self.word.status is not Status.NONE

    @property
    def approved(self) -> bool:
        """Say whether our approval is on chain."""
        return bool(self.word.approved >> self.seat & 1)

    @property
    def refused(self) -> bool:
        """Say whether our refusal is on chain. Of a released order the bit is a wish to cancel."""
        against = bool(self.word.against >> self.seat & 1)
        return against and not self.approved and self.word.status not in RELEASED

    @property
    def spoken(self) -> bool:
        """Say whether we have nothing more to say."""
        return self.approved or self.refused


def approval(item: Announced, seat: int, digest: bytes) -> Approve:
    """Return the call that approves an order with this result digest."""
    return Approve((item.content,), (seat,), (ids.ResultDigest(digest),))


def asked(item: Announced, case: Case, ask: Ask) -> dict[str, Any]:
    """Return what is kept of an order that waits for a person: all that is needed to check it again."""
    return {
        "kind": "asked",
        "order": item.order.hex(),
        "why": ask.text,
        "asset": case.claim.asset,
        "failureMode": case.claim.failure_mode,
        "cost": case.content.cost,
        "currency": case.document.cost.currency,
        "deadline": format_time(datetime.fromtimestamp(case.content.deadline, UTC)),
        "content": item.content.as_json(),
        "document": base64.b64encode(item.document).decode(),
        "envelope": base64.b64encode(item.envelope).decode(),
    }


def verdict(item: Announced, word: str, claim: Statement | None, place: Place) -> dict[str, Any]:
    """Return what is remembered of a verdict; its result, reason and time are added by who gives it."""
    entry: dict[str, Any] = {
        "kind": "verdict",
        "order": item.order.hex(),
        "verdict": word,
        "evidence": item.content.evidence.hex(),
        "seat": place.seat,
        "content": item.content.as_json(),
    }
    return entry if claim is None else {**entry, **_episode(claim)}


def unnamed(place: Place) -> dict[str, Any]:
    """Return what an approval's entry says while its statement cannot be had: its asset (a digest)."""
    return {"assetId": place.asset.hex()}


def named(order: ids.OrderId, claim: Statement) -> dict[str, Any]:
    """Return what is added to an approval that was recalled without its statement."""
    return {"kind": "named", "order": order.hex(), **_episode(claim)}


def _episode(claim: Statement) -> dict[str, Any]:
    return {
        "episode": [claim.asset, claim.detector.hex(), claim.failure_mode],
        "windowEnd": claim.window.end.isoformat(),
    }


def approved(
    item: Announced,
    case: Case,
    place: Place,
    organisation: int,
    *,
    by: str,
    at: datetime,
    gap: bool,
) -> dict[str, Any]:
    """Return what is remembered of an approval: with the result document, whose digest goes on chain."""
    document = ResultDocument(
        salt=secrets.token_bytes(SALT_BYTES),
        organisation=organisation,
        order=item.order,
        score=case.recomputed,
        runtime=case.runtime,
        agreement=case.agreement.value,
    )
    return {
        **verdict(item, "approve", case.claim, place),
        "by": by,
        "at": format_time(at),
        "score": case.recomputed,
        "class": case.agreement.value,
        "gap": gap,
        "result": document.dumps().decode(),
    }


def refused(
    item: Announced,
    refusal: Refusal,
    claim: Statement | None,
    place: Place,
    *,
    by: str,
    at: datetime,
) -> dict[str, Any]:
    """Return what is remembered of a refusal."""
    return {
        **verdict(item, "refuse", claim, place),
        "by": by,
        "at": format_time(at),
        "reason": refusal.reason.name,
        "text": refusal.text,
    }


def seen(item: Announced, claim: Statement | None) -> dict[str, Any]:
    """Return what is remembered of a statement that its device signed; what the chain has, if none."""
    entry = {
        "kind": "seen",
        "evidence": item.content.evidence.hex(),
        "dataset": item.content.dataset_root.hex(),
    }
    if claim is None:
        return entry
    return {
        **entry,
        "device": claim.device.hex(),
        "sequence": claim.sequence,
        "previous": claim.previous.hex() if claim.previous else None,
    }
