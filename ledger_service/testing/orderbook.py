"""The rules of the orders contract in memory, call by call, in the order in which it checks them.

A model, not a copy: one orders contract, no successors. `tests/conformance/test_ledger.py` holds it
and the contract on a chain to the same suite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ledger_service.domain import calls, errors, facts, ids
from ledger_service.domain.facts import OrderWord
from ledger_service.domain.lifecycle import MAY_TRY_AGAIN, MOVES, Outcome, Status
from ledger_service.domain.order import HORIZON_SECONDS, Content, OrdersDomain, order_id
from ledger_service.testing.consortium import (
    BUILDER,
    ENDED,
    LIVE,
    UNKNOWN,
    WHY,
    Emergencies,
    Registry,
    Terms,
    reject,
)

MAX_BATCH = 64
NOTHING = OrderWord.unpack(0)
NO_DETAIL = bytes(32)


@dataclass
class Book:
    """The orders contract's state. Values are frozen: a shallow copy is a snapshot."""

    words: dict[ids.OrderId, OrderWord] = field(default_factory=dict)
    latest: dict[tuple[ids.AssetId, ids.EvidenceId], ids.OrderId] = field(default_factory=dict)
    emergencies: dict[ids.VersionId, Emergencies] = field(default_factory=dict)

    def copy(self) -> Book:
        """Return a snapshot."""
        return Book(self.words.copy(), self.latest.copy(), self.emergencies.copy())


