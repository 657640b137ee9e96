"""kill -9 and SIGSTOP of three workers of each part, of agents and of the chain: nothing lost, nothing twice."""

from __future__ import annotations

import os
import random
import secrets
import sys
from pathlib import Path

import pytest

from tests.acceptance.chaos import kills
from tests.acceptance.chaos.verdict import Verdict
from tests.peers.postgres import PostgresCluster

WORKERS, ORDERS, KILLS, FREEZES, SECONDS = 3, 8, 6, 2, 24.0


def seed_of_today() -> int:
    return int(os.environ.get("MOL_TEST_SEED") or secrets.randbelow(10**9))


async def killed_in(folder: Path, database: str) -> Verdict:
    seed = seed_of_today()
    sys.stdout.write(f"MOL_TEST_SEED={seed}\n")
    rng = random.Random(seed)  # noqa: S311  repeatable, no secret
    return await kills.run(
        folder,
        kills.shape("embedded", database, WORKERS, ORDERS),
        rng,
        kills=KILLS,
        freezes=FREEZES,
        seconds=SECONDS,
        report=print,
    )


def check(verdict: Verdict) -> None:
    """Each honest claim was told of six times, the false one twice: to two destinations that it is refused."""
    assert verdict.clean, verdict
    assert verdict.figures["orders"] == verdict.figures["accepted"] == ORDERS + 1
    assert verdict.figures["deliveries"] == 6 * ORDERS + 2
    assert (verdict.figures["kills"], verdict.figures["freezes"]) == (KILLS, FREEZES)


@pytest.mark.timeout(500)
async def test_kills_of_three_workers_each_on_sqlite_lose_nothing_and_double_nothing(
    tmp_path: Path,
) -> None:
    verdict = await killed_in(tmp_path, "")

    check(verdict)


@pytest.mark.timeout(500)
async def test_kills_of_three_workers_each_on_postgresql_lose_nothing_and_double_nothing(
    tmp_path: Path, postgres: PostgresCluster
) -> None:
    verdict = await killed_in(tmp_path, postgres.create())

    check(verdict)
