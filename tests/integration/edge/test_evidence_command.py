from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from edge.detectors.quality import recording
from tests.integration.edge.plant import Edge, mol

LARGE = 96 * 1024 * 1024


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    made = Edge(tmp_path)
    yield made
    made.stop()


def test_a_folder_is_packed_sent_and_followed_and_sent_again_without_harm(edge: Edge) -> None:
    edge.serve()
    claim = edge.packed()
    assert (claim["failureMode"], claim["sequence"], claim["files"]) == ("dull-tool", 1, 1)

    first, second = edge.send(), edge.send()
    assert first.returncode == second.returncode == 0
    assert json.loads(first.stdout) == json.loads(second.stdout)
    assert json.loads(first.stdout)["evidenceId"] == claim["evidenceId"]
    shown = mol("evidence", "show", claim["evidenceId"], **edge.remote)
    assert shown.returncode == 0
    assert "1/robot-7 dull-tool: Sealed" in shown.stdout
    hops = json.loads(mol("evidence", "show", claim["evidenceId"], "--json", **edge.remote).stdout)
    assert hops["hops"]


def test_a_send_that_was_killed_half_way_is_simply_sent_again(edge: Edge) -> None:
    with (edge.root / "data" / "sound.wav").open("wb") as file:
        file.truncate(LARGE)
    edge.serve()
    claim = edge.packed()
    command = [sys.executable, "-m", "ledger_service", "evidence", "send"]
    process = subprocess.Popen(
        [*command, str(edge.root / "e.evidence")], env={**os.environ, **edge.remote}
    )
    deadline = time.monotonic() + 60
    while not half_there(edge) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    assert process.wait() < 0, "it was done before it could be killed"

    again = edge.send()
    assert again.returncode == 0
    assert json.loads(again.stdout)["evidenceId"] == claim["evidenceId"]


def half_there(edge: Edge) -> bool:
    """Say whether the service has begun to store something."""
    return any(path.is_file() for path in (edge.root / "objects").rglob("*"))


def test_a_service_that_is_away_is_waited_for(edge: Edge) -> None:
    edge.serve()
    edge.packed()
    edge.stop()
    waiting = threading.Timer(2.0, edge.serve)
    waiting.start()
    done = edge.send()
    waiting.join()

    assert done.returncode == 0, done.stderr
    assert f"no answer at http://127.0.0.1:{edge.port}, trying again in 0.5 s (safe" in done.stderr


def test_no_line_is_empty_and_none_ends_in_blanks(edge: Edge) -> None:
    edge.serve()
    packed = edge.pack()
    sent = mol("evidence", "send", edge.root / "e.evidence", **edge.remote)
    evidence = sent.stdout.split()[1]
    shown = mol("evidence", "show", evidence, **edge.remote)

    for done in (packed, sent, shown):
        assert done.returncode == 0, done.stderr
        lines = done.stdout.removesuffix("\n").split("\n")
        assert [line for line in lines if not line or line != line.rstrip()] == []
        assert done.stderr == ""


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ("link", "A symbolic link"),
        ("empty", "must name at least one file"),
        ("no input", "The detector's input"),
        ("bad name", "Not UTF-8"),
        ("nan", "NaN or infinity. (line 61)"),
        ("no folder", "No such folder"),
        ("no key", "not a device's private key"),
        ("unreadable", "cannot be packed"),
    ],
)
def test_what_cannot_be_packed_is_refused_by_name_and_takes_no_number(
    edge: Edge, spoil: str, says: str
) -> None:
    data = edge.root / "data"
    match spoil:
        case "link":
            (data / "link").symlink_to("/etc/hostname")
        case "empty":
            (data / "samples.csv").unlink()
        case "no input":
            (data / "samples.csv").rename(data / "other.csv")
        case "bad name":
            Path(os.fsdecode(os.fsencode(data) + b"/\xff")).write_bytes(b"x")
        case "nan":
            lines = (data / "samples.csv").read_text("utf-8").splitlines()
            lines[60] = lines[60].rsplit(",", 1)[0] + ",nan"
            (data / "samples.csv").write_text("\n".join(lines) + "\n", "utf-8")
        case "no folder":
            data.rename(edge.root / "elsewhere")
        case "no key":
            (edge.root / "robot.pem").write_text("no key", "utf-8")
        case "unreadable":
            if os.geteuid() == 0:
                (edge.root / "e.evidence").mkdir()
            else:
                (data / "samples.csv").chmod(0)
    done = edge.pack()

    assert done.returncode == 1 or (spoil, done.returncode) == ("no key", 2)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (edge.root / "e.evidence.part").exists()
    taken = (edge.root / "robot.pem.state.json").exists()
    assert taken is (spoil == "unreadable" and os.geteuid() == 0)


def test_a_name_that_is_no_machine_s_is_wrong_use_before_anything_else_is_looked_at(
    edge: Edge,
) -> None:
    (edge.root / "robot.pem").unlink()
    options = ("--key", edge.root / "robot.pem", "-o", edge.root / "e.evidence")
    done = mol("evidence", "pack", edge.root / "nowhere", "--asset", "robot-7", *options)

    assert done.returncode == 2
    assert "Expected <host>/<name>, as in 1/robot-7. (found 'robot-7')" in done.stderr


def test_of_a_machine_that_is_well_no_failure_is_named(edge: Edge) -> None:
    (edge.root / "data" / "samples.csv").write_bytes(recording(1, None))
    done = edge.pack()

    assert done.returncode == 0
    assert "failureMode" not in done.stdout
    assert "the score does not exceed the threshold" in done.stdout
    assert edge.packed()["failureMode"] is None


def test_what_the_service_refuses_is_said_with_its_code(edge: Edge) -> None:
    edge.device = "00" * 32  # the service knows another device
    edge.serve()
    edge.packed()
    done = edge.send()

    assert done.returncode == 1
    assert "EV13" in done.stderr
    unknown = mol("evidence", "show", "ab" * 32, **edge.remote)
    assert (unknown.returncode, "404 NF00" in unknown.stderr) == (1, True)
    assert "did not give what it was asked for" in unknown.stderr
    assert mol("evidence", "show", "ab" * 32).returncode == 2
    no_id = mol("evidence", "show", "abc", **edge.remote)
    assert (no_id.returncode, "422 EV24: A part of the call's address" in no_id.stderr) == (1, True)


class Journey(BaseHTTPRequestHandler):
    """A tracker whose evidence moves on with every look. A stand-in: nothing of it is real."""

    states: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        state, reason = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        hop = {"name": state, "detail": reason, "at": "2026-11-24T09:00:00.000Z", "tries": 1}
        body = json.dumps({"state": state, "reason": reason, "hops": [hop]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Say nothing."""


@pytest.mark.parametrize(
    ("end", "code"), [("Validated", 0), ("Refused", 1), ("Failed", 1), ("Completed", 0)]
)
def test_evidence_is_watched_until_its_order_settles(edge: Edge, end: str, code: int) -> None:
    Journey.states = [("Sealed", ""), ("Anchoring", ""), (end, "Score conflict")]
    with HTTPServer(("127.0.0.1", 0), Journey) as server:
        edge.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        done = mol("evidence", "watch", "ab" * 32, **edge.remote)
        server.shutdown()
        thread.join()

    assert done.returncode == code
    assert [line.split()[1] for line in done.stdout.splitlines()[:-1]] == [
        "Sealed",
        "Anchoring",
        end,
    ]
    assert done.stdout.splitlines()[-1] == f"{end} Score conflict"
