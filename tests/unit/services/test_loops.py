from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Awaitable, Callable
from itertools import pairwise

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


class _Skipping(selectors.SelectSelector):
    """Moves a clock on instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0
        return super().select(0)


class Skipping(asyncio.SelectorEventLoop):
    """A loop in which no time is waited for: its clock jumps to the next timer."""

    def __init__(self) -> None:
        self._skips = _Skipping()
        super().__init__(self._skips)

    def time(self) -> float:
        return self._skips.now


@pytest.mark.parametrize("fault", [errors.NodeUnreachable(), ZeroDivisionError()])
def test_a_loop_waits_twice_as_long_after_each_failure_up_to_ten_seconds_and_anew_after_a_success(
    fault: Exception,
) -> None:
    times: list[float] = []
    failing = iter([True] * 9 + [False, True])

    async def look() -> None:
        enough = asyncio.Event()

        async def step() -> bool:
            times.append(asyncio.get_running_loop().time())
            if (fails := next(failing, None)) is None:
                enough.set()
            if fails:
                raise fault
            return fails is False

        task = asyncio.create_task(forever("test", step, Wake(), period=60))
        await enough.wait()
        task.cancel()

    with asyncio.Runner(loop_factory=Skipping) as runner:
        runner.run(look())

    pauses = [after - before for before, after in pairwise(times)]
    assert len(pauses) == 11
    longest = [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10, 0, 0.2]
    for pause, most in zip(pauses, longest, strict=True):
        assert most / 2 - 1e-3 <= pause <= most + 1e-3, pauses


async def test_waiting_says_whether_the_bell_rang() -> None:
    wake = Wake()
    bell = wake.listen()
    assert not await wait(bell, 0.001)
    wake.ring()
    assert await wait(bell, 0.001)
    assert not wake.listen().is_set()
