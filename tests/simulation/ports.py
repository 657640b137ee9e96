"""Chain, bytes, destinations, clock and service as a process sees them: late, lost, doubled, old, untrue."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Call, Sent, Unsigned
from ledger_service.domain.facts import Block
from ledger_service.domain.records import Delivery, Result
from ledger_service.testing.clock import START
from ledger_service.testing.destination import MemoryDestination
from ledger_service.testing.ledger import MemoryLedger
from tests.simulation import lies
from tests.simulation.faults import Faults
from tests.simulation.loop import Dead, Process, SimLoop
from validators.agent.source import SourceDown

if TYPE_CHECKING:
    from tests.simulation.service import Services

ASKED = [
    name
    for name, _ in inspect.getmembers(ports.Ledger, inspect.iscoroutinefunction)
    if name not in {"send", "send_many"}
]
SLOW_SECONDS = 3.0
WORLD = contextvars.Context()  #: of no process


def later(seconds: float, work: Callable[..., None], *given: Any) -> None:
    """Let something happen outside, whatever becomes of the process that caused it."""
    asyncio.get_running_loop().call_later(seconds, work, *given, context=WORLD)


class SimClock:
    """The Clock port of one machine: the loop's time, and how far this machine's clock is off."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.off = 0.0

    def now(self) -> datetime:
        """Return what this clock shows."""
        return START + timedelta(seconds=self._loop.time() + self.off)

    async def sleep(self, seconds: float) -> None:
        """Wait, by a timer that no jump moves."""
        await asyncio.sleep(seconds)


class Port:
    """What all ports of a process share."""

    def __init__(self, process: Process, faults: Faults) -> None:
        self.process = process
        self.faults = faults

    def check(self) -> None:
        """Let the dead do nothing."""
        if not self.process.alive:
            raise Dead

    async def pause(self, slow: str) -> None:
        """Suspend for a turn, seldom for longer."""
        self.check()
        if self.faults.hit(slow):
            await asyncio.sleep(SLOW_SECONDS * self.faults.rng.random() ** 2 * 3)
        elif self.faults.chance(0.1):
            await asyncio.sleep(self.faults.rng.random() * 0.2)
        else:
            await asyncio.sleep(0)


class LedgerPort(Port):
    """The Ledger port. `behind`: our node was rolled back by that many blocks; the pool is that of all nodes."""

    def __init__(
        self,
        process: Process,
        faults: Faults,
        ledger: MemoryLedger,
        broadcast: Callable[[bytes], None],
    ) -> None:
        """`broadcast` is shown what is sent before it is."""
        super().__init__(process, faults)
        self.ledger = ledger
        self.orders = ledger.orders
        self.finality_depth = ledger.finality_depth
        self.rewritable = ledger.rewritable
        self.behind = 0
        self._broadcast = broadcast
        self.listeners: list[asyncio.Future[None]] = []

    def _view(self) -> MemoryLedger:
        if not self.behind:
            return self.ledger
        view = copy.copy(self.ledger)
        view._chain = self.ledger._chain[: max(1, len(self.ledger._chain) - self.behind)]
        return view

    async def ask(self, name: str, *given: Any) -> Any:
        """Ask the node."""
        await self.pause("node slow")
        if self.faults.hit("node away"):
            raise errors.NodeUnreachable("simulated")
        answer = await getattr(self._view(), name)(*given)
        if self.faults.hit("node's answer lost"):
            raise errors.NodeUnreachable("simulated: no answer")
        return answer

    async def heads(self) -> AsyncIterator[Block]:
        """Yield the head, then each new one that is heard of."""
        while True:
            yield await self.ask("head")
            future = asyncio.get_running_loop().create_future()
            self.listeners.append(future)
            await future

    def ring(self) -> None:
        """Let them hear of a new head."""
        for future in self.listeners:
            if not future.done():
                future.set_result(None)
        self.listeners.clear()

    def agree(self, number: int, block: ids.BlockHash) -> None:
        """Take an operator's word for a final block."""
        self.check()
        self.ledger.agree(number, block)

    def prepare(self, call: Call) -> Unsigned:
        """Encode the call."""
        self.check()
        return self.ledger.prepare(call)

    async def send(self, raw: bytes) -> Sent:
        """Give it to the nodes, so it is hoped."""
        await self.pause("node slow")
        outcome = await self._send(raw)
        await asyncio.sleep(0)
        return outcome

    async def send_many(self, raws: Sequence[bytes]) -> list[Sent]:
        """Give them to the nodes in one request; each may end in its own way."""
        await self.pause("node slow")
        outcomes = [await self._send(raw) for raw in raws]
        await asyncio.sleep(0)
        return outcomes

    async def _send(self, raw: bytes) -> Sent:
        self._broadcast(raw)
        if self.faults.hit("send lost"):
            return Sent.RETRY
        if self.faults.hit("send late"):
            later(self.faults.rng.random() * 20, self._late, raw)
            return Sent.RETRY
        outcome = await self._view().send(raw)
        if self.faults.hit("send doubled"):
            outcome = await self.ledger.send(raw)
        if self.faults.hit("send's answer lost"):
            return Sent.RETRY
        return outcome

    def _late(self, raw: bytes) -> None:
        self.ledger._take(raw)


