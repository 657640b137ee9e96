"""Running a step for ever: the only places where any exception is caught are here and in the agent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from ledger_service.domain import errors

MAX_PAUSE_SECONDS = 10.0

log = structlog.get_logger()


async def forever(name: str, step: Callable[[], Awaitable[None]], *, period: float) -> None:
    """Call `step` again and again, `period` seconds apart; after failures later and later."""
    failures = 0
    while True:
        try:
            await step()
            failures = 0
        except errors.LedgerError as exc:
            failures += 1
            log.warning("step failed", loop=name, failures=failures, code=exc.code, why=str(exc))
        except Exception:  # a bug ends the step, with its trace in the log, and not the agent
            failures += 1
            log.exception("step failed", loop=name, failures=failures)
        jitter = random.uniform(0.5, 1)  # noqa: S311  spreads retries, no secret
        pause = (
            min(MAX_PAUSE_SECONDS, 0.1 * 2 ** min(failures, 10)) * jitter if failures else period
        )
        await asyncio.sleep(pause)
