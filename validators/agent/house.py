"""The house: what an agent does beside judging. Learning of orders, and everything that waits."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Refuse
from ledger_service.domain.facts import Approved, Fact, Moved, Place, Proposed
from ledger_service.domain.lifecycle import MAY_TRY_AGAIN, SETTLED, Status
from ledger_service.domain.order import Content
from ledger_service.domain.result import Reason
from ledger_service.domain.units import format_time
from validators.agent.accounts import Accounts
from validators.agent.agent import Agent
from validators.agent.desk import Desk
from validators.agent.feed import Feed
from validators.agent.finals import Finals
from validators.agent.loops import forever
from validators.agent.outcomes import Outcomes
from validators.agent.pen import Pen
from validators.agent.skew import Skew
from validators.agent.source import Source, announced, close_out
from validators.agent.watch import Watcher
from validators.agent.work import Work
from validators.journal.book import Book
from validators.rules.case import Announced, CannotSay, Refused
from validators.rules.policy import Policy

FEED_PERIOD = 0.0
BEGIN_PAUSE_SECONDS = 1.0
DESK_PERIOD = 0.25
SAY_PERIOD = 0.1
TEND_PERIOD = 0.5
MOST_TASKS = 200
FIRST_RETRY = timedelta(seconds=1)
MAX_DOUBLINGS = 6
RESTORE_MARGIN = timedelta(minutes=10)  # clocks differ, and what was under way may be lost too
QUIET_BLOCKS = 100
FEED_GRACE = timedelta(seconds=5)

log = structlog.get_logger()


class House:
    """Runs one agent."""

    def __init__(
        self,
        *,
        agent: Agent,
        accounts: Accounts,
        pen: Pen,
        outcomes: Outcomes,
        ledger: ports.Ledger,
        source: Source,
        book: Book,
        desk: Desk,
        work: Work,
        policy: Policy,
        clock: ports.Clock,
        first_block: int,
        prepare: Callable[[], Awaitable[None]],
    ) -> None:
        """`prepare` returns when chain and key are what they must be; `first_block`: deployment's."""
        self._agent = agent
        self._accounts = accounts
        self._pen = pen
        self._outcomes = outcomes
        self._ledger = ledger
        self._source = source
        self._book = book
        self._desk = desk
        self._work = work
        self._policy = policy
        self._clock = clock
        self._prepare = prepare
        block = None if accounts.key_is_new else book.memory.block
        self._watcher = Watcher(ledger, first_block if block is None else block + 1, self._take)
        self._feed = Feed(source, book, clock)
        self._skew = Skew(clock)
        self._met: dict[ids.OrderId, tuple[Content, datetime]] = {}
        self._unread: dict[ids.OrderId, Content] | None = {}  #: None: all blocks were read once
        self._finals = Finals(ledger, book)
        self._tasks: set[asyncio.Task[None]] = set()
        self._retries: dict[tuple[str, ids.OrderId], tuple[int, datetime]] = {}

    async def run(self) -> None:
        """Run until cancelled. What the chain says of us is read before anything new is judged.

        Raise StorageError where the journal lost what is remembered: only a restart knows what is there.
        """
        while not await self._begun():
            await self._clock.sleep(BEGIN_PAUSE_SECONDS)
        try:
            await self._loop()
        except BaseExceptionGroup as group:
            lost = group.subgroup(errors.StorageError)
            if lost is not None and isinstance(lost.exceptions[0], errors.StorageError):
                raise lost.exceptions[0] from group
            raise

    async def _loop(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._book.demand_whole())
            group.create_task(forever("feed", self.read_feed, period=FEED_PERIOD))
            group.create_task(forever("chain", self.follow, period=TEND_PERIOD))
            group.create_task(forever("desk", self.read_desk, period=DESK_PERIOD))
            group.create_task(forever("say", self._agent.say, period=SAY_PERIOD))
            group.create_task(forever("tend", self.tend, period=TEND_PERIOD))

    async def _begun(self) -> bool:
        try:
            await self.start()
        except errors.ChainError as exc:
            if isinstance(exc, errors.WrongChain):
                raise
            log.warning("cannot begin yet", code=exc.code, why=str(exc))
            return False
        return True

    async def start(self) -> None:
        """Get ready: chain and key, nonces, transactions that were not mined, blocks not read."""
        await self._prepare()
        await self._pen.ready()
        while await self._pen.strange_under_way():
            log.warning("waits for a transaction of ours that the journal does not know")
            await self._clock.sleep(BEGIN_PAUSE_SECONDS)
        self._agent.reopen()
        self._agent.recall.doubt_waiting()
        await self._outcomes.reconcile(at_start=True)
        await self._watcher.scan()
        await self._learn_unread()
        await self.drain()
        self._accounts.settle_key()
        log.info("agent runs", organisation=self._agent.organisation, block=self._watcher.position)

    async def _learn_unread(self) -> None:
        """Recall what we said of the orders in blocks that we had not read; then judge the others.

        Not while those blocks are read: an order judged meanwhile may repeat one of a later block.
        """
        await self._agent.recall.first()
        unread, self._unread = self._unread or {}, None
        for order, content in unread.items():
            if not self._book.memory.known(order):
                self._spawn(self._agent.learn(order, content))

    async def drain(self) -> None:
        """Wait for everything that is being judged."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Cancel what is being judged; the journal knows what is open."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(self._agent.copies.stop(), *self._tasks, return_exceptions=True)

    async def read_feed(self) -> None:
        """Read one page of the feed, once there is room for what it tells of. Raise SourceDown."""
        while len(self._tasks) >= MOST_TASKS:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        page = await self._feed.read()
        for item in page:
            self._take_line(item)
        self._feed.passed(page)

    async def follow(self) -> None:
        """Read the chain at each new head, for ever. Raise ChainError."""
        async for head in self._ledger.heads():
            self._skew.look(head)
            await self._watcher.scan()

    async def read_desk(self) -> None:
        """Sign the decisions that lie on the desk."""
        for order, decision in self._desk.read():
            if order in self._book.memory.open or not self._agent.recall.is_whole():
                continue  # judged anew after a crash, or recalled first: the decision stays until then
            if order in self._book.memory.work:
                self._work.decide(order, decision)
                self._retries.pop(("complete", order), None)
                self._desk.clear(order)
                continue
            try:
                await self._agent.decide(order, decision)
            except errors.ChainError as exc:
                if not isinstance(exc, errors.CallReverted):
                    raise  # the decision stays until the node is back
                self._decline(order, str(exc))
            except (errors.NotFound, errors.Conflict, Refused, CannotSay) as exc:
                if not self._agent.recall.is_whole():
                    continue  # one of ours was met since
                self._decline(order, str(exc))
            await self._book.sync()
            self._desk.clear(order)

    async def tend(self) -> None:
        """Look after everything that waits. Raise ChainError."""
        self._agent.undecided.tidy()
        self._learn_met()
        self._try_open()
        self._forget_retries()
        due = [it for it in self._book.memory.results if self._is_due("hand in", it)]
        await self._agent.results.hand_in(due)
        self._agent.copies.tend()
        self._remind()
        self._save_cursors()
        await self._outcomes.reconcile()
        await self._outcomes.fill_gap()
        await self._agent.say()
        await self._accounts.refuse_unaccounted()
        for entry in tuple(self._book.memory.work.values()):
            if self._is_due("complete", ids.OrderId(bytes.fromhex(entry["order"]))):
                await self._work.tend(entry)
        await self._finals.note(self._watcher.position)
        for entry in tuple(self._book.memory.unproposed.values()):
            await self._take_back(entry)

    async def _take(self, fact: Fact) -> None:
        """Take a fact of the chain."""
        event = fact.event
        if isinstance(event, Approved):
            self._accounts.take(event)
        if isinstance(event, Proposed):
            if event.order in self._book.memory.unproposed:
                self._finals.wait("proposed", event.order, fact.place)
            if event.order in self._book.memory.unwanted:
                self._book.write({"kind": "wanted", "order": event.order.hex()})
            if self._unread is not None:
                self._unread[event.order] = event.content
                self._agent.recall.doubt(Announced(event.order, event.content, b"", b""))
                return
            # A feed that is behind is about to tell of it, with all that belongs to it.
            if self._feed.behind and self._agent.held.get(event.order) is None:
                self._met.setdefault(event.order, (event.content, self._clock.now()))
            elif not self._book.memory.known(event.order):
                self._spawn(self._agent.learn(event.order, event.content))
        if isinstance(event, Moved) and event.status in SETTLED:
            self._settled(event.order, event.status, fact.place)

    def _learn_met(self) -> None:
        """Learn of what the feed had time to tell of, and did not."""
        now = self._clock.now()
        for order, (content, since) in tuple(self._met.items()):
            known = self._book.memory.known(order)
            if known or not self._feed.behind or now - since >= FEED_GRACE:
                del self._met[order]
                if not known:
                    self._spawn(self._agent.learn(order, content))

    def _settled(self, order: ids.OrderId, status: Status, place: Place) -> None:
        memory = self._book.memory
        if order in memory.pending or order in memory.open or order in memory.decided:
            entry = {"kind": "closed", "order": order.hex(), "why": f"It is {status.title}."}
            self._book.write(entry)
        elif (status in MAY_TRY_AGAIN and memory.approved(order)) or order in memory.late:
            if self._watcher.is_final(place):
                self._book.write({"kind": "ended", "order": order.hex()})
            else:  # a rewrite takes the end back, and what we approved counts again
                self._finals.wait("ended", order, place)

    def _take_line(self, item: dict[str, Any]) -> None:
        """Take a line of the feed; one that is none is told of and passed over."""
        try:
            if item["kind"] == "order":
                self._spawn(self._agent.consider(announced(item)))
            elif item["kind"] == "close-out":
                self._work.note(close_out(item))
            elif item["kind"] == "restored":
                self._hand_in_again(datetime.fromisoformat(item["body"]["copyOf"]))
        except (KeyError, TypeError, ValueError, errors.UnknownField) as exc:
            log.warning("not a line of the feed", found=str(item)[:200], why=repr(exc))

    def _hand_in_again(self, since: datetime) -> None:
        """Give the service once more what it lost: it was brought back from a copy of that moment."""
        lost = self._book.memory.results_since(since - RESTORE_MARGIN)
        for order in lost:
            self._book.write({"kind": "wanted", "order": order.hex()})
        log.warning("the service was restored from a copy", of=str(since), results=len(lost))

    async def _take_back(self, entry: dict[str, Any]) -> None:
        """Refuse what was approved and not proposed in time: it must not lie about, signed."""
        end = datetime.fromisoformat(entry["at"])
        end += timedelta(minutes=self._policy.not_proposed_minutes)
        if self._clock.now() < end:
            return
        head = await self._ledger.head()
        order = ids.OrderId(bytes.fromhex(entry["order"]))
        if (await self._ledger.word(order)).status is not Status.NONE:
            self._book.write({"kind": "proposed", "order": entry["order"]})
            return
        if head.time < end.timestamp():
            return  # a node that stands still does not know what was proposed since
        text = f"not proposed within {self._policy.not_proposed_minutes} minutes"
        detail = hashlib.sha256(text.encode()).digest()
        content = Content.from_json(entry["content"])
        call = Refuse(content, entry["seat"], int(Reason.NOT_PROPOSED), detail)
        doomed = await self._pen.try_out(call)
        if doomed is not None:
            self._book.write({"kind": "ended", "order": entry["order"], "why": str(doomed)})
            return
        log.warning("approval taken back", order=entry["order"], why=text)
        await self._pen.broadcast(self._pen.sign("unapprove", order, call))

    def _try_open(self) -> None:
        for order, content in tuple(self._agent.undecided.unwritten.items()):
            if self._is_due("judge", order):
                self._spawn(self._agent.learn(order, content))
        for order, entry in tuple(self._book.memory.open.items()):
            if self._is_due("judge", order):
                content, told = Content.from_json(entry["content"]), "told" in entry
                self._spawn(self._agent.learn(order, content, told=told))

    def _forget_retries(self) -> None:
        memory = self._book.memory
        waiting = {
            "judge": {*memory.open, *self._agent.undecided.unwritten},
            "hand in": memory.results,
            "complete": memory.work,
        }
        self._retries = {
            (what, order): retry
            for (what, order), retry in self._retries.items()
            if order in waiting[what]
        }

    def _is_due(self, what: str, order: ids.OrderId) -> bool:
        """Say whether to try again now: after 1, 2, 4, ... 64 seconds."""
        now = self._clock.now()
        tries, due = self._retries.get((what, order), (0, now + FIRST_RETRY))
        if tries and now < due:
            return False
        wait = FIRST_RETRY * int(2 ** min(tries, MAX_DOUBLINGS))
        self._retries[what, order] = (tries + 1, now + wait)
        return True

    def _remind(self) -> None:
        now = self._clock.now()
        for order, entry in tuple(self._book.memory.pending.items()):
            deadline = entry["content"]["deadline"]
            if now.timestamp() + 60 * self._policy.remind_minutes >= deadline:
                why = "It waits for a person, and its deadline is near or past."
                self._agent.undecided.too_late(order, deadline, why)
            last = datetime.fromisoformat(entry.get("reminded", entry["at"]))
            if now - last >= timedelta(minutes=self._policy.remind_minutes):
                fields = {name: entry[name] for name in ("order", "asset", "why", "deadline")}
                log.warning("still waits for a person", since=entry["at"], **fields)
                self._book.write(
                    {"kind": "reminded", "order": entry["order"], "at": format_time(now)}
                )

    def _decline(self, order: ids.OrderId, why: str) -> None:
        log.error("decision not signed", order=order.hex(), why=why)
        self._book.write({"kind": "declined", "order": order.hex(), "why": why})

    def _save_cursors(self) -> None:
        """Move the cursors on while nothing is under way; what was read twice is judged once.

        What is decided may be judged anew by the next life, which must read of its proposal then.
        """
        memory = self._book.memory
        if self._agent.busy or self._tasks or self._met or memory.decided:
            return
        self._feed.save()
        position = self._finals.first(self._watcher.position)
        behind = position - (memory.block or 0)
        if behind >= QUIET_BLOCKS or (memory.block is None and behind > 0):
            self._book.write({"kind": "block", "number": position})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
