from __future__ import annotations

import asyncio

from ledger_service.domain import errors
from validators.agent.loops import forever


class Steps:
    """Fails as told, then goes on without end."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.done = asyncio.Event()

    async def step(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.done.set()
        await asyncio.sleep(3600)


async def test_a_step_that_fails_is_tried_again_whatever_it_failed_with() -> None:
    steps = Steps(errors.NodeUnreachable(), errors.BrokenLog())
    task = asyncio.create_task(forever("test", steps.step, period=0))
    await asyncio.wait_for(steps.done.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert steps.failures == []
