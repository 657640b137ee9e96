"""The wires between nodes: every peer connection runs through one, and can be cut as a network is.

A cut wire carries nothing and says nothing, as when packets are lost: both ends keep their connection
for as long as they have patience (geth: some twenty seconds), and what they sent arrives after the
cut is mended. So a short split heals at once, without a privilege and on any machine.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from validators.network.plan import Launch, Plan

READ_BYTES = 65536
TRIES, TRY_SECONDS = 40, 0.1


@dataclass
class Wire:
    """From one node to the port of another."""

    source: str
    target: str
    port: int = 0
    to: int = 0
    whole: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin to carry a connection."""
        task = asyncio.create_task(self._carry(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.whole.wait()
            far_reader, far_writer = await self._far_end()
        except OSError:  # the node is down
            writer.close()
            return
        except asyncio.CancelledError:
            writer.close()
            raise
        await asyncio.gather(self._one_way(reader, far_writer), self._one_way(far_reader, writer))

    async def _far_end(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Reach the target, which may still be starting: who is refused comes back after 35 s."""
        for _ in range(TRIES - 1):
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", self.to)
            await asyncio.sleep(TRY_SECONDS)
        return await asyncio.open_connection("127.0.0.1", self.to)

    async def _one_way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await reader.read(READ_BYTES):
                    await self.whole.wait()
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()


@dataclass
class Wires:
    """All wires of a network, by (source, target): one per pair, the later node calls the earlier."""

    wires: dict[tuple[str, str], Wire]

    def plug(self, folder: Path) -> None:
        """Lead a geth network's peers through the wires; before its nodes are started."""
        plan = Plan.load(folder)
        for launch in plan.launches:
            listed = ", ".join(
                f'"{self._enode(launch.name, other)}"'
                for other in plan.launches
                if (launch.name, other.name) in self.wires
            )
            file = plan.node(launch) / "node.toml"
            text = re.sub(r"StaticNodes = .*", f"StaticNodes = [{listed}]", file.read_text("utf-8"))
            file.write_text(text, "utf-8")

    def _enode(self, source: str, target: Launch) -> str:
        wire = self.wires[source, target.name]
        wire.to = target.p2p
        return target.enode.replace(f":{target.p2p}?", f":{wire.port}?")

    def cut(self, part: Iterable[str]) -> None:
        """Part these nodes from the others."""
        inside = set(part)
        for wire in self.wires.values():
            if (wire.source in inside) != (wire.target in inside):
                wire.whole.clear()

    def mend(self) -> None:
        for wire in self.wires.values():
            wire.whole.set()


@asynccontextmanager
async def laid(names: Iterable[str]) -> AsyncIterator[Wires]:
    """Lay a whole wire for each pair of nodes."""
    ends = list(names)
    wires = {(a, b): Wire(a, b) for at, a in enumerate(ends) for b in ends[:at]}
    servers = []
    for wire in wires.values():
        wire.whole.set()
        server = await asyncio.start_server(wire.take, "127.0.0.1", 0)
        wire.port = server.sockets[0].getsockname()[1]
        servers.append(server)
    try:
        yield Wires(wires)
    finally:
        for server in servers:
            server.close()
        for wire in wires.values():
            await wire.end()
