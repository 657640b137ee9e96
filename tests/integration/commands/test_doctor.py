"""The doctor names one cause once, in words, and what to do about it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger_service.commands.findings import host_of
from tests.integration.api.process import free_port
from tests.integration.commands.conftest import Desk, laid_out
from tests.peers.consortium import found, settings_of
from tests.peers.embedded import EmbeddedChain
from tests.unit.services.site import PLAN
from validators.network.files import Network

START_SECONDS = 60.0
CONFIG = """
[api]
port = {port}
[builder]
keystore = "builder.json"
password_file = "builder.password"
[orders.assets."1/robot-7"]
type = "robot"
"""


@dataclass
class Practice:
    """A service's folder, complete, that nobody runs; and the doctor."""

    desk: Desk
    port: int
    capsys: pytest.CaptureFixture[str]

    def examine(self) -> dict[str, dict[str, Any]]:
        """Return the findings by name; the exit code says whether one of them is wrong."""
        self.capsys.readouterr()
        code = self.desk.mol("doctor --json")
        found = {item["name"]: item for item in json.loads(self.capsys.readouterr().out)}
        assert code == any(item["ok"] is False for item in found.values())
        return found


def opened(desk: Desk, capsys: pytest.CaptureFixture[str]) -> Practice:
    """Write what a service has in its folder."""
    port = free_port()
    (desk.folder / "mol.toml").write_text(CONFIG.format(port=port), encoding="utf-8")
    (desk.folder / "jobplans").mkdir()
    (desk.folder / "jobplans" / "drill.yaml").write_text(PLAN, encoding="utf-8")
    desk.keep("builder", desk.founded.builder)
    assert desk.mol("token create --role buyer --file token") == 0
    return Practice(desk, port, capsys)


@pytest.fixture
def practice(desk: Desk, capsys: pytest.CaptureFixture[str]) -> Practice:
    return opened(desk, capsys)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[EmbeddedChain]:
    """A chain that may be stopped."""
    with EmbeddedChain(tmp_path / "chain") as running:
        yield running


@pytest.fixture
def stoppable(chain: EmbeddedChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    founded = asyncio.run(found(settings_of(chain.network, tmp_path), "stoppable"))
    return laid_out(tmp_path, chain.network, founded)


@contextmanager
def served(folder: Path, port: int) -> Iterator[None]:
    """Run the API in a process of its own."""
    with (folder / "api.log").open("wb") as log:
        command = [sys.executable, "-m", "ledger_service", "api"]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_live(port):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail((folder / "api.log").read_text("utf-8"))
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


def is_live(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/live").is_success
    except httpx.HTTPError:
        return False


def test_a_chain_that_is_away_is_one_finding_and_nothing_wrong_is_advised(
    chain: EmbeddedChain, stoppable: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    practice = opened(stoppable, capsys)
    host = host_of(chain.network.nodes[0].rpc)
    with served(stoppable.folder, practice.port):
        assert practice.examine()["api"]["ok"]
        chain.end()
        with_api = practice.examine()
    found = practice.examine()

    assert found["chain"]["text"] == f"No node of the chain answers. {host} refused"
    hanging = [found[name] for name in ("builder", "1/robot-7", "watcher", "orders")]
    assert {item["text"] for item in hanging} == {"not examined: chain"}
    assert {(item["ok"], item["todo"]) for item in hanging} == {(None, "")}
    assert with_api["api"]["text"].startswith("running, not ready: No node of the chain answers.")
    assert (with_api["api"]["todo"], "{" in with_api["api"]["text"]) == ("", False)
    assert found["api"]["text"].startswith("not running, or waiting for the chain: ")


def test_an_api_that_does_not_run_is_said_to_be_so(practice: Practice) -> None:
    api = practice.examine()["api"]

    assert api["text"] == f"not running: 127.0.0.1:{practice.port} refused"
    assert api["todo"] == "start it: `mol up`"


def test_another_program_at_the_apis_port_is_not_taken_for_it(
    practice: Practice, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = host_of(network.nodes[0].rpc)
    monkeypatch.setenv("MOL_API__PORT", host.rpartition(":")[2])

    api = practice.examine()["api"]

    assert api["text"].startswith(f"{host} answers 4")
    assert api["text"].endswith("another program?")


def test_a_key_that_is_not_there_is_advised_by_its_place(practice: Practice) -> None:
    (practice.desk.folder / "builder.json").unlink()

    found = practice.examine()

    assert "`mol key new builder.json`" in found["builder key"]["todo"]
    assert found["builder"]["text"] == "not examined: builder key"
    assert found["1/robot-7"]["ok"]
    assert "mol agent status" in found["agents"]["text"]
    assert practice.desk.mol("doctor") == 1
    assert "BAD  builder key" in practice.capsys.readouterr().out
