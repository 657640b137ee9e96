"""Running the service: its loops and its API until the process is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import structlog
import uvicorn
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger_service import logs
from ledger_service import settings as config
from ledger_service.api.app import create_app
from ledger_service.api.parts import Parts
from ledger_service.db.listen import words
from ledger_service.db.outbox import BELL
from ledger_service.domain import errors
from ledger_service.services.loops import forever
from ledger_service.services.relay import prune
from ledger_service.services.wakes import Wake, Wakes
from ledger_service.wiring.service import Service, open_service

RECONCILE_SECONDS = 1.0
EXPIRE_SECONDS = 30.0
TIDY_SECONDS = 3600.0
LOOK_SECONDS = 0.25
STOP_SECONDS = 1
CHAIN_WAIT_SECONDS = 1.0
ALL = ("api", "anchor", "follow", "relay")

log = structlog.get_logger()


async def run(settings: config.Settings, parts: Iterable[str] = ALL) -> None:
    """Run the named parts (api, anchor, follow, relay) in this process until SIGTERM or SIGINT."""
    logs.set_up()
    async with open_service(settings) as service:
        await _wait_for_chain(service)
        wanted = frozenset(parts)
        tasks = [asyncio.create_task(loop) for loop in _loops(service, wanted)]
        tasks.append(asyncio.create_task(_until_told()))
        if "api" in wanted:
            tasks.append(asyncio.create_task(_serve(service)))
        log.info("running", parts=sorted(wanted), address=service.parts.base_url)
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        if "relay" in wanted:
            await asyncio.gather(*(relay.stop() for relay in service.relays))
        for task in done:
            task.result()


def _loops(service: Service, wanted: frozenset[str]) -> list[Coroutine[Any, Any, None]]:
    wakes = service.wakes
    loops: list[Coroutine[Any, Any, None]] = []
    if "api" in wanted:
        loops.append(forever("tidy", service.parts.seal.tidy, Wake(), period=TIDY_SECONDS))
    if "anchor" in wanted:
        loops += [
            forever("anchor", service.anchor.step, wakes.sealed, period=LOOK_SECONDS),
            _reconcile(service),
            forever("expire", service.close.expire_overdue, Wake(), period=EXPIRE_SECONDS),
        ]
    if "follow" in wanted:
        loops += [
            _hear_heads(service),
            forever("follow", service.follow.step, wakes.heads, period=1.0),
        ]
    if "relay" in wanted:
        loops += [
            forever(f"relay {relay.name}", relay.step, wakes.outbox, period=LOOK_SECONDS)
            for relay in service.relays
        ]
        loops += [_prune(service), *hear_others(service.store.engine, wakes)]
    return loops


async def _reconcile(service: Service) -> None:
    first = True

    async def step() -> bool:
        nonlocal first
        await service.anchor.reconcile(at_start=first)
        first = False
        return False

    await forever("reconcile", step, Wake(), period=RECONCILE_SECONDS)


async def _hear_heads(service: Service) -> None:
    async def step() -> bool:
        async for _ in service.ledger.heads():
            service.wakes.heads.ring()
        return True

    await forever("heads", step, Wake(), period=0)


async def _prune(service: Service) -> None:
    keep = timedelta(days=service.settings.relay.keep_days)

    async def step() -> bool:
        return await prune(service.store, service.parts.clock, keep)

    await forever("prune", step, Wake(), period=TIDY_SECONDS)


def hear_others(engine: AsyncEngine, wakes: Wakes) -> list[Coroutine[Any, Any, None]]:
    """Return what rings here when another process of a PostgreSQL database adds deliveries."""
    if engine.dialect.name != "postgresql":
        return []

    async def step() -> bool:
        async for word in words(engine):
            if word in {"", BELL}:
                wakes.outbox.ring()
        return True

    return [forever("hear others", step, Wake(), period=0)]


async def _wait_for_chain(service: Service) -> None:
    """Check chain and contracts; nodes may come up after us, another chain never becomes ours."""
    while True:
        try:
            await service.ledger.check()
        except errors.WrongChain:
            raise
        except errors.ChainError as exc:
            log.warning("waiting for the chain", why=str(exc))
            await asyncio.sleep(CHAIN_WAIT_SECONDS)
        else:
            return


async def _serve(service: Service) -> None:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Parts]:
        yield service.parts

    api = service.settings.api
    server = _Server(
        uvicorn.Config(
            create_app(opened),
            host=api.host,
            port=api.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
    )
    try:
        await server.serve()
    finally:
        await server.shutdown()


class _Server(uvicorn.Server):
    """Leaves the signals to us: other loops must end as well."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # a context either way
        """Do nothing."""
        return contextlib.nullcontext()


async def _until_told() -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows' loop has no signal handlers
            asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()
