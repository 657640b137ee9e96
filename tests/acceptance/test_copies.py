"""Two whole copies of the service on one database and one object store, each with an API."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import httpx
import pytest

from ledger_service.demo import plant as plants
from ledger_service.demo import report
from ledger_service.domain import errors
from tests.acceptance.demos import Ended
from tests.acceptance.plants import Plant, running
from tests.peers.postgres import PostgresCluster, postgres

__all__ = ["postgres"]

CLAIMS = 8


async def files_of(client: httpx.AsyncClient, evidence: str) -> bytes:
    """Return what an organisation reads of a piece of evidence."""
    envelope = await client.get(f"/v1/evidence/{evidence}/envelope")
    file = await client.get(f"/v1/evidence/{evidence}/files/samples.csv")
    assert (envelope.status_code, file.status_code) == (200, 200)
    return envelope.content + file.content


def troubles(plant: Plant) -> set[str]:
    """Return the codes of all steps that failed in either copy."""
    found = set()
    for name in ("service", "second"):
        text = (plant.site.logs / f"{name}.log").read_text("utf-8")
        found |= {line["code"] for line in map(json.loads, text.splitlines()) if "code" in line}
    return found


@pytest.mark.timeout(400)
async def test_two_copies_share_one_database_and_either_serves_what_the_other_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: PostgresCluster
) -> None:
    monkeypatch.setenv("MOL_DATABASE__URL", postgres.create())
    async with running(tmp_path / "plant", "embedded", CLAIMS) as plant:
        port = plants.free_port()
        second = f"http://127.0.0.1:{port}"
        await plant.start_service()
        await plant.start_service("second", MOL_API__PORT=str(port), MOL_API__BASE_URL=second)
        urls = ("", second)

        packed = [await plant.seal(claim) for claim in plant.claims]
        posts = (plant.post(item, urls[at % 2]) for at, item in enumerate(packed))
        watched = await asyncio.gather(*posts)
        await plant.watch(watched, second)

        async with plant.client() as one, plant.client(second) as other:
            for journey in watched:
                name = journey.evidence
                assert await files_of(one, name) == await files_of(other, name)
            feeds = [(await client.get("/v1/feed?after=0")).json() for client in (one, other)]
        assert feeds[0] == feeds[1]
        assert plant.service.restarts == {"service": 0, "second": 0}
        assert troubles(plant) <= {errors.CursorMoved.code}, "a block that the other took first"
        report.check_approvals(watched)
        check_effects(Ended(plant.site.root, report.make(plant.built.network, watched)))

        plant.service.kill("service")  # one goes away, the other answers and works on
        (last,) = [await plant.post(packed[0], second)]
        await plant.watch([last], second)


def check_effects(ended: Ended) -> None:
    """Every order is at every destination once, whichever copy brought it there."""
    validated = ended.orders("Validated")
    assert (len(validated), len(ended.orders("Refused"))) == (CLAIMS - 1, 1)
    for order in validated:
        assert {place["state"] for place in order["destinations"].values()} == {"done"}
    events = Counter(event["id"] for event in ended.events)
    notes = Counter(ended.notes)
    assert set(events.values()) == set(notes.values()) == {1}
    assert (len(events), len(notes), len(ended.purchase_orders)) == (
        CLAIMS,
        CLAIMS - 1,
        CLAIMS - 1,
    )
