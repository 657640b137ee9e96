"""Running a verb for ever. Any exception is caught here, and in the relay for one delivery; nowhere else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from ledger_service.domain import errors
from ledger_service.services.wakes import Wake, wait

MAX_PAUSE_SECONDS = 10.0

log = structlog.get_logger()


async def forever(
    name: str, step: Callable[[], Awaitable[bool]], wake: Wake, *, period: float
) -> None:
    """Call `step` while it says that it did something; else wait for a ring or `period` seconds.

    A failure is logged and tried again, later and later up to ten seconds; nothing is skipped.
    """
    failures = 0
    while True:
        bell = wake.listen()
        try:
            busy = await step()
            failures = 0
        except errors.LedgerError as exc:
            failures += 1
            log.warning("step failed", loop=name, failures=failures, code=exc.code, why=str(exc))
        except Exception:  # a bug ends the step, with its trace in the log, and not the service
            failures += 1
            log.exception("step failed", loop=name, failures=failures)
        else:
            if not busy:
                await wait(bell, period)
            continue
        jitter = random.uniform(0.5, 1)  # noqa: S311  spreads retries, no secret
        await asyncio.sleep(min(MAX_PAUSE_SECONDS, 0.1 * 2 ** min(failures, 10)) * jitter)