class Turn:
    """One call by one key at one block time, on a book of its own: keep the book if it returns."""

    def __init__(
        self, registry: Registry, book: Book, domain: OrdersDomain, sender: ids.Address, now: int
    ) -> None:
        self._registry = registry
        self._book = book
        self._domain = domain
        self._sender = sender
        self._now = now
        self._events: list[facts.Event] = []

    def run(self, call: calls.Call) -> list[facts.Event]:  # noqa: C901  one line per call
        """Return the events. Raise CallReverted."""
        match call:
            case calls.Propose(contents):
                self._each(len(contents), lambda at: self._propose(contents[at]), contents)
            case calls.Approve(contents, seats, results):
                if not len(contents) == len(seats) == len(results):
                    raise errors.CallReverted("BadBatch.", why="BadBatch")
                approve = lambda at: self._approve(contents[at], seats[at], results[at])  # noqa: E731  beside its fellows
                self._each(len(contents), approve, contents)
            case calls.Refuse():
                self._refuse(call)
            case calls.Withdraw(content):
                self._withdraw(content)
            case calls.Expire(content):
                self._expire(content)
            case calls.ProposeEmergency(content, reason):
                self._propose_emergency(content, reason)
            case calls.Escalate(content, reason):
                self._escalate(content, reason)
            case calls.Contest(content):
                self._contest_late(content)
            case calls.Complete():
                self._complete(call)
            case calls.Cancel(content, seat):
                self._cancel(content, seat)
        return self._events

    def _each(self, count: int, one: Callable[[int], None], contents: tuple[Content, ...]) -> None:
        if not 1 <= count <= MAX_BATCH:
            raise errors.CallReverted("BadBatch.", why="BadBatch", found=count, expected=MAX_BATCH)
        if count == 1:
            one(0)
            return
        for at, content in enumerate(contents):
            try:
                one(at)
            except errors.CallReverted as exc:
                self._skip(content, exc)

    def _skip(self, content: Content, exc: errors.CallReverted) -> None:
        why, found, expected = (exc.fields[name] for name in ("why", "found", "expected"))
        self._events.append(
            facts.Skipped(
                self._id(content), WHY.index(str(why)), int(str(found)), int(str(expected))
            )
        )

    # ---- the calls

    def _propose(self, content: Content) -> None:
        if self._sender not in self._registry.builders:
            raise reject("Caller", self._registry.role_of(self._sender), BUILDER)
        word = self._check_open(content)
        self._settle(content, self._enter(content, word))

    def _propose_emergency(self, content: Content, reason: bytes) -> None:
        self._check_safety(content)
        self._check_open(content)
        self._raise(content, self._enter(content, self._word(content)), reason)

    def _approve(self, content: Content, seat: int, result: ids.ResultDigest) -> None:
        word, number = self._check_verdict(content, seat)
        if (word.approved | word.against) >> seat & 1:
            raise reject("Voted", word.against & 1 << seat, 0)
        if word.status is Status.EMERGENCY:
            self._check_before(self._ratify_by(content, word))
        else:
            self._check_live(content)
        word = replace(word, approved=word.approved | 1 << seat)
        self._check_whole(content, word)
        self._events.append(facts.Approved(self._id(content), self._sender, number, seat, result))
        self._settle(content, word)

    def _refuse(self, call: calls.Refuse) -> None:
        content, seat = call.content, call.seat
        word, number = self._check_verdict(content, seat)
        if word.against >> seat & 1:
            raise reject("Voted", 1, 0)
        emergency = word.status is Status.EMERGENCY
        self._check_before(self._ratify_by(content, word) if emergency else content.deadline)
        order = self._id(content)
        self._events.append(
            facts.Refused(order, self._sender, number, seat, call.reason, call.detail)
        )
        bit = 1 << seat
        word = replace(word, approved=word.approved & ~bit, against=word.against | bit)
        self._settle(content, word)

    def _withdraw(self, content: Content) -> None:
        word = self._require(content, Status.PROPOSED)
        if self._sender != content.builder:
            raise reject("Caller", _number(self._sender), _number(content.builder))
        self._keep(content, self._move(content, word, Status.WITHDRAWN))

    def _expire(self, content: Content) -> None:
        word = self._require(content, Status.PROPOSED)
        holds = self._life(content) == self._detector(content) == LIVE
        if self._now < content.deadline and holds:
            raise reject("Early", self._now, content.deadline)
        self._keep(content, self._move(content, word, Status.EXPIRED))

    def _escalate(self, content: Content, reason: bytes) -> None:
        word = self._require(content, Status.PROPOSED)
        self._check_safety(content)
        self._check_live(content)
        self._raise(content, word, reason)

    def _contest_late(self, content: Content) -> None:
        word = self._require(content, Status.EMERGENCY)
        end = self._ratify_by(content, word)
        if self._now < end:
            raise reject("Early", self._now, end)
        self._keep(content, self._contest(content, word))

    def _complete(self, call: calls.Complete) -> None:
        word = self._word(call.content)
        self._check_may(word, Status.COMPLETED)
        number = self._registry.verdict_of(self._sender)
        host = self._registry.host_of(call.content.asset_version)
        if number == 0 or number != host:
            raise reject("Caller", self._registry.organisation_of(self._sender), host)
        word = replace(word, outcome=int(call.outcome))
        moved = self._move(call.content, word, Status.COMPLETED, call.close_out)
        self._keep(call.content, moved)

    def _cancel(self, content: Content, seat: int) -> None:
        word = self._word(content)
        self._check_may(word, Status.CANCELLED)
        number = self._check_seat(content, seat)
        again = word.against >> seat & 1
        word = replace(word, against=word.against | 1 << seat)
        present = self._registry.present(self._terms(content))
        complete = word.against & present == present
        if again and not complete:
            raise reject("Voted", 1, 0)
        order = self._id(content)
        self._events.append(facts.CancellationVoted(order, self._sender, number, seat))
        if complete:
            word = self._move(content, word, Status.CANCELLED)
        self._keep(content, word)

    # ---- what they check

    def _check_open(self, content: Content) -> OrderWord:
        word = self._word(content)
        if word.status is not Status.NONE:
            raise reject("State", word.status, Status.NONE)
        if self._sender != content.builder:
            raise reject("Caller", _number(self._sender), _number(content.builder))
        self._check_live(content)
        self._check_free(content)
        self._check_whole(content, replace(word, status=Status.PROPOSED))
        return word

    def _check_live(self, content: Content) -> None:
        self._check_before(content.deadline)
        if content.deadline > self._now + HORIZON_SECONDS:
            raise reject("TooFar", content.deadline, self._now + HORIZON_SECONDS)
        if (life := self._life(content)) != LIVE:
            raise reject("Version", life, LIVE)
        if (life := self._detector(content)) != LIVE:
            raise reject("Detector", life, LIVE)

    def _check_free(self, content: Content) -> None:
        asset = self._terms(content).version.asset
        held = self._book.latest.get((asset, content.evidence))
        last = self._book.words[held] if held else NOTHING
        again = last.status in MAY_TRY_AGAIN or (
            last.status is Status.COMPLETED
            and last.was_contested
            and last.outcome == Outcome.NOT_CARRIED_OUT
        )
        if held and not again:
            raise reject("Held", _number(held), last.status)
        if content.attempt != last.attempt + 1:
            raise reject("Attempt", content.attempt, last.attempt + 1)

    def _check_whole(self, content: Content, word: OrderWord) -> None:
        terms = self._registry.versions.get(content.asset_version)
        if terms is None or word.status is Status.NONE or word.approved != terms.full:
            return
        if (present := self._registry.present(terms)) != terms.full:
            raise reject("Member", present, terms.full)

    def _check_verdict(self, content: Content, seat: int) -> tuple[OrderWord, int]:
        word = self._word(content)
        if word.status > Status.EMERGENCY:
            raise reject("State", word.status, Status.PROPOSED)
        return word, self._check_seat(content, seat)

    def _check_seat(self, content: Content, seat: int) -> int:
        number = self._registry.verdict_of(self._sender)
        terms = self._registry.versions.get(content.asset_version)
        seats = terms.version.seats if terms else ()
        seated = seats[seat] if 0 <= seat < len(seats) else 0
        if number == 0 or number != seated:
            raise reject("Seat", self._registry.organisation_of(self._sender), seated)
        return number

    def _check_safety(self, content: Content) -> None:
        number = self._registry.governance_of(self._sender)
        terms = self._registry.versions.get(content.asset_version)
        safety = terms.version.safety if terms else 0
        if number == 0 or number != safety:
            raise reject("Caller", self._registry.organisation_of(self._sender), safety)

    def _check_before(self, end: int) -> None:
        if self._now >= end:
            raise reject("Late", self._now, end)

    @staticmethod
    def _check_may(word: OrderWord, wanted: Status) -> None:
        if wanted not in MOVES[word.status]:
            raise reject("State", word.status, Status.VALIDATED)

    def _require(self, content: Content, expected: Status) -> OrderWord:
        word = self._word(content)
        if word.status is not expected:
            raise reject("State", word.status, expected)
        return word

    # ---- what they do

    def _enter(self, content: Content, word: OrderWord) -> OrderWord:
        asset = self._terms(content).version.asset
        self._book.latest[asset, content.evidence] = self._id(content)
        self._events.append(facts.Proposed(self._id(content), content))
        now = self._now
        return replace(
            word, status=Status.PROPOSED, attempt=content.attempt, proposed_at=now, moved_at=now
        )

    def _settle(self, content: Content, word: OrderWord) -> None:
        """Keep the word, moved if verdicts reached an end."""
        self._keep(content, self._settled(content, word))

    def _settled(self, content: Content, word: OrderWord) -> OrderWord:
        if word.status is Status.NONE:
            return word
        emergency = word.status is Status.EMERGENCY
        if word.against:
            refused = self._contest if emergency else self._refused
            return refused(content, word)
        if word.approved != self._terms(content).full:
            return word
        if not emergency:
            return self._move(content, word, Status.VALIDATED)
        self._weigh(content, self._emergencies(content).settled(_weight(content)))
        return self._move(content, word, Status.RATIFIED)

    def _refused(self, content: Content, word: OrderWord) -> OrderWord:
        return self._move(content, word, Status.REFUSED)

    def _raise(self, content: Content, word: OrderWord, reason: bytes) -> None:
        terms, weight = self._terms(content), _weight(content)
        now = self._emergencies(content).at(self._now)
        cost, count = now.open_cost + now.contested_cost + weight, now.open + now.contested + 1
        if cost > terms.emergency_cap:
            raise reject("Cap", cost, terms.emergency_cap)
        if count > terms.emergency_max:
            raise reject("Count", count, terms.emergency_max)
        self._weigh(content, now.raised(weight))
        marked = replace(word, was_emergency=True)
        self._settle(content, self._move(content, marked, Status.EMERGENCY, reason))

    def _contest(self, content: Content, word: OrderWord) -> OrderWord:
        present = self._emergencies(content).at(self._now)
        self._weigh(content, present.contest(_weight(content), self._now))
        return self._move(content, replace(word, was_contested=True), Status.CONTESTED)

    def _move(
        self, content: Content, word: OrderWord, to: Status, detail: bytes = NO_DETAIL
    ) -> OrderWord:
        self._events.append(facts.Moved(self._id(content), to, self._sender, detail))
        return replace(word, status=to, moved_at=self._now)

    def _keep(self, content: Content, word: OrderWord) -> None:
        self._book.words[self._id(content)] = word

    def _weigh(self, content: Content, emergencies: Emergencies) -> None:
        self._book.emergencies[content.asset_version] = emergencies

    # ---- what they look up

    def _id(self, content: Content) -> ids.OrderId:
        return order_id(content, self._domain)

    def _word(self, content: Content) -> OrderWord:
        return self._book.words.get(self._id(content), NOTHING)

    def _terms(self, content: Content) -> Terms:
        return self._registry.versions[content.asset_version]

    def _life(self, content: Content) -> int:
        terms = self._registry.versions.get(content.asset_version)
        return UNKNOWN if terms is None else LIVE if terms.version.live else ENDED

    def _detector(self, content: Content) -> int:
        live = self._registry.detectors.get(content.detector)
        return UNKNOWN if live is None else LIVE if live else ENDED

    def _emergencies(self, content: Content) -> Emergencies:
        return self._book.emergencies.get(content.asset_version, Emergencies())

    def _ratify_by(self, content: Content, word: OrderWord) -> int:
        return word.moved_at + self._terms(content).ratify_period


def _weight(content: Content) -> int:
    return content.cost or 1


def _number(value: bytes) -> int:
    return int.from_bytes(value)
