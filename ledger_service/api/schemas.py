"""The shapes of answers, for clients and for OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, FailFast, Field
from pydantic.alias_generators import to_camel

from ledger_service.domain.facts import Fact
from ledger_service.domain.records import Delivery, Hop, Order
from ledger_service.services import deliveries
from ledger_service.services.seal import Sealed
from ledger_service.services.track import Journey, OrderView

EXAMPLE = "5f0c" * 16
MOST_RESULTS = 64  #: in one request
ID = Field(pattern="^[0-9a-f]{64}$", examples=[EXAMPLE])
Hex32 = Annotated[str, Path(pattern="^(0x)?[0-9a-f]{64}$", examples=[EXAMPLE])]


def bytes_of(media_type: str) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of an answer that is bytes."""
    schema = {"type": "string", "format": "binary"}
    return {200: {"description": "Exact bytes", "content": {media_type: {"schema": schema}}}}


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Links(_Answer):
    """Where to go on."""

    tracker: str


class SealedAnswer(_Answer):
    """Evidence is in: bytes and row are durable. The same for the same evidence, for ever."""

    evidence_id: str = ID
    dataset_root: str = ID
    state: Literal["Sealed"] = "Sealed"
    links: Links

    @classmethod
    def of(cls, sealed: Sealed, base_url: str) -> SealedAnswer:
        """Make it."""
        name = sealed.evidence.hex()
        return cls(
            evidence_id=name,
            dataset_root=sealed.dataset_root.hex(),
            links=Links(tracker=f"{base_url}/v1/evidence/{name}"),
        )


class EvidenceSummary(_Answer):
    """Evidence in a list."""

    evidence_id: str = ID
    asset: str = Field(examples=["1/robot-7"])
    state: str = Field(examples=["Validated"])

    @classmethod
    def of(cls, journey: Journey) -> EvidenceSummary:
        """Make it."""
        evidence = journey.evidence
        return cls(evidence_id=evidence.id.hex(), asset=evidence.asset, state=journey.state)


class Again(_Answer):
    """Evidence waits to be anchored once more."""

    state: Literal["Sealed"] = "Sealed"


class Withdrawing(_Answer):
    """The withdrawal is stored and sent; the tracker says when it is final."""

    state: Literal["withdrawing"] = "withdrawing"


class HopAnswer(_Answer):
    """One step of the journey."""

    name: str = Field(examples=["approved by 2"])
    at: datetime
    tries: int = 1
    detail: str = Field(default="", examples=["block 118"])

    @classmethod
    def of(cls, hop: Hop) -> HopAnswer:
        """Make it."""
        return cls(name=hop.name, at=hop.at, tries=hop.tries, detail=hop.detail)


class OrderSummary(_Answer):
    """An order in a list."""

    order_id: str = ID
    evidence_id: str = ID
    dataset_root: str = ID
    asset: str = Field(examples=["1/robot-7"])
    status: str = Field(examples=["Validated"])
    reason: str = ""
    block: int | None = None
    attempt: int = 1
    cost: int = Field(description="Minor units of the consortium's currency")
    deadline: int = Field(description="Unix seconds")
    created_at: datetime

    @classmethod
    def of(cls, order: Order) -> OrderSummary:
        """Make it."""
        return cls(**_summary(order))


class JourneyAnswer(_Answer):
    """The journey of a piece of evidence: where it is now, and how it came there."""

    evidence_id: str = ID
    dataset_root: str = ID
    asset: str
    detector: str = ID
    failure_mode: str
    state: str = Field(examples=["Validated"])
    reason: str = ""
    sequence: int
    gap: bool = Field(description="A statement of this device before it never arrived")
    hops: list[HopAnswer]
    orders: list[OrderSummary]

    @classmethod
    def of(cls, journey: Journey) -> JourneyAnswer:
        """Make it."""
        evidence = journey.evidence
        return cls(
            evidence_id=evidence.id.hex(),
            dataset_root=evidence.dataset_root.hex(),
            asset=evidence.asset,
            detector=evidence.detector.hex(),
            failure_mode=evidence.failure_mode,
            state=journey.state,
            reason=journey.reason,
            sequence=evidence.sequence,
            gap=evidence.gap,
            hops=[HopAnswer.of(hop) for hop in journey.hops],
            orders=[OrderSummary.of(order) for order in journey.orders],
        )


