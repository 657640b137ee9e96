from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import pytest

from tests.integration.api.server import TOKEN

START_SECONDS = 60.0
AUTH = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class Process:
    """The API in a process: started, killed, started again, on one folder."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.end(signal.SIGTERM)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.port = self.port or free_port()
        with (self.folder / "process.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.api.server", self.folder, str(self.port)],
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[3],
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_live():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the API does not start:\n{self.log}")
            time.sleep(0.05)

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None

    @property
    def log(self) -> str:
        return (self.folder / "process.log").read_text(encoding="utf-8")

    def peak_memory(self) -> int:
        """Return the peak of resident memory, in bytes, since the last reset."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():
            pytest.skip("no /proc here: memory is not measured")
        (line,) = (row for row in status.read_text("utf-8").splitlines() if "VmHWM" in row)
        return int(line.split()[1]) * 1024

    def stored(self) -> list[str]:
        """Return every file of the object store, half-written ones too."""
        root = self.folder / "objects"
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    def _is_live(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/live", timeout=2).is_success
        except httpx.HTTPError:
            return False


def free_port() -> int:
    """Return a port that was free just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
