"""JSON-RPC to one node. web3's provider carries the bytes; what they mean is decided here.

Typed layers above a provider rewrite answers per chain (proof-of-authority headers, null fields of
later forks), which is just what a verifier must not have. So answers stay as the node gave them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp
from web3 import AsyncHTTPProvider
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint

from ledger_service.domain import errors

TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class RpcError:
    """A node's error object."""

    code: int
    message: str
    data: Any = None


class RpcFailed(errors.ChainError):
    """The node answered with an error."""

    code = "CH08"

    def __init__(self, error: RpcError, method: str) -> None:
        """Keep the node's error for whoever knows what it means."""
        self.error = error
        super().__init__(found=f"{error.code} {error.message[:200]}", method=method)


class Node:
    """One node, by its HTTP address."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._provider = AsyncHTTPProvider(
            url,
            request_kwargs={"timeout": aiohttp.ClientTimeout(TIMEOUT_SECONDS)},
            # Repeating is the caller's decision: it knows what may be repeated, and other nodes.
            exception_retry_configuration=None,
        )

    async def call(self, method: str, *parameters: Any) -> Any:
        """Return the result. Raise NodeUnreachable, RpcFailed, BadAnswer."""
        try:
            answer: Any = await self._provider.make_request(RPCEndpoint(method), list(parameters))
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            raise errors.NodeUnreachable(found=self.url, cause=repr(exc)[:120]) from exc
        except (Web3Exception, ValueError) as exc:
            raise errors.BadAnswer(found=self.url, cause=repr(exc)[:120]) from exc
        if not isinstance(answer, dict):
            raise errors.BadAnswer(found=self.url, cause=repr(answer)[:120])
        if "error" in answer and answer["error"] is not None:
            raise RpcFailed(_error(answer["error"]), method)
        return answer.get("result")

    async def close(self) -> None:
        """Close the connections."""
        await self._provider.disconnect()


def _error(fields: Any) -> RpcError:
    if not isinstance(fields, dict):
        return RpcError(0, str(fields))
    return RpcError(int(fields.get("code", 0)), str(fields.get("message", "")), fields.get("data"))
