from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

import pytest

from ledger_service.domain import errors
from ledger_service.services.loops import forever
from ledger_service.services.wakes import Wake, wait

Step = Callable[[], Awaitable[bool]]


async def run(step: Step, wake: Wake, enough: asyncio.Event, *, period: float = 60) -> None:
    """Run a loop until it has had enough."""
    task = asyncio.create_task(forever("test", step, wake, period=period))
    async with asyncio.timeout(10):
        await enough.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_loop_goes_on_while_there_is_work_and_then_waits_for_the_bell() -> None:
    wake, enough = Wake(), asyncio.Event()
    answers = iter([True, True, False, False])
    calls = 0

    async def step() -> bool:
        nonlocal calls
        calls += 1
        if calls == 3:
            asyncio.get_running_loop().call_soon(wake.ring)
        if calls == 4:
            enough.set()
        return next(answers)

    await run(step, wake, enough)

    assert calls == 4


async def test_a_ring_during_the_work_is_not_missed() -> None:
    wake, enough = Wake(), asyncio.Event()
    calls = 0

    async def step() -> bool:
        nonlocal calls
        calls += 1
        if calls == 1:
            wake.ring()  # what it announces came after we looked
        else:
            enough.set()
        return False

    await run(step, wake, enough)

    assert calls == 2


async def test_without_a_bell_a_loop_looks_for_itself_every_period() -> None:
    enough, calls = asyncio.Event(), 0

    async def step() -> bool:
        nonlocal calls
        calls += 1
        if calls == 3:
            enough.set()
        return False

    await run(step, Wake(), enough, period=0.001)


async def test_no_failure_ends_a_loop() -> None:
    enough = asyncio.Event()
    faults: list[Exception] = [errors.NodeUnreachable(), ZeroDivisionError()]

    async def step() -> bool:
        if faults:
            raise faults.pop()
        enough.set()
        return False

    await run(step, Wake(), enough)

    assert faults == []


@pytest.mark.parametrize("fault", [errors.NodeUnreachable(), ZeroDivisionError()])
async def test_after_each_failure_a_loop_waits_twice_as_long_up_to_ten_seconds_and_starts_anew_after_a_success(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    pauses: list[float] = []
    spread: list[tuple[float, float]] = []
    enough = asyncio.Event()
    failing = iter([True] * 9 + [False, True])
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    def least(low: float, high: float) -> float:
        spread.append((low, high))
        return low

    async def step() -> bool:
        for fails in failing:
            if fails:
                raise fault
            return True
        enough.set()
        return False

    monkeypatch.setattr(asyncio, "sleep", noted)
    monkeypatch.setattr(random, "uniform", least)
    await run(step, Wake(), enough)

    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5, 0.1]
    assert set(spread) == {(0.5, 1)}


async def test_waiting_says_whether_the_bell_rang() -> None:
    wake = Wake()
    bell = wake.listen()
    assert not await wait(bell, 0.001)
    wake.ring()
    assert await wait(bell, 0.001)
    assert not wake.listen().is_set()