def _asked(name: str) -> Callable[..., Awaitable[Any]]:
    async def ask(self: LedgerPort, *given: Any) -> Any:
        return await self.ask(name, *given)

    return ask


for _name in ASKED:
    setattr(LedgerPort, _name, _asked(_name))


class ObjectsPort(Port):
    """The ObjectStore port."""

    def __init__(self, process: Process, faults: Faults, objects: Any) -> None:
        super().__init__(process, faults)
        self._objects = objects

    async def put(self, key: str, chunks: AsyncIterable[bytes], *, staged: bool = False) -> int:
        """Store; a full disk is met at the begin or at the end."""
        await self.pause("object store slow")
        if self.faults.hit("disk full"):
            if self.faults.chance(0.5):
                async for _ in chunks:
                    pass
            raise errors.StorageError("simulated: no space left on device")
        size: int = await self._objects.put(key, chunks, staged=staged)
        self.check()
        await asyncio.sleep(0)
        return size

    async def move(self, source: str, target: str) -> None:
        """Rename."""
        await self.pause("object store slow")
        if self.faults.hit("disk full"):
            raise errors.StorageError("simulated: no space left on device")
        await self._objects.move(source, target)
        await asyncio.sleep(0)

    async def get(
        self, key: str, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Stream."""
        await self.pause("object store slow")
        async for chunk in self._objects.get(key, start=start, length=length):
            yield chunk

    async def size(self, key: str) -> int | None:
        """Return the size."""
        await self.pause("object store slow")
        found: int | None = await self._objects.size(key)
        return found

    async def delete(self, key: str) -> None:
        """Delete."""
        await self.pause("object store slow")
        await self._objects.delete(key)

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        """List."""
        await self.pause("object store slow")
        async for key in self._objects.keys(prefix):
            self.check()
            yield key


class SimDestination(MemoryDestination):
    """The thing outside, shared by all processes; each acceptance of something new is shown."""

    def __init__(self, name: str, accepted: Callable[[str, Delivery], None]) -> None:
        super().__init__(name)
        self._accepted = accepted

    def take(self, delivery: Delivery) -> None:
        """Take it once."""
        if delivery.dedup not in self.delivered:
            self.delivered[delivery.dedup] = delivery
            self._accepted(self.name, delivery)


class DestinationPort(Port):
    """The Destination port."""

    def __init__(
        self,
        process: Process,
        faults: Faults,
        target: SimDestination,
        freeze: Callable[[Process], None],
    ) -> None:
        super().__init__(process, faults)
        self._target = target
        self._freeze = freeze
        self.name = target.name

    async def deliver(self, delivery: Delivery) -> dict[str, object]:
        """Deliver, in one way or another."""
        self.check()
        hit, rng = self.faults.hit, self.faults.rng
        if not self.process.frozen and hit("frozen while it delivers"):
            self._freeze(self.process)
        await asyncio.sleep(rng.random() * 20 if hit("destination slow") else 0)
        if hit("destination down"):
            raise errors.DestinationDown("simulated")
        if hit("destination refuses for good"):
            raise errors.DestinationRefused("simulated")
        if hit("destination late"):
            later(rng.random() * 60, self._target.take, delivery)
            await asyncio.sleep(rng.random() * 60)
            raise errors.DestinationDown("simulated: it may come yet")
        self._target.take(delivery)
        await asyncio.sleep(rng.random() * 30 if hit("destination's answer lost") else 0)
        if hit("destination lies"):
            kind = rng.choice([errors.DestinationDown, errors.DestinationRefused])
            raise kind("simulated: although it took it")
        return {"id": delivery.dedup}

    async def close(self) -> None:
        """Hold nothing open."""


class SourcePort(Port):
    """The service as an agent sees it: some process of it answers, or none does."""

    def __init__(self, process: Process, faults: Faults, services: Services) -> None:
        super().__init__(process, faults)
        self._services = services

    async def feed(self, after: int, wait: float) -> list[Any]:
        """Return lines of the feed."""
        found: list[Any] = await self._ask(lambda site: site.read_feed(after, wait))
        return [self._told(line) for line in found]

    def _told(self, line: dict[str, Any]) -> dict[str, Any]:
        """Return a line as it is told, true or not."""
        if line["kind"] != "order":
            return line
        if line["files"] and self.faults.hit("service lies"):
            line = {**line, "files": lies.of_files(line["files"], self.faults.rng)}
        if self.faults.hit("service tells another content"):
            return lies.of_line(line, self._services.world.ledger.orders, self.faults.rng)
        return line

    async def envelope(self, evidence: ids.EvidenceId) -> bytes:
        """Return an envelope."""
        return await self._bytes(lambda site: site.fetch.envelope(evidence))

    async def document(self, order: ids.OrderId) -> bytes:
        """Return an order's document."""
        return await self._bytes(lambda site: site.document(order))

    async def report(self, digest: bytes) -> bytes:
        """Return a report."""
        return await self._bytes(lambda site: site.report(digest))

    async def file(self, evidence: ids.EvidenceId, path: str) -> AsyncGenerator[bytes, None]:
        """Stream a file."""
        data = await self._bytes(lambda site: site.file(evidence, path))
        self.check()
        half = len(data) // 2
        yield data[:half]
        await asyncio.sleep(0)
        yield data[half:]

    async def hand_in(
        self, organisation: int, documents: Mapping[ids.OrderId, bytes]
    ) -> Mapping[ids.OrderId, str]:
        """Hand in results."""
        items = [Result(order, organisation, data) for order, data in documents.items()]
        found = await self._ask(lambda site: site.close.hand_in(*items))
        return {
            item.order: str(why) for item, why in zip(items, found, strict=True) if why is not None
        }

    async def _bytes(self, work: Callable[[Any], Awaitable[bytes]]) -> bytes:
        found: bytes = await self._ask(work)
        if self.faults.hit("service lies"):
            found = found[:-2] + b"9\n"
        return found

    async def _ask(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        self.check()
        if self.faults.hit("service away"):
            raise SourceDown("simulated")
        try:
            answer = await self._services.ask(work)
        except errors.NotFound:
            raise
        except errors.LedgerError as exc:
            raise SourceDown(str(exc)) from None
        if self.faults.hit("service's answer lost"):
            raise SourceDown("simulated: no answer")
        return answer
