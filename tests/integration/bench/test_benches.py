from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from ledger_service.domain import calls, ids
from tests.bench.clock import HeadClock
from tests.peers.consortium import approve, found, mined, send, settings_of
from tests.peers.embedded import running_embedded

ROOT = Path(__file__).parents[3]


def test_a_bench_prints_its_table_and_writes_its_report(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "--only", "gas", "--chain", "embedded"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=200, check=False
    )

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "build/bench/gas.json").read_text(encoding="utf-8"))
    found = {result["metric"]: result for result in report["results"]}
    assert report["name"] == "gas"
    assert found["propose + 3 approvals"]["unit"] == "gas"
    assert found["propose + 3 approvals"]["ratio"] < 1
    assert all(metric in done.stdout for metric in found)


async def test_the_clock_tells_when_an_order_was_validated_and_a_transaction_mined(
    tmp_path: Path,
) -> None:
    with running_embedded(tmp_path / "chain") as network:
        founded = await found(settings_of(network, tmp_path), "clock")
        ledger, content = founded.ledger(), founded.content()
        clock = HeadClock(ledger)
        listening = asyncio.create_task(clock.run())
        await clock.reached((await ledger.head()).number)

        await send(ledger, founded.verdict(1), approve(content, 0))
        proposal = await send(ledger, founded.builder, calls.Propose((content,)))
        await send(ledger, founded.verdict(2), approve(content, 1))
        last = await send(ledger, founded.verdict(3), approve(content, 2))
        validated = await clock.validated(content.evidence)
        receipts = [await mined(ledger, name) for name in (proposal, last)]

        assert validated.height == receipts[1].block
        assert clock.proposed(content.evidence).height == receipts[0].block
        assert (await clock.mined(ids.TxHash(last))).height == receipts[1].block
        assert await clock.reached(validated.height) == validated.at
        listening.cancel()
        await asyncio.gather(listening, ledger.close(), return_exceptions=True)
