from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from integrations.cosmos import CosmosDocuments
from ledger_service.domain import errors
from ledger_service.domain.lifecycle import Status
from tests.peers.cosmos import KEY, CosmosPeer, cosmos_peer
from tests.peers.deliveries import told
from tests.peers.worlds import Cosmos

__all__ = ["cosmos_peer"]

LIFE = (Status.EMERGENCY, Status.RATIFIED, Status.COMPLETED)


@pytest.fixture
async def world(cosmos_peer: CosmosPeer) -> AsyncIterator[Cosmos]:
    """A database of its own on the peer."""
    made = Cosmos(cosmos_peer)
    await made.start()
    yield made
    await made.destination.close()


async def only(world: Cosmos) -> dict[str, Any]:
    [item] = await world.items()
    return item


async def test_an_order_s_life_is_one_item_in_its_machine_s_partition(world: Cosmos) -> None:
    for status in LIFE:
        reference = await world.destination.deliver(told("documents", status))

    item = await only(world)
    assert item["id"] == reference["id"] == told("documents").key
    assert item["asset"] == "1/robot-7"
    assert item["status"] == "Completed"
    assert [step["status"] for step in item["history"]] == ["Emergency", "Ratified", "Completed"]


async def test_facts_out_of_order_end_in_the_same_state(world: Cosmos) -> None:
    for status in (Status.COMPLETED, Status.EMERGENCY, Status.RATIFIED):
        await world.destination.deliver(told("documents", status))

    item = await only(world)
    assert item["status"] == "Completed"
    assert [step["status"] for step in item["history"]] == ["Emergency", "Ratified", "Completed"]


@pytest.mark.parametrize("kind", ["before", "after", "hang"])
@pytest.mark.parametrize(("status", "method"), [(LIFE[0], "POST"), (LIFE[1], "PUT")])
async def test_a_write_without_an_answer_is_read_back(
    world: Cosmos, kind: str, status: Status, method: str
) -> None:
    if method == "PUT":
        await world.destination.deliver(told("documents", LIFE[0]))
    await world.peer.fault(kind, method)

    await world.destination.deliver(told("documents", status))

    found = [step["status"] for step in (await only(world))["history"]]
    assert found.count(status.title) == 1


async def test_writers_that_meet_lose_nothing(world: Cosmos) -> None:
    others = [world.open() for _ in range(3)]
    statuses = (*LIFE, Status.CANCELLED)
    writers = [world.destination, *others]
    await world.destination.deliver(told("documents", LIFE[0]))

    await asyncio.gather(
        *(
            writer.deliver(told("documents", status))
            for writer, status in zip(writers, statuses, strict=True)
        )
    )

    assert len((await only(world))["history"]) == len(statuses)
    for other in others:
        await other.close()


@pytest.mark.parametrize(
    ("status", "named"),
    [
        (400, errors.DestinationRefused),
        (401, errors.DestinationRefused),
        (403, errors.DestinationRefused),
        (413, errors.DestinationRefused),
        (408, errors.DestinationDown),
        (410, errors.DestinationDown),
        (449, errors.DestinationDown),
        (500, errors.DestinationDown),
        (503, errors.DestinationDown),
    ],
)
async def test_the_service_s_errors_have_our_names(
    world: Cosmos, status: int, named: type[errors.RelayError]
) -> None:
    await world.peer.fault(status, "POST")

    with pytest.raises(named, match=f"HTTP {status}"):
        await world.destination.deliver(told("documents"))
    await world.destination.deliver(told("documents"))

    assert (await only(world))["status"] == "Validated"


async def test_a_throttled_write_is_tried_again_and_then_later(world: Cosmos) -> None:
    await world.peer.fault(429, "POST", count=2)
    await world.destination.deliver(told("documents", of=1))

    await world.peer.fault(429, "POST", count=4)
    with pytest.raises(errors.DestinationDown, match="429"):
        await world.destination.deliver(told("documents", of=2))


async def test_a_document_that_is_too_large_is_refused(world: Cosmos) -> None:
    large = told("documents")
    large.payload["approvals"] = ["y" * 1024] * 2100

    with pytest.raises(errors.DestinationRefused, match="Too large"):
        await world.destination.deliver(large)


async def test_a_service_that_is_not_there_is_down() -> None:
    nowhere = CosmosDocuments("http://127.0.0.1:9", KEY, "maintenance", "orders")

    with pytest.raises(errors.DestinationDown):
        await nowhere.deliver(told("documents"))
    await nowhere.close()


@pytest.mark.parametrize(
    ("url", "key"), [("", KEY), ("plant.example", KEY), ("https://plant.example", "not base64!")]
)
async def test_settings_that_cannot_work_are_found_at_the_start(url: str, key: str) -> None:
    with pytest.raises(errors.ConfigError):
        CosmosDocuments(url, key, "maintenance", "orders")
