"""A case: an order with everything that was checked about it, and what may come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ledger_service.domain import ids
from ledger_service.domain.order import Content
from ledger_service.domain.profile import Agreement
from ledger_service.domain.result import Reason
from ledger_service.domain.statement import Statement
from validators.rules.document import OrderDocument


@dataclass(frozen=True, slots=True)
class Announced:
    """An order as somebody told of it; nothing in it is believed.

    `files`: those of its dataset that came with it, by path; what is missing is fetched.
    """

    order: ids.OrderId
    content: Content
    document: bytes
    envelope: bytes
    files: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Stated:
    """What is known of an order from statement, document and chain, before any byte is fetched."""

    order: ids.OrderId
    content: Content
    claim: Statement
    document: OrderDocument
    detector_live: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class Case(Stated):
    """An order whose bytes were checked here. Scores are quantised.

    `measured`: the time that the samples cover.
    `wrong_features`: names of the statement's features that our own run does not bear out.
    `diagnosis`: the failure mode that our own run points to.
    """

    measured: timedelta
    claimed: int
    recomputed: int
    agreement: Agreement
    wrong_features: tuple[str, ...]
    diagnosis: str
    runtime: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The order is refused; `text` is for people, its SHA-256 goes on chain as the detail."""

    reason: Reason
    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A person must decide."""

    text: str


#: Reasons of the contract that may pass: a key that is not the seat's now, a deadline too far yet.
PASSING = frozenset({"Seat", "TooFar", "Unknown"})


class CannotSay(Exception):
    """There is no verdict yet: bytes cannot be had, or the order is not ours to judge.

    `later`: it may be had later. Else nothing more is to be done about what was told.
    """

    def __init__(self, text: str, *, later: bool) -> None:
        super().__init__(text)
        self.later = later


class TooLate(CannotSay):
    """There will be no verdict in time: the deadline passed, or comes before one could be in a block."""


class NotProposable(CannotSay):
    """It is not on chain, and its builder could not propose it now. `at`: by the chain's own clock."""

    def __init__(self, text: str, *, later: bool, at: datetime) -> None:
        super().__init__(text, later=later)
        self.at = at


class Refused(Exception):
    """A check failed in a way that is a verdict. `claim`: the statement, once its signature held."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(f"{reason.title}: {text}")
        self.refusal = Refusal(reason, text)
        self.claim: Statement | None = None
