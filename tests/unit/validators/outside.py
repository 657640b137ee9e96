"""What an agent of a test talks to: a service that says what it is told, a wire, and sudden death."""

from __future__ import annotations

import inspect
import resource
import signal
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Sent
from validators.agent.source import SourceDown

US = 2


@dataclass
class Service:
    """The Source port: says what it is given to say, true or not."""

    envelopes: dict[ids.EvidenceId, bytes] = field(default_factory=dict)
    documents: dict[ids.OrderId, bytes] = field(default_factory=dict)
    files: dict[ids.EvidenceId, dict[str, bytes]] = field(default_factory=dict)
    lines: list[Any] = field(default_factory=list)
    handed: dict[ids.OrderId, bytes] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    reports: dict[bytes, bytes] = field(default_factory=dict)
    down: bool = False
    takes_results: bool = True
    refused: set[ids.OrderId] = field(default_factory=set)

    async def feed(self, after: int, wait: float) -> list[Any]:
        """Number the lines as they stand, but for those that say a number of their own."""
        self._check_up()
        if not (0 <= after < 2**53 and 0 <= wait <= 30):
            raise SourceDown("422: what the API answers to such numbers")
        found: list[Any] = []
        for place, line in enumerate(self.lines, 1):
            given = line if isinstance(line, dict) else {}
            number = given.get("sequence", place)
            if (number if type(number) is int else place) > after:
                found.append({"sequence": number, **line} if isinstance(line, dict) else line)
        return found

    async def envelope(self, evidence: ids.EvidenceId) -> bytes:
        self._check_up()
        return _of(self.envelopes, evidence)

    async def document(self, order: ids.OrderId) -> bytes:
        self._check_up()
        return _of(self.documents, order)

    async def report(self, digest: bytes) -> bytes:
        self._check_up()
        return _of(self.reports, digest)

    async def file(self, evidence: ids.EvidenceId, path: str) -> AsyncGenerator[bytes, None]:
        self._check_up()
        self.fetched.append(path)
        yield _of(self.files[evidence], path)

    async def hand_in(
        self, organisation: int, documents: Mapping[ids.OrderId, bytes]
    ) -> Mapping[ids.OrderId, str]:
        assert organisation == US
        self._check_up()
        if not self.takes_results:
            raise SourceDown
        self.handed |= {it: data for it, data in documents.items() if it not in self.refused}
        return {order: "It is not known." for order in documents if order in self.refused}

    def _check_up(self) -> None:
        if self.down:
            raise SourceDown


def _of(things: dict[Any, bytes], key: Any) -> bytes:
    if key not in things:
        raise errors.NotFound
    return things[key]


@dataclass
class Wire:
    """What the agent sent, in order; `ever` gathers it over all its lives."""

    ledger: Any
    ever: list[bytes]
    sent: list[bytes] = field(default_factory=list)
    before: list[Callable[[bytes], None]] = field(default_factory=list)

    async def send(self, raw: bytes) -> Sent:
        for look in self.before:
            look(raw)
        self.sent.append(raw)
        self.ever.append(raw)
        outcome: Sent = await self.ledger.send(raw)
        return outcome


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A disk that is full, as far as this process can tell."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


class Killed(BaseException):
    """The process is gone; nothing in it can catch this."""


@dataclass
class Killer:
    """Kills at the n-th step; a step is just before and just after each question to the outside."""

    at: int = -1
    steps: int = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            raise Killed

    def over(self, real: Any) -> Any:
        """Return the port with steps around everything that is awaited."""
        return Frail(real, self)


class Frail:
    """A port that may be the last thing a process asks."""

    def __init__(self, real: Any, killer: Killer) -> None:
        self._real = real
        self._killer = killer

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def asked(*arguments: Any) -> Any:
            self._killer.step()
            answer = await found(*arguments)
            self._killer.step()
            return answer

        return asked
