from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

from lxml import etree

from integrations.erp.purchase import number_of
from tests.peers.delivering import LIFE, ORDERS, plan

ROOT = Path(__file__).parents[3]
KILLS = 6
DELIVERIES = plan()
NUMBERS = {number_of(delivery.key) for delivery in DELIVERIES}


class Reader:
    """The ERP and the mail program: they take away what they find, and it must be whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bought: Counter[str] = Counter()
        self.cancelled: Counter[str] = Counter()
        self.mail: Counter[str] = Counter()

    def read(self) -> None:
        for path in self._taken("purchase-orders/orders/*"):
            assert etree.parse(path).getroot().tag.endswith("}Order")
            self.bought[path.stem] += 1
            path.unlink()
        for path in self._taken("purchase-orders/cancellations/*"):
            assert etree.parse(path).getroot().tag.endswith("}OrderCancellation")
            self.cancelled[path.stem] += 1
            path.unlink()
        for path in self._taken("mailbox/new/*"):
            message = message_from_bytes(path.read_bytes())
            assert len(message.get_payload()) == 2
            self.mail[message["Message-ID"]] += 1
            path.unlink()

    def _taken(self, pattern: str) -> Iterator[Path]:
        yield from sorted(self.folder.glob(pattern))


async def run(folder: Path, start: int, reader: Reader, chance: random.Random | None) -> int:
    """Deliver from a position on; with `chance`, kill at a random moment. Return the position."""
    command = (sys.executable, "-m", "tests.peers.delivering", str(folder), str(start))
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    left = chance.randint(1, 30) if chance else len(DELIVERIES)
    while left and (line := await process.stdout.readline()):
        start, left = int(line) + 1, left - 1
        if start % 3 == 0:
            reader.read()
    if chance:
        await asyncio.sleep(chance.random() * 0.006)
        process.kill()
        rest = (await process.stdout.read()).splitlines(keepends=True)
        start = max([start, *(int(line) + 1 for line in rest if line.endswith(b"\n"))])
    await process.wait()
    return start


def check_taken(reader: Reader) -> None:
    assert reader.bought == dict.fromkeys(NUMBERS, 1)
    assert reader.cancelled == dict.fromkeys(NUMBERS, 1)
    assert len(reader.mail) == ORDERS * len(LIFE)
    assert set(reader.mail.values()) == {1}


def check_kept(folder: Path) -> None:
    lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [
        delivery.payload["eventId"] for delivery in DELIVERIES if delivery.destination == "events"
    ]
    documents = [json.loads(path.read_bytes()) for path in folder.glob("documents/*.json")]
    assert len(documents) == ORDERS
    for document in documents:
        assert [step["status"] for step in document["history"]] == [s.title for s in LIFE]
    for left in ("purchase-orders/drafts", "purchase-orders/.staging", "mailbox/tmp"):
        assert list(folder.glob(f"{left}/*")) == []


async def test_kills_at_any_moment_tear_nothing_and_double_nothing(tmp_path: Path) -> None:
    seed = time.time_ns()
    print("seed", seed)  # noqa: T201  to run it again
    chance = random.Random(seed)  # noqa: S311  moments of kills
    reader = Reader(tmp_path)
    position = 0
    for _ in range(KILLS):
        position = await run(tmp_path, position, reader, chance)
        reader.read()
        position = max(0, position - chance.randint(0, 8))  # some are settled and come again
    assert await run(tmp_path, position, reader, None) == len(DELIVERIES)
    reader.read()

    check_taken(reader)
    check_kept(tmp_path)
