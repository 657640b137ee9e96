from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import wraps
from typing import Any

from ledger_service import ports


class Crash(BaseException):
    """The process is gone. No handler of the code may catch it."""


class Doom:
    """Ends the process at its n-th step; from then on every step raises: the dead do nothing."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.steps = 0
        self.where = ""

    def step(self, where: str) -> None:
        if self.at is not None and self.steps >= self.at:
            self.where = self.where or where
            raise Crash(self.where)
        self.steps += 1


class Doomed:
    """A port whose every call is two steps: before its effect, and after it."""

    def __init__(self, target: Any, doom: Doom) -> None:
        self._target = target
        self._doom = doom

    def __getattr__(self, name: str) -> Any:
        value, doom = getattr(self._target, name), self._doom
        if inspect.isasyncgenfunction(value):

            @wraps(value)
            async def stream(*args: Any, **options: Any) -> AsyncIterator[Any]:
                doom.step(f"before {name}")
                async for item in value(*args, **options):
                    yield item

            return stream
        if not inspect.iscoroutinefunction(value):
            return value

        @wraps(value)
        async def call(*args: Any, **options: Any) -> Any:
            doom.step(f"before {name}")
            answer = await value(*args, **options)
            doom.step(f"after {name}")
            return answer

        return call


class DoomedStore:
    """A Store that may end before a transaction begins, before its commit, and after it."""

    def __init__(self, store: ports.Store, doom: Doom) -> None:
        self._store = store
        self._doom = doom

    def transaction(self) -> AbstractAsyncContextManager[ports.Transaction]:
        return self._write()

    def reading(self) -> AbstractAsyncContextManager[ports.Transaction]:
        self._doom.step("before reading")
        return self._store.reading()

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[ports.Transaction]:
        self._doom.step("before begin")
        async with self._store.transaction() as rows:
            yield rows
            self._doom.step("before commit")
        self._doom.step("after commit")
