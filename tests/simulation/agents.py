"""The organisations' agents: the real verbs over faulting ports; journal and desk in memory, the bytes in files."""

from __future__ import annotations

import asyncio
import copy
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger_service.domain import errors, ids
from ledger_service.testing.signer import MemorySigner
from tests.simulation.evidence import SimModels
from tests.simulation.loop import Dead, Process
from tests.simulation.ports import LedgerPort, SimClock, SourcePort
from validators.agent.accounts import Accounts
from validators.agent.agent import Agent
from validators.agent.check import Checker
from validators.agent.copies import Copies
from validators.agent.desk import Decision, Desk
from validators.agent.house import House
from validators.agent.kept import FRESH, Kept
from validators.agent.outcomes import Outcomes
from validators.agent.pace import Pace
from validators.agent.pen import Pen
from validators.agent.registry import Registry
from validators.agent.work import Work
from validators.journal.book import Book
from validators.journal.memory import Memory
from validators.rules.case import Announced, Case, Refusal, Stated
from validators.rules.policy import Policy, judge

if TYPE_CHECKING:
    from tests.simulation.world import World

STOP_SECONDS = 1.5
KEPT_BYTES = 1_000_000_000


@dataclass
class Home:
    """What outlives an agent's process: its folder."""

    number: int
    policy: Policy
    folder: Path
    journal: list[dict[str, Any]] = field(default_factory=list)
    desk: dict[ids.OrderId, Decision] = field(default_factory=dict)
    durable: int = 0  #: lines of the journal that survive a loss of power
    keys: int = 1  #: how many verdict keys the organisation has had

    @property
    def signer(self) -> MemorySigner:
        """Return the present verdict key."""
        return MemorySigner(f"verdict {self.number}" + f" {self.keys}" * (self.keys > 1))

    def settle(self) -> list[dict[str, Any]]:
        """Make all lines durable; return what was signed in them."""
        fresh = self.journal[self.durable :]
        self.durable = len(self.journal)
        entries = (entry for line in fresh for entry in line.get("entries", [line]))
        return [entry for entry in entries if entry["kind"] == "signed"]

    def lose_power(self) -> None:
        """Drop what is not durable."""
        del self.journal[self.durable :]
        for fresh in self.folder.glob(f"kept/{FRESH}*"):
            fresh.unlink()

    def lose(self) -> None:
        """Lose the whole folder."""
        self.journal.clear()
        self.desk.clear()
        self.durable = 0
        shutil.rmtree(self.folder, ignore_errors=True)


class MemoryJournal:
    """The journal's file in memory. Lines that no sync covered go when the machine loses its power."""

    def __init__(self, world: World, process: Process, home: Home) -> None:
        self._world = world
        self._process = process
        self._home = home
        self.lost = False
        self.lines = self.durable = 0
        self._settle()  # as opening it does

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield all entries again."""
        self._demand_alive()
        return iter(copy.deepcopy(self._home.journal))

    def write(self, entry: dict[str, Any], *, durable: bool = True) -> None:
        """Append. Raise StorageError: then nothing of it is there."""
        self._demand()
        if self._world.faults.hit("journal full"):
            raise errors.StorageError("simulated: the journal cannot be written")
        self._home.journal.append(copy.deepcopy(entry))
        self.lines += 1
        if durable:
            self._settle()

    def sync(self) -> None:
        """Make durable what was appended so far. Raise StorageError."""
        self._demand()
        if self._world.faults.hit("journal full"):
            self.lost = self.lines > self.durable
            raise errors.StorageError("simulated: the journal cannot be made durable")
        self._settle()

    def _demand_alive(self) -> None:
        if not self._process.alive:
            raise Dead

    def _demand(self) -> None:
        self._demand_alive()
        if self.lost:
            raise errors.StorageError("The journal lost lines; start the agent again.")

    def _settle(self) -> None:
        self.durable = self.lines
        for entry in self._home.settle():
            self._world.check.signed(self._home.number, entry)


class MemoryBook(Book):
    """The real book over a journal in memory."""

    def __init__(self, journal: MemoryJournal, home: Home) -> None:  # no file is opened
        self._journal = journal  # type: ignore[assignment]  # of its shape
        self._syncing = asyncio.Lock()
        self._lost = asyncio.Event()
        self.memory = Memory(copy.deepcopy(home.journal))

    def close(self) -> None:
        """Nothing is open."""


class WatchedChecker(Checker):
    """The real checks; whatever they, and the rules after them, have nothing against is shown."""

    def __init__(
        self, *, passed: Callable[[Case], None], policy: Policy, memory: Memory, **parts: Any
    ) -> None:
        super().__init__(**parts)
        self._passed, self._policy, self._memory = passed, policy, memory

    async def check(self, item: Announced, look: Callable[[Stated], None]) -> Case:
        """Make all checks."""
        case = await super().check(item, look)
        if not isinstance(judge(case, self._policy, self._memory), Refusal):
            self._passed(case)
        return case


class MemoryDesk(Desk):
    """A person's decisions in memory."""

    def __init__(self, process: Process, home: Home) -> None:  # there is no folder
        self._process = process
        self._desk = home.desk

    def drop(self, order: ids.OrderId, decision: Decision) -> None:
        """Leave a decision."""
        self._desk[order] = decision

    def read(self) -> Iterator[tuple[ids.OrderId, Decision]]:
        """Yield the decisions."""
        yield from list(self._desk.items())

    def clear(self, order: ids.OrderId) -> None:
        """Throw it away."""
        if self._process.alive:
            self._desk.pop(order, None)