class FactAnswer(_Answer):
    """What the chain said."""

    id: str = Field(examples=["000000000118/000000/000002"])
    kind: str = Field(examples=["Approved"])
    block: int
    transaction: str = ID

    @classmethod
    def of(cls, fact: Fact) -> FactAnswer:
        """Make it."""
        return cls(
            id=fact.place.id,
            kind=type(fact.event).__name__,
            block=fact.place.block,
            transaction=fact.place.transaction.hex(),
        )


class DeliveryAnswer(_Answer):
    """A fact for one destination."""

    destination: str = Field(examples=["erp"])
    kind: str = Field(examples=["order.validated"])
    state: str = Field(examples=["done"])
    attempts: int
    reason: str = ""
    reference: dict[str, Any]

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryAnswer:
        """Make it."""
        return cls(
            destination=delivery.destination,
            kind=delivery.kind,
            state=delivery.state.value,
            attempts=delivery.attempts,
            reason=delivery.reason,
            reference=delivery.reference,
        )


class OrderAnswer(OrderSummary):
    """An order with all that is known of it. `document` is base64 of the exact bytes."""

    content: dict[str, Any]
    document: str
    approvals: list[dict[str, Any]]
    facts: list[FactAnswer]
    deliveries: list[DeliveryAnswer]
    proof_blocks: list[int]

    @classmethod
    def of_view(cls, view: OrderView, document: str) -> OrderAnswer:
        """Make it."""
        return cls(
            **_summary(view.order),
            content=view.order.content.as_json(),
            document=document,
            approvals=deliveries.approvals(view.facts, view.results),
            facts=[FactAnswer.of(fact) for fact in view.facts],
            deliveries=[DeliveryAnswer.of(item) for item in view.deliveries],
            proof_blocks=[proof.block for proof in view.proofs],
        )


class FeedItem(_Answer):
    """A line of the feed to the organisations."""

    sequence: int
    kind: str = Field(examples=["order"])
    order: str = ID
    body: dict[str, Any]
    files: Mapping[str, str] = Field(
        default={}, description="Of a small dataset, where asked for: base64 by path"
    )


class FeedAnswer(_Answer):
    """The feed behind a sequence; ask again with `next`."""

    items: list[FeedItem]
    next: int


class HandedIn(BaseModel):
    """A result document that is handed in; base64 of its exact bytes, at most 2048 of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: str = Field(pattern="^(0x)?[0-9a-f]{64}$", examples=[EXAMPLE])
    organisation: int = Field(ge=1, le=255, strict=True)
    document: str = Field(
        description="Of a document of at most 2048 bytes; one that is longer, or no base64, is not kept",
        json_schema_extra={"contentEncoding": "base64"},
    )


class HandIn(BaseModel):
    """The body of a request that hands results in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # At the first that is wrong it ends: each error of thousands would cost a kilobyte.
    results: Annotated[list[HandedIn], FailFast()] = Field(min_length=1, max_length=MOST_RESULTS)


class ResultAnswer(_Answer):
    """What became of one of them; `code` and `detail` say why it is not kept."""

    order: str = ID
    organisation: int
    kept: bool
    code: str = Field(default="", examples=["NF00"])
    detail: str = ""


class ResultsAnswer(_Answer):
    """What became of results that were handed in, in their order."""

    results: list[ResultAnswer]


class ClosedAnswer(_Answer):
    """The work's end is told to the host's agent, which signs it on chain."""

    order_id: str = ID
    close_out: str = ID


def _summary(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.id.hex(),
        "evidence_id": order.content.evidence.hex(),
        "dataset_root": order.content.dataset_root.hex(),
        "asset": order.asset,
        "status": order.status.title,
        "reason": order.reason,
        "block": order.block,
        "attempt": order.content.attempt,
        "cost": order.content.cost,
        "deadline": order.content.deadline,
        "created_at": order.created_at,
    }
