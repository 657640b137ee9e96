"""The database as a process sees it: turns for writers, yields at every row, faults, and no effect of the dead."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, get_type_hints

from ledger_service import ports
from ledger_service.domain import errors
from ledger_service.domain.records import Outcome
from ledger_service.testing.store import MemoryStore, State
from tests.simulation.faults import Faults
from tests.simulation.loop import Dead, Process

TURN_SECONDS = 30.0
PORTS: dict[str, type] = get_type_hints(ports.Transaction)  #: each kind of rows
SUSPENDS = 0.25


class WatchedStore(MemoryStore):
    """The database in memory; each commit is shown: the state before, and after."""

    def __init__(self) -> None:
        self.watch: Callable[[State, State], None] | None = None
        super().__init__()

    @property
    def _state(self) -> State:
        return self.present

    @_state.setter
    def _state(self, state: State) -> None:
        before = getattr(self, "present", state)
        self.present = state
        if self.watch is not None:
            self.watch(before, state)


class Turns:
    """One writer at a time, of all processes; the dead let go, and who waits too long is told so."""

    def __init__(self) -> None:
        self.down = False
        self._held = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the turn, and have it. Raise StorageError after 30 s."""
        if self._held:
            await self._wait()
        self._held = True
        try:
            yield
        finally:
            self._held = False
            self._next()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.append(future)
        timer = loop.call_later(TURN_SECONDS, _late, future)
        try:
            await future
        except BaseException:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._held = False  # it was our turn already
                self._next()
            raise
        finally:
            timer.cancel()
            if future in self._waiting:
                self._waiting.remove(future)

    def _next(self) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                self._held = True
                future.set_result(None)
                return


def _late(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_exception(errors.StorageError("database is locked"))


class StorePort:
    """The Store port of one process."""

    def __init__(
        self,
        process: Process,
        store: ports.Store,
        turns: Turns,
        faults: Faults,
        fenced: Callable[[Sequence[Outcome]], None],
    ) -> None:
        """`fenced` is told of the deliveries that were settled, before the commit."""
        self.process = process
        self.faults = faults
        self._store = store
        self._turns = turns
        self.fenced = fenced

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ports.Transaction]:
        """Begin, in turn; faults come before, within, at the commit, and after it."""
        await self._begin()
        async with self._turns.turn(), self._store.transaction() as rows:
            yield self._rows(rows)
            self._demand_alive()
            if self.faults.hit("commit refused") or self._turns.down:
                raise errors.StorageError("simulated: the commit failed")
            await asyncio.sleep(0)
        self._demand_alive()
        if self.faults.hit("commit's answer lost"):
            raise errors.StorageError("simulated: connection lost while committing")
        await asyncio.sleep(0)

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[ports.Transaction]:
        await self._begin()
        async with self._store.reading() as rows:
            yield self._rows(rows)
        if self.faults.chance(SUSPENDS):
            await asyncio.sleep(0)

    def reading(self) -> AbstractAsyncContextManager[ports.Transaction]:
        """Begin on a snapshot."""
        return self._read()

    async def _begin(self) -> None:
        self._demand_alive()
        await asyncio.sleep(2.0 if self.faults.hit("database slow") else 0)
        if self._turns.down or self.faults.hit("database refuses to begin"):
            raise errors.StorageError("simulated: no connection")

    def _rows(self, rows: ports.Transaction) -> Any:
        return Rows(self, rows)

    def _demand_alive(self) -> None:
        if not self.process.alive:
            raise Dead


class Rows:
    """One transaction's rows."""

    __slots__ = tuple(PORTS)

    def __init__(self, port: StorePort, rows: ports.Transaction) -> None:
        for name in PORTS:
            setattr(self, name, WRAPPED[name](port, getattr(rows, name)))


def _wrap(table: str, port: type) -> Callable[[StorePort, Any], Any]:
    """Return a class whose methods are the port's, each with a chance to suspend, fail and be judged."""

    def __init__(self: Any, port: StorePort, rows: Any) -> None:  # noqa: N807  of the class made here
        self.port = port
        self.rows = rows

    names = [name for name, _ in inspect.getmembers(port, inspect.iscoroutinefunction)]
    methods: dict[str, Any] = {name: _method(name) for name in names}
    if table == "outbox":
        methods["settle"] = _settle
    return type(f"{table.title()}Rows", (), {"__init__": __init__, **methods})


def _method(name: str) -> Callable[..., Any]:
    async def call(self: Any, *given: Any, **named: Any) -> Any:
        port: StorePort = self.port
        if not port.process.alive:
            raise Dead
        if port.faults.chance(SUSPENDS):
            await asyncio.sleep(0)
            if port.faults.hit("database fails within"):
                raise errors.StorageError("simulated: server closed the connection")
        return await getattr(self.rows, name)(*given, **named)

    return call


_settle_plainly = _method("settle")


async def _settle(self: Any, outcomes: Sequence[Outcome]) -> Any:
    done = await _settle_plainly(self, outcomes)
    self.port.fenced([item for item, ours in zip(outcomes, done, strict=True) if ours])
    return done


WRAPPED = {name: _wrap(name, port) for name, port in PORTS.items()}
