"""One run: a world made of a seed, its processes, what befalls them, and whether all ends well."""

from __future__ import annotations

import asyncio
import gc
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.services.deliveries import ROUTES
from ledger_service.testing.ledger import MemoryLedger
from ledger_service.testing.objects import MemoryObjects
from ledger_service.testing.signer import MemorySigner
from ledger_service.testing.store import State
from tests.simulation import actors, agents, ending, sqlite
from tests.simulation.aim import Aim
from tests.simulation.coverage import Deaths
from tests.simulation.entropy import seeded
from tests.simulation.evidence import DETECTOR, Packed, asset_of, pool, public_key
from tests.simulation.faults import Faults
from tests.simulation.invariants import Check
from tests.simulation.loop import PROCESS, Dead, Process, SimLoop, Stuck, kill
from tests.simulation.ports import LedgerPort, SimClock, SimDestination
from tests.simulation.service import BUILDER, PACE, Services
from tests.simulation.store import Turns, WatchedStore
from validators.rules.policy import Policy

TAIL = 60
LEASE = PACE.lease.total_seconds()
ORGANISATIONS = (1, 2, 3)
SQL_EVERY = 20
#: What uploads left whose process was killed long ago.
LEFT_OVER = [f"staging/20200101T00000{n}-{n}" for n in range(3)]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a seed makes of the world."""

    devices: int
    evidence: int
    destinations: tuple[str, ...]
    split: bool
    depth: int
    deep: bool
    sql: bool
    intensity: float
    calm: float
    minutes: float
    person: bool
    ends: bool
    revokes: bool
    withdraws: bool
    creep: float
    episodes: bool
    aim: float
    hurry: float
    hasty: bool
    rewritable: bool
    outlasting: float

    @classmethod
    def of(cls, seed: int, rng: random.Random) -> Shape:
        """Choose."""
        deep, sql = rng.random() < 0.12, seed % SQL_EVERY == 1
        crowd = rng.random() < 0.04 and not sql
        return cls(
            devices=1 if sql else 3 if crowd else rng.choice((1, 2, 2, 3)),
            evidence=rng.randint(8, 10) if crowd else rng.randint(2, 4),
            destinations=tuple(sorted(ROUTES)) if rng.random() < 0.7 else ("documents", "events"),
            split=rng.random() < 0.5,
            depth=rng.randint(1, 4),
            deep=deep,
            sql=sql,
            intensity=rng.choice((0.3, 1.0, 2.0)),
            calm=rng.choice((2.5, 6.0, 15.0)),
            minutes=rng.uniform(0.7, 1.0) if sql else rng.uniform(1.5, 3.0),
            person=rng.random() < 0.3,
            ends=rng.random() < 0.6,
            revokes=rng.random() < 0.1,
            withdraws=rng.random() < 0.15,
            creep=rng.choice((0.0, 0.0001, 0.001)),
            episodes=rng.random() < 0.25,
            aim=rng.choice((0.0, 0.5, 1.0)),
            hurry=1.0 if crowd else 10.0,
            hasty=rng.random() < 0.2,
            rewritable=rng.random() < 0.5,
            outlasting=rng.uniform(10, 90),
        )


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that did not hold."""

    invariant: str
    text: str
    step: int
    time: float


@dataclass
class Outcome:
    """What a run came to."""

    seed: int
    steps: int
    seconds: float
    digest: int
    faults: Counter[str]
    deaths: Counter[str]
    violations: list[Violation]
    trace: list[str] = field(default_factory=list)
    sql: bool = False


