"""`mol demo` told to end, while it serves or while it still builds: nothing of it stays behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.demos import ROOT, mol_demo, needles

SECONDS = 200.0
POLL_SECONDS = 0.1


def processes(folder: Path) -> dict[int, bytes]:
    """Return process id -> arguments and environment of what runs on this folder."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            arguments = (place / "cmdline").read_bytes()
            if str(folder).encode() in arguments:
                found[int(place.name)] = arguments + (place / "environ").read_bytes()
    return found


@contextmanager
def serving(folder: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `mol demo --serve`; whatever is left at the end is killed."""
    words = ("demo", "--serve", "--orders", "2", "--out", str(folder))
    with log.open("wb") as out:
        demo = subprocess.Popen(
            [sys.executable, "-m", "ledger_service", *words], cwd=ROOT, stdout=out, stderr=out
        )
    try:
        yield demo
    finally:
        demo.kill()
        demo.wait()
        for left in processes(folder):
            os.kill(left, signal.SIGKILL)


def until(come: Callable[[], bool], demo: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until something has come about; fail as soon as the demo ends."""
    deadline = time.monotonic() + SECONDS
    while not come():
        assert demo.poll() is None, log.read_text("utf-8", "replace")[-3000:]
        assert time.monotonic() < deadline, log.read_text("utf-8", "replace")[-3000:]
        time.sleep(POLL_SECONDS)


def test_a_stack_that_serves_ends_whole_and_no_argument_of_it_tells_a_secret(
    tmp_path: Path,
) -> None:
    folder, log = tmp_path / "out", tmp_path / "demo.log"
    with serving(folder, log) as demo:
        until(lambda: b"Logins" in log.read_bytes(), demo, log)
        running = processes(folder)
        assert len(running) >= 6, running  # the demo, the chain, the service, three agents
        secrets = needles(folder)
        for said in running.values():
            told = [name for name, forms in secrets.items() if any(form in said for form in forms)]
            assert told == []

        second = mol_demo("--orders", "1", "--out", str(folder))
        assert second.returncode == 2
        assert "A demo runs in this folder" in second.stderr
        assert (folder / "report.json").exists()

        demo.send_signal(signal.SIGTERM)

        assert demo.wait(60) == 0
        assert processes(folder) == {}
        assert b"stopped; everything stays in" in log.read_bytes()


def test_a_stack_that_is_still_being_built_ends_whole_however_often_it_is_told(
    tmp_path: Path,
) -> None:
    folder, log = tmp_path / "out", tmp_path / "demo.log"
    with serving(folder, log) as demo:
        until(lambda: len(processes(folder)) > 1, demo, log)
        demo.send_signal(signal.SIGINT)
        demo.send_signal(signal.SIGTERM)

        assert demo.wait(60) in {128 + signal.SIGINT, 128 + signal.SIGTERM}
        assert processes(folder) == {}
        assert b"Traceback" not in log.read_bytes()
