"""The service's API as a process of its own, knowing one device and the robot's detector.

Real uvicorn, database and folder; the chain in memory. `python -m tests.integration.edge.server
FOLDER PORT DEVICE`
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn

from edge.detectors import robot
from ledger_service.api.app import create_app
from ledger_service.api.auth import digest_of
from ledger_service.api.parts import Parts
from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from ledger_service.domain import ids
from ledger_service.domain.records import Role, Token
from ledger_service.storage.objects import open_objects
from tests.integration.api.http import parts_of
from tests.unit.services.gateway import ASSET
from tests.unit.services.site import Site, World

TOKEN = "mol_test_edge"


@asynccontextmanager
async def opened(folder: Path, device: ids.DeviceId) -> AsyncIterator[Parts]:
    engine = make_engine(f"sqlite+aiosqlite:///{folder}/mol.db")
    await upgrade(engine)
    store = SqlStore(engine)
    site = Site(World(store=store, objects=open_objects(str(folder / "objects"))))
    site.world.ledger.add_detector(robot.open_shipped().id)
    site.world.ledger.add_device(ids.asset_id(ASSET), device)
    async with store.transaction() as rows:
        if await rows.tokens.by_digest(digest_of(TOKEN)) is None:
            now = site.world.clock.now()
            await rows.tokens.add(Token("test", digest_of(TOKEN), Role.OPERATOR, "", now))
    yield parts_of(site)
    await store.close()


def main() -> None:
    folder, port, device = Path(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3])
    uvicorn.run(
        create_app(lambda: opened(folder, ids.DeviceId(device))),
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
