"""The application: routers, problems, and a published description."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from ledger_service.api import evidence, feed, health, orders, problems
from ledger_service.api.parts import Parts
from ledger_service.api.problems import PROBLEM

DESCRIPTION = """Maintenance orders that every responsible organisation checks itself and approves
on a permissioned chain. Errors are problem details (RFC 9457) with a `code`; docs/errors.md lists all.
"""


def create_app(open_parts: Callable[[], AbstractAsyncContextManager[Parts]]) -> FastAPI:
    """Return the application; the parts are opened when it starts and closed when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_parts() as parts:
            app.state.parts = parts
            yield

    app = FastAPI(
        title="maintenance-order-ledger",
        description=DESCRIPTION,
        version=version("maintenance-order-ledger"),
        lifespan=lifespan,
        # The pages that FastAPI makes of it load scripts from the internet; plants have none.
        docs_url=None,
        redoc_url=None,
        responses={"4XX": PROBLEM, "5XX": PROBLEM},
    )
    problems.install(app)
    for router in (evidence.router, orders.router, feed.router, health.router):
        app.include_router(router)
    return app
