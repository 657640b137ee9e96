"""The chain asked by the handful: the view calls of one moment go to the node in one request.

Evidence that comes in and an order that is checked ask the contracts some questions each, and many
are on their way side by side. One at a time these cost more in HTTP than all else that is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from ledger_service.chain.client import ChainLedger
from ledger_service.chain.rpc import RpcFailed
from ledger_service.chain.settings import ChainSettings, Deployment
from ledger_service.domain import errors

VIEW = "eth_call"


class TogetherLedger(ChainLedger):
    """The Ledger port; answers are those of `ChainLedger`, and so are errors."""

    def __init__(self, settings: ChainSettings, deployment: Deployment) -> None:
        super().__init__(settings, deployment)
        self._waiting: list[tuple[Sequence[Any], asyncio.Future[Any]]] = []
        self._asking: set[asyncio.Task[None]] = set()

    async def ask(self, method: str, *parameters: Any) -> Any:
        """Ask our own node. Raise as `ChainLedger.ask`."""
        if method != VIEW:
            return await super().ask(method, *parameters)
        answer = await self._join(parameters)
        if isinstance(answer, RpcFailed):
            raise answer
        return answer

    async def ask_many(self, method: str, asked: Sequence[Sequence[Any]]) -> list[Any]:
        """Ask the same many times. Raise as `ChainLedger.ask_many`."""
        if method != VIEW:
            return await super().ask_many(method, asked)
        return list(await asyncio.gather(*(self._join(parameters) for parameters in asked)))

    async def close(self) -> None:
        """Close the connections."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        await super().close()

    async def _join(self, parameters: Sequence[Any]) -> Any:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._start)  # behind whatever else is ready now
        self._waiting.append((parameters, answer))
        return await answer

    def _start(self) -> None:
        task = asyncio.get_running_loop().create_task(self._ask_waiting())
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            found = await self._answers([parameters for parameters, _ in waiting])
        except BaseException as exc:
            for _, answer in waiting:
                if not answer.done():
                    answer.set_exception(exc) if isinstance(exc, Exception) else answer.cancel()
            if not isinstance(exc, Exception):
                raise
            return
        for (_, answer), value in zip(waiting, found, strict=True):
            if answer.done():
                continue
            if isinstance(value, BaseException) and not isinstance(value, RpcFailed):
                answer.set_exception(value)
            else:
                answer.set_result(value)

    async def _answers(self, asked: Sequence[Sequence[Any]]) -> Sequence[Any]:
        """Return answers, and in the place of one that failed its error."""
        try:
            return await super().ask_many(VIEW, asked)
        except errors.ChainError:
            if len(asked) == 1:
                raise
        # One answer that is none fails the whole request; each question is to fail for itself.
        single = super().ask
        return await asyncio.gather(
            *(single(VIEW, *parameters) for parameters in asked), return_exceptions=True
        )
