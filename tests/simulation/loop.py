"""An event loop in which time jumps and a seeded scheduler picks what runs next; no thread, no socket."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import random
from collections.abc import Callable, Coroutine
from typing import Any

PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)
TURNS = 1000
MASK = (1 << 64) - 1
THROWS, CANCELLATIONS = 16, 8


class Dead(asyncio.CancelledError):
    """The process is gone: thrown into whatever it was waiting for, and into whatever it asks yet."""


class Killed(BaseException):
    """The same, for what waits on through every cancellation: the driver of the database, for its rollback."""


class Stuck(Exception):
    """Nothing is ready and no timer runs: a world without its actors."""


class Process:
    """Tasks that live and die together. What is ready while it is frozen waits until it is thawed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = sum(name.encode())
        self.alive = True
        self.frozen = False
        self.leaving = False  #: it was told to stop, and ends by itself
        self.parked: list[asyncio.Handle] = []
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.last_words: list[Callable[[], None]] = []

    def spawn(self, loop: SimLoop, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run work as a task of this process."""
        context = contextvars.copy_context()
        context.run(PROCESS.set, self)
        return loop.create_task(work, context=context)


class Seen(Coroutine[Any, Any, Any]):
    """A coroutine whose loop is told each time it begins to wait."""

    __slots__ = ("_loop", "work")

    def __init__(self, loop: SimLoop, work: Coroutine[Any, Any, Any]) -> None:
        self._loop = loop
        self.work = work

    def __await__(self) -> Any:
        """Nobody awaits it: it is a task's."""
        raise NotImplementedError

    def send(self, value: Any) -> Any:
        """Go on to the next wait."""
        waits_for = self.work.send(value)
        self._loop.suspended(self.work)
        return waits_for

    def throw(self, *given: Any) -> Any:
        """Let it raise where it waits, and go on to the next wait."""
        waits_for = self.work.throw(*given)
        self._loop.suspended(self.work)
        return waits_for

    def close(self) -> None:
        """End it."""
        self.work.close()


class SimLoop(asyncio.BaseEventLoop):
    """Runs one ready callback after the other, picked at random by the seed.

    `on_doom` is called with the process whose turn it is, each time its callback is the `doomed`-th.
    """

    def __init__(self, rng: random.Random, *, creep: float) -> None:
        """`creep`: seconds that each step takes."""
        super().__init__()
        self._rng = rng
        self._creep = creep
        self._now = 0.0
        self._ready: list[asyncio.Handle] = []  # picked from anywhere
        self.steps = 0
        self.digest = 0
        self.doomed = 0  #: the step at which the process whose turn it is dies; 0: none does
        self.on_doom: Callable[[Process], bool] = lambda _: False
        self.aims: Callable[[Any], bool] = lambda _: False  #: given a coroutine that waits now
        self.on_hit: Callable[[Process], None] = lambda _: None
        self._is_hit = False
        self.failures: list[dict[str, Any]] = []
        self.set_task_factory(_make_task)  # type: ignore[arg-type]  # the context is passed on
        self.set_exception_handler(lambda _, context: self.failures.append(context))

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def _write_to_self(self) -> None:
        """Nobody sleeps here."""

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def run_in_executor(self, _: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]  # a future, as there
        """Run it at some later turn, in this thread."""
        future = self.create_future()

        def work() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except Exception as exc:  # noqa: BLE001  whoever waits for it is told
                future.set_exception(exc)

        self.call_soon(work)
        return future

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]  # of the base class
        pick, creep = self._rng.random, self._creep
        for _ in range(TURNS):
            if self._stopping:  # type: ignore[attr-defined]  # of the base class
                return
            now = self._now
            if not ready:
                if not scheduled:
                    raise Stuck
                self._now = now = max(now, scheduled[0]._when)
            while scheduled and scheduled[0]._when <= now:
                timer = heapq.heappop(scheduled)
                timer._scheduled = False
                if not timer._cancelled:
                    ready.append(timer)
            if not ready:
                continue
            at = int(pick() * len(ready))
            handle, ready[at] = ready[at], ready[-1]
            ready.pop()
            if handle._cancelled:  # what the public method asks
                continue
            self._now = now + creep
            self._turn(handle, at)

    def _turn(self, handle: asyncio.Handle, at: int) -> None:
        process = handle._context.get(PROCESS)  # type: ignore[attr-defined]  # whose it is
        if process is not None:
            if not process.alive:
                return
            if process.frozen:
                process.parked.append(handle)
                return
            self.steps += 1
            self.digest = (self.digest * 1_000_003 + at + process.number) & MASK
            if self.doomed and self.steps >= self.doomed and self.on_doom(process):
                return
        else:
            self.steps += 1
            self.digest = (self.digest * 1_000_003 + at) & MASK
        handle._run()
        if self._is_hit:
            self._is_hit = False
            if process is not None:
                self.on_hit(process)

    def suspended(self, work: Any) -> None:
        """Hear of a coroutine that waits now; if it is aimed at, its process dies after this turn."""
        self._is_hit = self._is_hit or self.aims(work)

    def thaw(self, process: Process) -> None:
        """Let a frozen process go on."""
        process.frozen = False
        self._ready.extend(process.parked)
        process.parked.clear()


def kill(process: Process, seen: Callable[[Any], None]) -> None:
    """End a process where it stands. Its tasks are torn down; the ports refuse what they still ask.

    `seen` is shown each task's coroutine, where it still waits.
    """
    process.alive = False
    process.parked.clear()
    for task in list(process.tasks):
        if not task.done():
            seen_by: Any = task.get_coro()
            seen(seen_by.work)
            _tear_down(task, seen_by.work)
    process.tasks.clear()
    for word in process.last_words:
        word()
    process.last_words.clear()


def _tear_down(task: asyncio.Task[Any], work: Any) -> None:
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is on purpose
    for attempt in range(THROWS):
        try:
            work.throw(Dead() if attempt < CANCELLATIONS else Killed())
        except BaseException as exc:  # noqa: BLE001  whatever it ends with, it has ended
            exc.__traceback__ = None
            return
    raise RuntimeError(f"{work} does not end")  # and would keep what it holds


def _make_task(
    loop: SimLoop, work: Coroutine[Any, Any, Any], context: contextvars.Context | None = None
) -> asyncio.Task[Any]:
    process = PROCESS.get() if context is None else context.get(PROCESS)
    if process is None:
        return asyncio.Task(work, loop=loop, context=context)
    task: asyncio.Task[Any] = asyncio.Task(Seen(loop, work), loop=loop, context=context)
    process.tasks[task] = None
    task.add_done_callback(lambda done: process.tasks.pop(done, None))
    return task
