"""A stranger's restart: everything but the chain is lost, an older copy is brought back, all goes on."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from ledger_service.demo import report
from ledger_service.demo.journeys import Journey
from tests.acceptance.demos import Ended, check_validated
from tests.acceptance.plants import Plant, running
from tests.peers.postgres import PostgresCluster, postgres
from validators.network.files import Kind
from validators.network.geth_build import cached_geth

__all__ = ["postgres"]

CLAIMS = 6
TRIES = 30


def lose_everything_but_the_chain(plant: Plant) -> None:
    """Delete what the service has; the organisations, the devices and the destinations keep theirs."""
    folder = plant.site.service
    for path in (*folder.glob("mol.db*"), folder / "objects"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


async def all_of(plant: Plant, first: int, last: int) -> list[Journey]:
    return [await plant.post(await plant.seal(claim)) for claim in plant.claims[first:last]]


def told(plant: Plant) -> dict[str, Counter[str]]:
    """Return how often each effect is at the destinations, by what tells it from others."""
    ended = Ended(plant.site.root, {})
    return {
        "purchase orders": Counter(ended.purchase_orders.values()),
        "notes": Counter(ended.notes),
        "events": Counter(event["id"] for event in ended.events),
    }


@pytest.mark.parametrize(
    ("kind", "database"),
    [("embedded", "sqlite"), pytest.param("clique", "postgres", marks=pytest.mark.clique)],
)
@pytest.mark.timeout(500)
async def test_after_the_loss_of_all_but_the_chain_an_older_copy_catches_up_and_nothing_is_doubled(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    kind: Kind,
    database: str,
) -> None:
    if kind == "clique" and not cached_geth().exists() and shutil.which("go") is None:
        pytest.skip("geth 1.13.15 is not built and Go is not there to build it")
    cluster: PostgresCluster | None = None
    if database == "postgres":
        cluster = request.getfixturevalue("postgres")
        monkeypatch.setenv("MOL_DATABASE__URL", cluster.create())
    async with running(tmp_path / "plant", kind, CLAIMS) as plant:
        await plant.start_service()
        await plant.watch(await all_of(plant, 0, 2))
        await all_of(plant, 2, 3)  # under way when the copy is made
        made = json.loads(await plant.done("backup", tmp_path / "safe", "--json"))
        since = await all_of(plant, 3, CLAIMS)
        await plant.watch(since)
        before = told(plant)

        plant.service.kill("service")
        await plant.service.stop()
        lose_everything_but_the_chain(plant)
        if cluster is not None:
            monkeypatch.setenv("MOL_DATABASE__URL", cluster.create())
        restored = json.loads(await plant.done("restore", tmp_path / "safe", "--json"))
        await plant.start_service()
        await until_lost_orders_are_told(plant)
        again = [await plant.post(packed) for packed in plant.packed]
        await plant.watch(again)

        assert (restored["copy"], restored["blockSeen"]) == (made["copy"], True)
        assert made["evidence"] == 3
        assert [journey.order["orderId"] for journey in again[3:]] == [
            journey.order["orderId"] for journey in since
        ]
        report.check_approvals(again)
        check_effects(plant, again, before)
        assert "all that are on chain are here" in await plant.done("doctor")


async def until_lost_orders_are_told(plant: Plant) -> None:
    """Wait until the watcher has read what the chain has since, and the doctor says what is missing."""
    for _ in range(TRIES):
        said = (await asyncio.to_thread(plant.mol, "doctor")).stdout
        if "3 on chain are lost here" in said:
            return
    pytest.fail(said)


def check_effects(plant: Plant, again: list[Journey], before: dict[str, Counter[str]]) -> None:
    """Every order is at every destination once, and what was there before is still the same."""
    ended = Ended(plant.site.root, report.make(plant.built.network, again))
    validated = ended.orders("Validated")
    assert (len(validated), len(ended.orders("Refused"))) == (CLAIMS - 1, 1)
    for order in validated:
        assert {place["state"] for place in order["destinations"].values()} == {"done"}
        if (ended.service / "mol.db").exists():
            check_validated(ended, order)
    after = told(plant)
    assert all(max(found.values()) == 1 for found in after.values()), after
    assert all(before[place] <= after[place] for place in after)
    assert len(after["notes"]) == len(after["purchase orders"]) == len(validated)
    assert len(after["events"]) == CLAIMS
