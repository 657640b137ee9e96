"""Submission: transactions of one order each, signed, committed to the disk, given to a node, mined.

The service's own Sender on SQLite, each commit fsynced before anything of it is sent: many by one
commit, and in one request. One node, blocks of 1 s with room for all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from ledger_service.chain.client import ChainLedger
from ledger_service.chain.settings import ChainSettings
from ledger_service.clock import SystemClock
from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from ledger_service.domain import calls, ids
from ledger_service.domain.calls import Sent
from ledger_service.domain.order import Content, order_id
from ledger_service.services.send import Sender, Wanted, purpose
from tests.bench.figures import Against, Result, Target
from tests.bench.options import Options, fresh
from tests.peers.consortium import found, signer
from validators.network import control
from validators.network.layout import Wanted as Network
from validators.network.layout import create

CHUNK = 100
WORKERS = 3
GAS_LIMIT = 200_000_000
SECONDS = 120.0
FIREFLY = Against("FireFly 1.5.1, LevelDB fsynced", 172)
POSTGRES = Against("FireFly 1.5.1, PostgreSQL", 45)
GOAL = Target(300, "at least", "value")


async def measure(options: Options) -> list[Result]:
    """Measure; nothing on other chains, whose blocks do not take so many."""
    if options.chain != "clique":
        return []
    folder = fresh("submit")
    funder = signer("submit funder")
    fund = [ids.checksum(funder.address).lower()]
    wanted = Network("clique", 1, 1.0, fund=fund, gas_limit=GAS_LIMIT)
    network = await create(folder / "chain", wanted, options.say)
    try:
        await control.start(folder / "chain", options.say)
        settings = ChainSettings.load(network.save(folder / "chain"))
        founded = await found(settings, "submit", funder=funder)
        ledger = founded.ledger()
        engine = make_engine(f"sqlite+aiosqlite:///{folder / 'ledger.db'}")
        await upgrade(engine)
        store = SqlStore(engine)
        sender = Sender(store, ledger, founded.builder, SystemClock())
        contents = [founded.content() for _ in range(options.transactions)]
        rate = await _submit(sender, store, ledger, contents)
        await store.close()
        await ledger.close()
    finally:
        await control.stop(folder / "chain")
    return [
        Result("one order a transaction, each commit fsynced", rate, "mined/s", FIREFLY, GOAL),
        Result("the same, against a rival on PostgreSQL", rate, "mined/s", POSTGRES),
    ]


async def _submit(
    sender: Sender, store: SqlStore, ledger: ChainLedger, contents: Sequence[Content]
) -> float:
    """Store and send chunk by chunk; return mined transactions a second, the last block's included."""
    await sender.ready()
    chunks = iter([contents[at : at + CHUNK] for at in range(0, len(contents), CHUNK)])
    already = await ledger.nonce(sender.address)

    async def work() -> None:
        for chunk in chunks:
            wanted = []
            for content in chunk:
                names = (order_id(content, ledger.orders),)
                wanted.append(Wanted(purpose(names), calls.Propose((content,)), names))
            async with store.transaction() as rows:
                items = await sender.store(rows, wanted)
            outcomes = await sender.broadcast(items)
            assert set(outcomes) <= {Sent.ACCEPTED, Sent.KNOWN}, outcomes

    began = time.monotonic()
    await asyncio.gather(*(work() for _ in range(WORKERS)))
    async with asyncio.timeout(SECONDS):
        while await ledger.nonce(sender.address) < already + len(contents):  # noqa: ASYNC110  polled
            await asyncio.sleep(0.02)
    return len(contents) / (time.monotonic() - began)
