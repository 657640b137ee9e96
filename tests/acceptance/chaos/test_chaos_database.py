"""PostgreSQL dies in the middle, twice, and comes back some seconds later."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.acceptance.chaos.load import Load
from tests.acceptance.chaos.stack import Shape, Stack, running
from tests.acceptance.chaos.verdict import judge
from tests.peers.postgres import running_postgres

ORDERS, SECONDS = 8, 16.0
AWAY_SECONDS = 4.0
FOLLOW_SECONDS = 200.0


@pytest.mark.timeout(400)
async def test_a_database_that_is_killed_twice_loses_nothing_and_all_goes_on_when_it_is_back(
    tmp_path: Path,
) -> None:
    with running_postgres() as cluster:
        shape = Shape(database=cluster.create(), workers=2, orders=ORDERS)
        async with running(tmp_path, shape) as stack, Load(stack) as load:
            posting = asyncio.create_task(load.spread(stack.claims, SECONDS))
            for _ in range(2):
                await asyncio.sleep(SECONDS / 4)
                await asyncio.to_thread(cluster.halt)
                await check_said(stack)
                await asyncio.sleep(AWAY_SECONDS)
                await asyncio.to_thread(cluster.start)
            await posting
            await load.follow(seconds=FOLLOW_SECONDS)
            verdict = await judge(stack, load.pieces)
            restarts = sum(stack.supervisor.restarts.values())

    assert verdict.clean, verdict
    assert restarts == 0
    assert verdict.figures["orders"] == len(load.pieces) == ORDERS


async def check_said(stack: Stack) -> None:
    """Whoever asks hears 503, to come again, and why; so does whoever examines the service."""
    token = stack.site.token("operator").read_text("utf-8").strip()
    async with httpx.AsyncClient(timeout=30) as client:
        headers = {"Authorization": f"Bearer {token}"}
        answer = await client.get(f"{stack.urls[0]}/v1/orders", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "ST00"), answer.text
    assert "Retry-After" in answer.headers

    found = (await stack.doctor())["database"]
    assert (found["ok"], found["todo"]) == (False, "start the database")
