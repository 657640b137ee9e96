"""The agent: considers each order once, from its own checks, and says what its organisation says."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Refuse
from ledger_service.domain.order import Content
from ledger_service.domain.result import Reason
from ledger_service.domain.statement import Statement
from ledger_service.domain.units import format_time
from validators.agent.batches import Batches
from validators.agent.check import Checker
from validators.agent.copies import Copies
from validators.agent.desk import Decision
from validators.agent.entries import Place, approval, approved, asked, refused, seen
from validators.agent.held import Held
from validators.agent.pace import Pace
from validators.agent.pen import Pen
from validators.agent.places import Places
from validators.agent.recall import Recall
from validators.agent.registry import Registry
from validators.agent.results import Results
from validators.agent.source import Source, announced
from validators.agent.undecided import Undecided
from validators.journal.book import Book
from validators.journal.memory import SignedVerdict
from validators.rules.case import (
    PASSING,
    Announced,
    Ask,
    CannotSay,
    Case,
    Refusal,
    Refused,
    Stated,
    TooLate,
)
from validators.rules.policy import Policy, Ruling, has_gap, judge, refuse_early

AT_ONCE = 16
RULES = "rules"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Review:
    """An order checked here and now, for a person: what the rules say, what the chain would say."""

    case: Case
    ruling: Ruling
    gap: bool
    doomed: errors.CallReverted | None


class Agent:
    """One organisation's judgement."""

    def __init__(
        self,
        *,
        organisation: int,
        ledger: ports.Ledger,
        registry: Registry,
        checker: Checker,
        source: Source,
        pen: Pen,
        book: Book,
        policy: Policy,
        clock: ports.Clock,
        pace: Pace,
    ) -> None:
        self.organisation = organisation
        places = Places(
            organisation=organisation, ledger=ledger, registry=registry, clock=clock, pace=pace
        )
        self.recall = Recall(places=places, checker=checker, source=source, book=book, clock=clock)
        self._checker = checker
        self._source = source
        self._pen = pen
        self._book = book
        self._policy = policy
        self._clock = clock
        self._busy: set[ids.OrderId] = set()
        self._pace = pace
        self.batches = Batches(pen=pen, book=book, kept=checker.kept, clock=clock, pace=pace)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._met: set[ids.OrderId] = set()
        self.held = Held(clock)
        self.undecided = Undecided(book, checker.kept, clock)
        self.results = Results(
            organisation=organisation,
            ledger=ledger,
            source=source,
            book=book,
            policy=policy,
            clock=clock,
        )
        self.copies = Copies(book=book, source=source, checker=checker, clock=clock)

    @property
    def busy(self) -> bool:
        """Say whether orders are being considered, or could not be written down, so that the cursors must not move on."""
        return bool(self._busy or self.undecided.unwritten)

    async def consider(self, item: Announced) -> None:
        """Judge an order that the service told of, once, and say so on chain.

        Before it is proposed it must be one that could be; what is said against it waits for the
        proposal. Raises nothing for what an order, a node or the service does: what cannot be
        judged yet stands in the journal as open.
        """
        try:
            self._checker.order_id(item)  # before anything is remembered under this id
        except CannotSay as exc:
            log.warning("not an order", order=item.order.hex(), why=str(exc))
            return
        if self.held.get(item.order) is None:
            await self._once(item.order, item.content, lambda: self._consider(item), told=True)

    async def learn(self, order: ids.OrderId, content: Content, *, told: bool = False) -> None:
        """Judge an order that stands on chain, or in the journal as open; fetch what belongs to it."""
        if order in self._busy:
            if not told:  # else whoever judges it now leaves it open just so
                self._met.add(order)
            return
        await self._once(order, content, lambda: self._learn(order, content), told=told)

    async def _once(
        self,
        order: ids.OrderId,
        content: Content,
        judge_it: Callable[[], Awaitable[None]],
        *,
        told: bool,
    ) -> None:
        if order in self._busy or self._book.memory.known(order):
            return
        self._busy.add(order)
        try:
            async with self._slots:
                begun = self._clock.now()
                await judge_it()
                self._pace.checked(self._clock.now() - begun)
        except (CannotSay, errors.LedgerError) as exc:
            self._put_off(order, content, exc, told=told)
        except Exception:  # a bug in judging one order costs its verdict for now, and no other's
            log.exception("a check failed by itself", order=order.hex())
            self.undecided.put_off(order, content, "an error of the agent", later=True, told=told)
        else:
            self.undecided.unwritten.pop(order, None)
        finally:
            self._busy.discard(order)
        if order in self._met:  # proposed while it was judged
            self._met.discard(order)
            await self.learn(order, content)

    def _put_off(
        self,
        order: ids.OrderId,
        content: Content,
        exc: CannotSay | errors.LedgerError,
        *,
        told: bool,
    ) -> None:
        if self.undecided.is_gone(order, exc):
            return
        later, late = not isinstance(exc, CannotSay) or exc.later, isinstance(exc, TooLate)
        self.undecided.put_off(order, content, str(exc), later=later, told=told, late=late)

    async def _learn(self, order: ids.OrderId, content: Content) -> None:
        bare = Announced(order, content, b"", b"")
        place = await self.recall.place(bare)
        held = self.held.get(order)
        if held is not None and not place.spoken:
            self.recall.demand()
            await self._say_no(bare, place, held.refusal, held.claim)
            return
        if place.spoken:
            await self.recall.fetch(bare, place)
            return
        document, envelope = await asyncio.gather(
            self._source.document(order), self._source.envelope(content.evidence)
        )
        await self._consider(Announced(order, content, document, envelope))

    async def review(self, order: ids.OrderId) -> Review:
        """Check a pending order once more, as it is now. Raise NotFound, Refused, CannotSay."""
        self.recall.demand()
        item = self._pending(order)
        place = await self.recall.place(item)
        case, doomed = await asyncio.gather(
            self._checker.check(item, self._look),
            self._pen.try_out(approval(item, place.seat, bytes(32))),
        )
        ruling = judge(case, self._policy, self._book.memory)
        return Review(case, ruling, has_gap(case, self._book.memory), doomed)

    async def decide(self, order: ids.OrderId, decision: Decision) -> None:
        """Sign a person's decision, now. What the rules refuse, nobody approves.

        Raise NotFound, Refused, CannotSay, CallReverted, ChainError.
        """
        item = self._pending(order)
        place = await self.recall.place(item)
        if not decision.approve:
            refusal = Refusal(Reason.OTHER, decision.text)
            await self._refuse(item, place, refusal, None, by=decision.by)
            return
        review = await self.review(order)
        if isinstance(review.ruling, Refusal):
            raise Refused(review.ruling.reason, review.ruling.text)
        if review.doomed is not None:
            raise review.doomed
        self.recall.demand()  # the check took a while
        await self._approve(item, place, review.case, by=decision.by)

    def reopen(self) -> None:
        """Let what an earlier life decided and never signed be judged anew. Raise StorageError."""
        self.batches.reopen()

    async def say(self, *, now: bool = False) -> None:
        """Sign and send what is decided and ready, and hand in its results. Raise ChainError, StorageError."""
        await self.results.hand_in(await self.batches.tell(now=now))

    async def _consider(self, item: Announced) -> None:
        place = await self.recall.place(item)
        if place.spoken:
            self.recall.note(item, place)
            return
        self.recall.demand()
        outcome, doomed = await asyncio.gather(
            self._check(item), self._pen.try_out(approval(item, place.seat, bytes(32)))
        )
        self.recall.demand()
        memory = self._book.memory
        if isinstance(outcome, Refused):
            await self._say_no(item, place, outcome.refusal, outcome.claim)
            return
        ruling = judge(outcome, self._policy, memory)
        if has_gap(outcome, memory):
            log.warning("gap", order=item.order.hex(), sequence=outcome.claim.sequence)
        if isinstance(ruling, Refusal):
            await self._say_no(item, place, ruling, outcome.claim)
            return
        self._demand_only(item, place)
        if doomed is not None:
            _demand_final(doomed)
            self.undecided.close(item.order, f"It cannot be approved. {doomed}", failed=True)
        elif isinstance(ruling, Ask):
            self._ask(item, outcome, ruling)
        else:
            await self._approve(item, place, outcome)

    def _look(self, case: Stated) -> None:
        refuse_early(case, self._policy, self._book.memory)

    def _demand_only(self, item: Announced, place: Place) -> None:
        """Demand that no other order of the evidence waits for its proposal. Raise CannotSay.

        What is on chain the contract itself holds to one an evidence.
        """
        others = self._book.memory.waits_for(item.content.evidence) - {item.order}
        if others and not place.proposed:
            raise CannotSay("Another order of this evidence waits.", later=True)

    async def _check(self, item: Announced) -> Case | Refused:
        try:
            return await self._checker.check(item, self._look)
        except Refused as exc:
            return exc

    async def _approve(self, item: Announced, place: Place, case: Case, *, by: str = RULES) -> None:
        gap, at = has_gap(case, self._book.memory), self._clock.now()
        entry = approved(item, case, place, self.organisation, by=by, at=at, gap=gap)
        if by == RULES and self._is_only_told(item, place):
            entry["told"] = format_time(at)
        self._demand_only(item, place)
        self.batches.decide(item.order, seen(item, case.claim), entry)
        log.info("approved", order=item.order.hex(), by=by, agreement=case.agreement.value)
        try:
            await self.say(now=by != RULES)
        except errors.LedgerError as exc:  # it is decided: others try again
            log.warning("not signed yet", order=item.order.hex(), why=str(exc))

    def _is_only_told(self, item: Announced, place: Place) -> bool:
        """Say whether the service alone told of an order so far. The cursors wait until it is signed."""
        before = self._book.memory.open.get(item.order)
        return not place.proposed and (before is None or "told" in before)

    async def _say_no(
        self, item: Announced, place: Place, refusal: Refusal, claim: Statement | None
    ) -> None:
        """Refuse what is proposed; else hold the refusal. The device's number is used either way."""
        self._checker.kept.let_go(item.order)
        if place.proposed:
            await self._refuse(item, place, refusal, claim)
            return
        if claim is not None and not self._book.memory.saw(claim.device, claim.sequence):
            self._book.write(seen(item, claim))
        self.held.put(item.order, refusal, claim)
        log.warning("held against", order=item.order.hex(), why=refusal.text)
        self.undecided.forget(item.order, refusal.text)

    async def _refuse(
        self,
        item: Announced,
        place: Place,
        refusal: Refusal,
        claim: Statement | None,
        *,
        by: str = RULES,
    ) -> None:
        detail = hashlib.sha256(refusal.text.encode()).digest()
        call = Refuse(item.content, place.seat, int(refusal.reason), detail)
        doomed = await self._pen.try_out(call)
        if doomed is not None:
            _demand_final(doomed)
            ended = doomed.fields.get("why") == "State"  # others refused it a moment before
            self.undecided.close(item.order, f"It cannot be refused. {doomed}", failed=not ended)
            return
        entry = refused(item, refusal, claim, place, by=by, at=self._clock.now())
        self._checker.kept.let_go(item.order)
        self.held.drop(item.order)
        known = [] if claim is None else [seen(item, claim)]
        signed = self._pen.sign("refuse", item.order, call, *known, entry)
        log.warning(
            "refused", order=item.order.hex(), by=by, reason=refusal.reason.name, why=refusal.text
        )
        await self._send(signed)

    async def _send(self, signed: SignedVerdict) -> None:
        """Send; it is in the journal, so a node that is away costs time and nothing else."""
        try:
            await self._pen.broadcast(signed)
        except errors.ChainError as exc:
            log.warning("not sent yet", order=signed.order.hex(), why=str(exc))

    def _ask(self, item: Announced, case: Case, ask: Ask) -> None:
        entry = {
            **asked(item, case, ask),
            "at": format_time(self._clock.now()),
            "gap": has_gap(case, self._book.memory),
        }
        self._book.write(seen(item, case.claim), entry)
        log.warning("waits for a person", order=item.order.hex(), why=ask.text)

    def _pending(self, order: ids.OrderId) -> Announced:
        entry = self._book.memory.pending.get(order)
        if entry is None:
            raise errors.NotFound("It does not wait for a person.", order=order.hex())
        return announced(entry)


def _demand_final(doomed: errors.CallReverted) -> None:
    """Raise CannotSay for what may pass, TooLate for what came too late."""
    if doomed.fields.get("why") in PASSING:
        raise CannotSay(str(doomed), later=True)
    if doomed.fields.get("why") == "Late":
        raise TooLate(str(doomed), later=False)
