"""What the service remembers: rows as values, independent of the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ledger_service.domain import ids
from ledger_service.domain.lifecycle import Stage, Status
from ledger_service.domain.order import Content


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sealed piece of evidence. `envelope` is the DSSE envelope as received; `gap`: a statement of the device before it is missing."""

    id: ids.EvidenceId
    envelope: bytes
    asset: str
    detector: ids.DetectorId
    failure_mode: str
    device: ids.DeviceId
    sequence: int
    dataset_root: ids.DatasetRoot
    gap: bool
    received_at: datetime
    stage: Stage = Stage.SEALED
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """An order that was built. `status` NONE until the chain's final blocks say more."""

    id: ids.OrderId
    content: Content
    asset: str
    document: bytes
    created_at: datetime
    status: Status = Status.NONE
    block: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """The next status of an order, and the block that says so; `reason`: why, in words."""

    order: ids.OrderId
    status: Status
    block: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """An organisation's result document for an order, as it handed it in."""

    order: ids.OrderId
    organisation: int
    document: bytes


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of a piece of evidence, for the tracker. The latest one of a name is shown."""

    evidence: ids.EvidenceId
    name: str
    at: datetime
    tries: int = 1
    detail: str = ""


class TxState(StrEnum):
    """Where an outgoing transaction is."""

    STORED = "stored"  #: signed and stored; it may or may not have been broadcast
    MINED = "mined"  #: a final block has it
    FAILED = "failed"  #: mined without effect, or never valid


@dataclass(frozen=True, slots=True)
class Earlier:
    """What was signed for a nonce before; it may be mined all the same."""

    hash: ids.TxHash
    void: bool


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A signed transaction of ours. `key` names its purpose, `refused_at` since when no node takes it.

    `void`: these bytes do nothing but use the nonce up, since every node refused the `earlier` ones.
    """

    key: str
    signer: ids.Address
    nonce: int
    hash: ids.TxHash
    raw: bytes
    created_at: datetime
    orders: tuple[ids.OrderId, ...] = ()
    state: TxState = TxState.STORED
    sends: int = 0
    reason: str = ""
    sent_at: datetime | None = None
    refused_at: datetime | None = None
    void: bool = False
    earlier: tuple[Earlier, ...] = ()


class DeliveryState(StrEnum):
    """Where a delivery is; `pending` also while leased or backing off."""

    PENDING = "pending"
    DONE = "done"
    BLOCKED = "blocked"  #: refused for good: visible, a person must look; its key waits
    DEAD = "dead"  #: given up by a person, with a reason; its key goes on


@dataclass(frozen=True, slots=True)
class Delivery:
    """One fact for one destination. `dedup` = event id + destination; rows of one `key` keep order.

    `owner` names the claim that holds it, each claim another. An empty payload was pruned.
    """

    dedup: str
    destination: str
    key: str
    kind: str
    payload: dict[str, Any]
    created_at: datetime
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    due: datetime | None = None
    reason: str = ""
    reference: dict[str, Any] = field(default_factory=dict)
    owner: str = ""
    settled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a delivery that the claim `owner` held. PENDING: it comes back at `due`.

    `tried` False: it was not sent, and does not count as an attempt.
    """

    dedup: str
    owner: str
    state: DeliveryState
    at: datetime
    due: datetime | None = None
    reason: str = ""
    reference: dict[str, Any] = field(default_factory=dict)
    tried: bool = True


@dataclass(frozen=True, slots=True)
class Circuit:
    """A destination whose last deliveries failed, one after the other, since `since`.

    `held_at`: when it was last decided to leave it alone, `until` when. Then one delivery is tried.
    """

    destination: str
    failures: int
    since: datetime
    held_at: datetime | None = None
    until: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A line of the feed to the organisations; `kind` is `order` or `close-out`."""

    sequence: int
    kind: str
    order: ids.OrderId
    body: dict[str, Any]


class Role(StrEnum):
    """What a bearer token may do."""

    EDGE = "edge"
    ORGANISATION = "organisation"
    AUDITOR = "auditor"
    TECHNICIAN = "technician"
    BUYER = "buyer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Token:
    """API access. Only the SHA-256 of the secret is kept; `subject` narrows it (an asset, an organisation's number)."""

    id: str
    digest: bytes
    role: Role
    subject: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