@dataclass
class Running:
    """One life of an agent."""

    home: Home
    process: Process
    book: MemoryBook
    desk: MemoryDesk
    ledger: LedgerPort
    house: House
    main: asyncio.Task[None]
    copies: Copies

    async def stop(self) -> None:
        """End as the command does when it is told to."""
        self.main.cancel()
        stopping = asyncio.create_task(self.house.stop())
        await asyncio.wait({self.main, stopping}, timeout=STOP_SECONDS)


def start(world: World, home: Home, clock: SimClock) -> Running:
    """Start an agent in its folder."""
    number = home.number
    process = Process(f"agent {number}")
    port = LedgerPort(
        process, world.faults, world.ledger, lambda raw: world.check.broadcast_by_agent(number, raw)
    )
    ledger: Any = port
    source = SourcePort(process, world.faults, world.services)
    book, desk = MemoryBook(MemoryJournal(world, process, home), home), MemoryDesk(process, home)
    pen = Pen(ledger=ledger, send=port.send, signer=home.signer, book=book, clock=clock)
    common: dict[str, Any] = {"organisation": number, "ledger": ledger, "pen": pen, "book": book}
    own: dict[str, Any] = {"source": source, "policy": home.policy, "clock": clock}
    pace = Pace()
    agent = _agent(world, home, pace, common, own)
    house = House(
        agent=agent,
        accounts=Accounts(**common),
        pen=pen,
        outcomes=Outcomes(ledger=ledger, pen=pen, book=book, clock=clock, pace=pace),
        ledger=ledger,
        book=book,
        desk=desk,
        work=Work(folder=home.folder / "reports", **common, **own),
        first_block=0,
        prepare=_ready,
        **own,
    )
    main = process.spawn(world.loop, house.run())
    main.add_done_callback(lambda _: world.ended(process))
    return Running(home, process, book, desk, port, house, main, agent.copies)


def _agent(
    world: World,
    home: Home,
    pace: Pace,
    common: dict[str, Any],
    own: dict[str, Any],
) -> Agent:
    registry = Registry(common["ledger"], own["clock"])
    kept = Kept(home.folder / "kept", KEPT_BYTES)
    kept.tidy()
    models: Any = SimModels(lambda data: world.check.ran(home.number, data))
    checker = WatchedChecker(
        passed=lambda case: world.check.passed(home.number, case.order),
        policy=home.policy,
        memory=common["book"].memory,
        domain=world.ledger.orders,
        registry=registry,
        source=own["source"],
        kept=kept,
        models=models,
        clock=own["clock"],
        dataset_max_bytes=1_000_000,
    )
    return Agent(registry=registry, checker=checker, pace=pace, **common, **own)


async def _ready() -> None:
    """Find that chain and key are what they must be."""
    await asyncio.sleep(0)
