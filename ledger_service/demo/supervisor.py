"""Keeps processes alive: starts, waits until ready, restarts what dies, stops all at the end.

A process that was killed comes back with the same arguments and folders; what it promised must
hold from its own disk. One that dies again and again at once is given up, aloud.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ledger_service.domain import errors

#: Four JVMs that start at once on a busy machine took over two minutes; who dies is seen at once.
READY_SECONDS = 240.0
STOP_SECONDS = 8.0
POLL_SECONDS = 0.05
QUICK_SECONDS = 3.0
QUICK_DEATHS = 5


class ProcessFailed(errors.LedgerError):
    """A process of the stack does not come up; its log says why."""

    code = "PR01"


@dataclass(frozen=True, slots=True)
class Process:
    """What to run. `ready` says when it serves; `after_start` runs after each time it is ready."""

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready: Callable[[], Awaitable[bool]] | None = None
    after_start: Callable[[bool], Awaitable[None]] | None = None  #: True: it is a restart


class Supervisor:
    """A set of processes, each watched by a task of its own."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self.restarts: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        """Return itself; processes are started one by one."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything."""
        await self.stop()

    async def start(self, *processes: Process) -> None:
        """Start processes side by side; return when all are ready. Raise ProcessFailed."""
        starts = [asyncio.create_task(self._first_start(process)) for process in processes]
        try:
            await asyncio.gather(*starts)
        finally:  # after a failure none may come up behind the back of `stop`
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)

    def pid(self, name: str) -> int:
        """Return the process id of a running process."""
        return self._running[name].pid

    def names(self) -> list[str]:
        """Return the names of all processes, in order of start."""
        return list(self._running)

    def kill(self, name: str) -> None:
        """Kill a process as a power cut would (SIGKILL); it will be restarted."""
        with contextlib.suppress(ProcessLookupError):
            self._running[name].kill()

    def check(self) -> None:
        """Raise ProcessFailed if a process was given up."""
        for watcher in self._watchers.values():
            if watcher.done() and not watcher.cancelled() and (failure := watcher.exception()):
                raise failure

    async def stop(self) -> None:
        """End all: SIGTERM in reverse order of start, then SIGKILL."""
        for watcher in self._watchers.values():
            watcher.cancel()
        await asyncio.gather(*self._watchers.values(), return_exceptions=True)
        await asyncio.gather(*(_end(p) for p in reversed(self._running.values())))
        self._watchers.clear()
        self._running.clear()

    async def _first_start(self, process: Process) -> None:
        self.restarts[process.name] = 0
        await self._launch(process)
        await self._until_ready(process)
        if process.after_start is not None:
            await process.after_start(False)
        self._watchers[process.name] = asyncio.create_task(self._watch(process))

    async def _launch(self, process: Process) -> None:
        process.log.parent.mkdir(parents=True, exist_ok=True)
        with process.log.open("ab") as log:
            self._running[process.name] = await asyncio.create_subprocess_exec(
                *process.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=process.cwd,
                env={**os.environ, **process.env},
                start_new_session=True,
            )

    async def _watch(self, process: Process) -> None:
        quick = 0
        while True:
            started = time.monotonic()
            await self._running[process.name].wait()
            quick = quick + 1 if time.monotonic() - started < QUICK_SECONDS else 0
            if quick >= QUICK_DEATHS:
                raise ProcessFailed(found=process.name, log=process.log)
            self.restarts[process.name] += 1
            await self._launch(process)
            if process.after_start is not None:
                await self._until_ready(process)
                await process.after_start(True)

    async def _until_ready(self, process: Process) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while process.ready is not None and not await process.ready():
            if self._running[process.name].returncode is not None:
                raise ProcessFailed("It ended.", found=process.name, log=_tail(process.log))
            if time.monotonic() > deadline:
                raise ProcessFailed("It is not ready.", found=process.name, log=_tail(process.log))
            await asyncio.sleep(POLL_SECONDS)


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


def _tail(log: Path, lines: int = 15) -> str:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return "\n" + "\n".join(text.splitlines()[-lines:])