class World:
    """Everything that outlives a process, and the processes."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.folder = folder
        self.rng = random.Random(f"simulation {seed}")  # noqa: S311  a schedule, no secret
        self.shape = shape = Shape.of(seed, self.rng)
        self.loop = SimLoop(random.Random(f"schedule {seed}"), creep=shape.creep)  # noqa: S311  same
        self.faults = Faults(random.Random(f"faults {seed}"), shape.intensity)  # noqa: S311  same
        self.trace: deque[str] = deque(maxlen=TAIL)
        self.violations: list[Violation] = []
        self.deaths = Deaths()
        self.clock = SimClock(self.loop)
        self.ledger = MemoryLedger(finality_depth=shape.depth, clock=self.clock)
        self.ledger.rewritable = shape.rewritable
        self.objects = MemoryObjects()
        self.objects.objects |= dict.fromkeys(LEFT_OVER, b"half")
        self.turns = Turns()
        self.check = Check(self)
        self.watched = sqlite.Database(folder) if shape.sql else WatchedStore()
        self.watched.watch = self.check.commit
        self.destinations = {
            name: SimDestination(name, self.check.accepted) for name in shape.destinations
        }
        self.services = Services(self)
        self.known: dict[ids.EvidenceId, Packed] = {}
        self.accepted: dict[ids.EvidenceId, None] = {}
        self.lied: set[ids.EvidenceId] = set()
        self.halted = False
        self.paused: set[str] = set()
        self.revoked = False
        self.withdrawn: set[ids.EvidenceId] = set()
        self.given_up: set[str] = set()  #: deliveries that a person ended
        self.unordered: set[tuple[str, str]] = set()  #: destination and order of those
        self.posting: list[asyncio.Task[None]] = []
        self.running: dict[str, Process] = {}
        self.ledgers: dict[str, LedgerPort] = {}
        self.clocks: dict[str, SimClock] = {}
        self.homes = {n: agents.Home(n, self._policy(n), folder / str(n)) for n in ORGANISATIONS}
        self.lives: dict[str, agents.Running] = {}
        self._people()
        self._losses()
        self._deaths()

    def _losses(self) -> None:
        self.copies: list[tuple[float, str, State]] = []
        self.restores = 0
        self.away: dict[str, float] = {}  #: until when no machine is there for a process
        self.calm_until: dict[str, float] = {}

    def _deaths(self) -> None:
        self.loop.on_doom = self._doom
        self.aim = Aim(random.Random(f"aim {self.seed}"), self.shape.aim)  # noqa: S311  a schedule, no secret
        self.loop.aims = self._aims
        self.loop.on_hit = self._hit

    def _policy(self, number: int) -> Policy:
        asks = self.shape.person and number == 2
        hours = 24 if self.shape.episodes else 0
        return Policy(
            episode_hours=hours,
            person_above=0 if asks else 5_000_000,
            not_proposed_minutes=1 if self.shape.hasty else 20,
        )

    def _people(self) -> None:
        ledger = self.ledger
        for number in ORGANISATIONS:
            verdict, governance = MemorySigner(f"verdict {number}"), MemorySigner(f"gov {number}")
            ledger.add_organisation(number, verdict.address, governance.address)
        ledger.add_builder(MemorySigner(BUILDER).address)
        ledger.add_detector(DETECTOR.id)
        for device in range(self.shape.devices):
            asset = ids.asset_id(asset_of(device))
            ledger.add_device(asset, ids.device_id(public_key(device)))
            ledger.register_version(asset, ORGANISATIONS, 1, 3)
            for packed in pool(device):
                self.known[packed.id] = packed

    # ---- processes

    def open_store(self, process: Process | None = None) -> ports.Store:
        """Return the database as a new process opens it."""
        if isinstance(self.watched, WatchedStore):
            return self.watched
        return self.watched.open(process)

    def names(self) -> list[tuple[str, str]]:
        """Return the processes of the service, name and role."""
        roles = ("api", "anchor", "follow", "relay") if self.shape.split else ("all",)
        return [(f"{role} {number}", role) for role in roles for number in (1, 2)]

    def start(self, name: str) -> None:
        """Start a process that is not there."""
        present = self.running.get(name)
        if present is not None and present.alive:
            return
        if self.away.get(name, 0.0) > self.loop.time():
            return  # whoever sets the next machine up starts it there
        clock = self.clocks.setdefault(name, SimClock(self.loop))
        self.note(f"{name} starts")
        if name.startswith("agent"):
            home = self.homes[int(name.rsplit(maxsplit=1)[-1])]
            life = agents.start(self, home, clock)
            self.lives[name] = life
            self.running[name], self.ledgers[name] = life.process, life.ledger
            return
        role, _, _ = name.partition(" ")
        self.running[name] = self.services.start(name, role, clock)
        self.ledgers[name] = self.services.sites[name][1].ledger

    def crash(self, name: str, after: float) -> None:
        """Kill a process; another life begins some seconds later."""
        process = self.running[name]
        if not process.alive:
            return
        self.note(f"{name} dies")
        kill(process, self.deaths.see)
        if name in self.lives and self.faults.hit("power lost"):
            self.homes[int(name.rsplit(maxsplit=1)[-1])].lose_power()
        self.outside(after, self.start, name)

    def freeze(self, process: Process) -> None:
        """Stop a process for a while, mostly for longer than a lease."""
        if process.frozen or not process.alive:
            return
        process.frozen = True
        seconds = LEASE * self.faults.rng.choice((0.5, 1.5, 2, 3, 5))
        self.note(f"{process.name} is frozen for {seconds:.0f} s")
        self.outside(seconds, self.loop.thaw, process)

    def ended(self, process: Process) -> None:
        """Start a process again that ended by itself, as whoever supervises it does."""
        if process.alive and not process.leaving:
            self.note(f"{process.name} ends by itself")
            self.crash(process.name, 5.0)

    def _doom(self, process: Process) -> bool:
        if not self.faults.on or not process.alive:
            return False
        self.faults.counts["crash in its turn"] += 1
        self.crash(process.name, self.faults.rng.uniform(0.1, 10))
        self.draw_doom()
        return True

    def _aims(self, work: Any) -> bool:
        process = PROCESS.get()
        alive = process is not None and process.alive
        return alive and self.faults.on and self.aim.hits(work)

    def _hit(self, process: Process) -> None:
        if process.alive and self.faults.on:
            self.faults.counts["crash at a place"] += 1
            self.crash(process.name, self.faults.rng.uniform(0.1, 10))

    def draw_doom(self) -> None:
        """Choose the step at which the next process dies."""
        mean = 400 * self.shape.calm
        self.loop.doomed = self.loop.steps + 1 + int(self.faults.rng.expovariate(1 / mean))

    def outside(self, seconds: float, work: Callable[..., None], *given: Any) -> None:
        """Let something happen later, whoever lives then."""
        context = actors.outside()
        self.loop.call_later(seconds, work, *given, context=context)

    # ---- what is told of the run

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self.loop.steps:>8} {self.loop.time():>9.2f}  {text}")

    def violate(self, invariant: str, text: str) -> None:
        """Note a violation and end the run."""
        self.note(f"VIOLATION {invariant}: {text}")
        self.violations.append(Violation(invariant, text, self.loop.steps, self.loop.time()))
        self.loop.stop()


def run(seed: int, *, doom: bool = True) -> Outcome:
    """Run a seed to its end."""
    folder = sqlite.folder()
    gc.disable()
    try:
        with seeded(seed):
            return _run(seed, folder, doom=doom)
    finally:
        sqlite.remove(folder)
        gc.enable()
        gc.collect()


def _run(seed: int, folder: Path, *, doom: bool) -> Outcome:
    world = World(seed, folder)
    loop = world.loop
    if doom:
        world.draw_doom()
    from tests.simulation import logs  # noqa: PLC0415

    logs.show(world)
    try:
        main = loop.create_task(ending.play(world))
        main.add_done_callback(lambda _: loop.stop())
        loop.run_forever()
        if main.done() and not main.cancelled() and main.exception() is not None:
            raise main.exception()  # type: ignore[misc]  # it is there
    except Stuck:
        world.violate("liveness", "nothing moves any more")
    finally:
        _close(world)
    for failure in loop.failures:
        exc = failure.get("exception")
        if exc is not None and not isinstance(exc, errors.LedgerError | Dead):
            world.violate("bug", f"nobody took this: {exc!r}")
    return Outcome(
        seed=seed,
        steps=loop.steps,
        seconds=loop.time(),
        digest=loop.digest,
        faults=world.faults.counts,
        deaths=world.deaths.counts,
        violations=world.violations,
        trace=list(world.trace),
        sql=world.shape.sql,
    )


def _close(world: World) -> None:
    asyncio._set_running_loop(world.loop)  # those who die may still ask for it
    try:
        for process in world.running.values():
            kill(process, lambda _: None)
    finally:
        asyncio._set_running_loop(None)
    PROCESS.set(None)
    if isinstance(world.watched, sqlite.Database):
        world.watched.close()
