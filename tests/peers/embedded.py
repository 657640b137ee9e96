"""The embedded chain as a process of its own, for tests: started, killed, started again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.peers.rpc import ready
from validators.network.files import Network

START_SECONDS = 30.0


@dataclass
class EmbeddedChain:
    """One embedded chain. Use it as a context; `kill` and `start` as often as you like."""

    folder: Path
    period: float = 0.0
    chain_id: int = 1337
    fund: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.end(signal.SIGTERM)

    @property
    def network(self) -> Network:
        return Network.load(self.folder)

    @property
    def log(self) -> str:
        return (self.folder / "process.log").read_text(encoding="utf-8")

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        options = ["--dir", str(self.folder), "--period", str(self.period)]
        options += ["--chain-id", str(self.chain_id)]
        options += [word for address in self.fund for word in ("--fund", address)]
        with (self.folder / "process.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "validators.network.embedded", *options],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while not ready(self.folder / "network.json"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the embedded chain does not start:\n{self.log}")
            time.sleep(0.02)

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None


@contextmanager
def running_embedded(
    folder: Path, *, period: float = 0.0, chain_id: int = 1337, fund: Sequence[str] = ()
) -> Iterator[Network]:
    """Run one in a folder; yield its Network. Gas is free on it: senders need no ether."""
    with EmbeddedChain(folder, period=period, chain_id=chain_id, fund=fund) as chain:
        yield chain.network


@pytest.fixture
def embedded_chain(tmp_path: Path) -> Iterator[Network]:
    """An embedded chain that makes blocks at once, fresh for each test."""
    with running_embedded(tmp_path / "chain") as network:
        yield network
