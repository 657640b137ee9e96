"""The API as a process of its own: real uvicorn, database and folder; the chain in memory.

`python -m tests.integration.api.server FOLDER PORT`
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn

from ledger_service import logs
from ledger_service.api.app import create_app
from ledger_service.api.auth import digest_of
from ledger_service.api.parts import Parts
from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from ledger_service.domain.records import Role, Token
from ledger_service.storage.objects import open_objects
from tests.integration.api.http import parts_of
from tests.unit.services.site import Site, World

TOKEN = "mol_test_operator"


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Parts]:
    """Open the parts on what the folder holds."""
    engine = make_engine(f"sqlite+aiosqlite:///{folder}/mol.db")
    await upgrade(engine)
    store = SqlStore(engine)
    site = Site(World(store=store, objects=open_objects(str(folder / "objects"))))
    digest, now = digest_of(TOKEN), site.world.clock.now()
    async with store.transaction() as rows:
        if await rows.tokens.by_digest(digest) is None:
            await rows.tokens.add(Token("test", digest, Role.OPERATOR, "", now))
    yield parts_of(site)
    await store.close()


def main() -> None:
    """Serve until told to stop."""
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    logs.set_up()
    uvicorn.run(
        create_app(lambda: opened(folder)),
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
