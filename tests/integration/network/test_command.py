from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger_service.domain import errors
from tests.peers.rpc import rpc
from validators.commands.network import app
from validators.network import control
from validators.network.files import Network
from validators.network.plan import Plan


def mol_network(*words: str) -> Any:
    return app(words, exit_on_error=False, result_action="return_value")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "net"
    yield place
    if (place / "launch.json").exists():
        mol_network("stop", "--dir", str(place))


def pid_of(folder: Path) -> int:
    plan = Plan.load(folder)
    pid = control.running(plan, plan.launches[0])
    assert pid is not None
    return pid


def test_a_network_is_made_started_killed_started_again_and_stopped(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--dir", str(folder))
    mol_network("new", "--kind", "embedded", *place)
    made = Network.load(folder)
    mol_network("start", *place)
    assert mol_network("status", *place) == 0

    os.kill(pid_of(folder), signal.SIGKILL)
    capsys.readouterr()
    assert mol_network("status", "--json", *place) == 1
    ill = json.loads(capsys.readouterr().out)
    mol_network("start", *place)

    assert ill["reason"] == "down: embedded"
    assert mol_network("status", "--kind", "embedded", *place) == 0
    assert Network.load(folder) == made
    mol_network("stop", *place)
    assert mol_network("status", *place) == 1


def test_start_makes_a_network_where_there_is_none_and_finds_it_again(folder: Path) -> None:
    words = ("start", "--kind", "embedded", "--dir", str(folder), "--chain-id", "77")
    mol_network(*words)
    first = pid_of(folder)

    mol_network(*words)

    assert pid_of(folder) == first
    assert rpc(Network.load(folder).nodes[0].rpc, "eth_chainId") == "0x4d"


def test_a_folder_with_another_network_is_not_taken_for_the_one_described(folder: Path) -> None:
    mol_network("new", "--kind", "embedded", "--dir", str(folder))

    with pytest.raises(errors.BadNetwork, match="another kind"):
        mol_network("start", "--kind", "clique", "--dir", str(folder))


def test_two_processes_never_work_in_one_chain_folder(folder: Path) -> None:
    mol_network("start", "--kind", "embedded", "--dir", str(folder))

    second = subprocess.run(
        [sys.executable, "-m", "validators.network.embedded", "--dir", str(folder)],
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert second.returncode == 1
    assert b"Another process works in this folder" in second.stderr


def test_a_damaged_log_stops_the_chain_instead_of_shortening_it(folder: Path) -> None:
    mol_network("new", "--kind", "embedded", "--dir", str(folder))
    (folder / "blocks.log").write_bytes(b"x" * 500)

    with pytest.raises(errors.NodeFailed, match="ST20"):
        mol_network("start", "--dir", str(folder))

    assert (folder / "blocks.log").stat().st_size == 500
