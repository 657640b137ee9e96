"""`mol evidence` and `mol detector` as people run them, against the API as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.detectors.quality import recording
from tests.integration.api.process import free_port
from tests.integration.edge.server import TOKEN

END = "2026-11-24T08:59:00Z"  # just before the moment at which the service's clock stands still
START_SECONDS = 60.0


def mol(*arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command line of `mol`."""
    return subprocess.run(
        [sys.executable, "-m", "ledger_service", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "COLUMNS": "200", **env},
    )


@dataclass
class Edge:
    """A device's folder, and the service that it sends to."""

    root: Path
    device: str = ""
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        (self.root / "data").mkdir()
        (self.root / "data" / "samples.csv").write_bytes(recording(1, "dull-tool"))
        (self.root / "token").write_text(TOKEN + "\n", encoding="utf-8")
        made = mol("evidence", "key", self.root / "robot.pem")
        self.device = made.stdout.strip()
        assert len(bytes.fromhex(self.device)) == 32

    @property
    def remote(self) -> dict[str, str]:
        return {
            "MOL_SERVICE": f"http://127.0.0.1:{self.port}",
            "MOL_TOKEN_FILE": str(self.root / "token"),
        }

    def pack(self, *more: object) -> subprocess.CompletedProcess[str]:
        options = ("--asset", "1/robot-7", "--key", self.root / "robot.pem", "--end", END)
        bundle = self.root / "e.evidence"
        return mol("evidence", "pack", self.root / "data", *options, "-o", bundle, *more)

    def packed(self) -> dict[str, Any]:
        done = self.pack("--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def send(self) -> subprocess.CompletedProcess[str]:
        return mol("evidence", "send", self.root / "e.evidence", "--json", **self.remote)

    def serve(self) -> None:
        """Start the service, on the folder and the port that it had."""
        self.port = self.port or free_port()
        with (self.root / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.integration.edge.server"),
                    *(str(self.root), str(self.port), self.device),
                ],
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[3],
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_live():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail((self.root / "service.log").read_text(encoding="utf-8"))
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None

    def _is_live(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health/live", timeout=2).is_success
        except httpx.HTTPError:
            return False
