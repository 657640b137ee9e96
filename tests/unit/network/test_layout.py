from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger_service.domain import errors
from validators.network import besu
from validators.network.files import Network
from validators.network.layout import Wanted, create, finality_depth
from validators.network.plan import Plan
from validators.network.processes import specs

Program = Callable[[str, str], str]
#: Free ports are found by binding them for a moment.
pytestmark = pytest.mark.enable_socket


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Make a program that only tells a version: enough to be recognised or refused."""

    def make(name: str, said: str) -> str:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\necho '{said}'\n")
        path.chmod(0o755)
        return str(path)

    return make


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture(autouse=True)
def no_besu_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOL_BESU", "MOL_GOQUORUM", "BESU_OPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


async def test_a_besu_network_is_laid_out_with_the_flags_that_ran(
    tmp_path: Path, program: Program
) -> None:
    binary = program("besu", "besu/v26.8.0/linux-x86_64/openjdk-java-25")

    network = await create(tmp_path / "net", Wanted("qbft", node=binary))

    spec = specs(tmp_path / "net")[0]
    flags = set(spec.argv[1:])
    assert network == Network.load(tmp_path / "net")
    assert (network.software, network.finality_depth, len(network.validators)) == ("besu", 0, 4)
    assert list(network.validators) == sorted(network.validators)
    assert spec.argv[0] == binary
    assert {"--profile=ENTERPRISE", "--tx-pool=SEQUENCED", "--data-storage-format=FOREST"} <= flags
    assert "--tx-pool-limit-by-account-percentage=1" in flags
    assert spec.env == {"BESU_OPTS": f"-Xmx{besu.HEAP}"}


async def test_besu_nodes_know_each_other_and_keep_their_keys_to_themselves(
    tmp_path: Path, program: Program
) -> None:
    binary = program("besu", "besu/v26.9.1/linux-x86_64/openjdk-java-25")
    network = await create(tmp_path / "net", Wanted("qbft", node=binary))

    plan = Plan.load(tmp_path / "net")
    for launch in plan.launches:
        peers = json.loads((plan.node(launch) / "static-nodes.json").read_text())
        key = plan.node(launch) / "key"
        assert sorted([*peers, launch.enode]) == sorted(str(n.enode) for n in network.nodes)
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert len(key.read_text()) == 64


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("besu/v26.7.1/linux-x86_64/openjdk-java-25", "too old"),
        ("besu/v25.12.0/linux-x86_64/openjdk-java-21", "too old"),
        ("hello", "neither Besu nor GoQuorum"),
    ],
)
async def test_a_program_that_is_not_fit_is_refused(
    tmp_path: Path, program: Program, said: str, text: str
) -> None:
    with pytest.raises(errors.NodeBinaryMissing, match=text):
        await create(tmp_path / "net", Wanted("qbft", node=program("node", said)))

    assert not (tmp_path / "net").exists()


async def test_without_a_qbft_program_it_is_said_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(errors.NodeBinaryMissing, match=r"Besu 26\.8 or newer"):
        await create(tmp_path / "net", Wanted("qbft"))


async def test_a_goquorum_network_pays_nothing_by_legacy_transactions(
    tmp_path: Path, program: Program
) -> None:
    binary = program("geth", "Geth Version: 1.10.3-stable Quorum Version: 24.4.1")

    network = await create(tmp_path / "net", Wanted("qbft", node=binary))

    spec = specs(tmp_path / "net")[0]
    assert network.software == "goquorum"
    assert (network.fee_policy.type, network.fee_policy.gas_price) == (0, 0)
    assert spec.env == {"PRIVATE_CONFIG": "ignore"}
    assert "--mine" in spec.argv


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted("clique", 0),
        Wanted("clique", 4, -1),
        Wanted("clique", 2, 0),
        Wanted("clique", 4, 0.5),
        Wanted("clique", 4, fund=["0x12"]),
        Wanted("qbft", 3),
        Wanted("qbft", 4, 0),
    ],
)
async def test_a_network_that_cannot_run_is_not_made(tmp_path: Path, wanted: Wanted) -> None:
    with pytest.raises(errors.BadNetwork):
        await create(tmp_path / "net", wanted)

    assert not (tmp_path / "net").exists()


async def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")

    with pytest.raises(errors.BadNetwork, match="not empty"):
        await create(tmp_path, Wanted("embedded"))

    assert names(tmp_path) == ["mine"]


@pytest.mark.parametrize(
    ("kind", "validators", "depth"),
    [("embedded", 1, 0), ("qbft", 4, 0), ("clique", 1, 0), ("clique", 3, 2), ("clique", 4, 3)],
)
def test_how_deep_a_block_must_lie_to_be_final(kind: str, validators: int, depth: int) -> None:
    assert finality_depth(kind, validators) == depth  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"kind": "other", "software": "geth"}'])
def test_a_damaged_network_file_is_named(tmp_path: Path, damage: str) -> None:
    (tmp_path / "network.json").write_text(damage)

    with pytest.raises(errors.BadNetwork, match=r"network\.json"):
        Network.load(tmp_path)
