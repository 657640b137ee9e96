"""JSON-RPC to one node. web3's provider carries the bytes; what they mean is decided here.

Typed layers above a provider rewrite answers per chain (proof-of-authority headers, null fields of
later forks), which is just what a verifier must not have. So answers stay as the node gave them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from eth_typing import URI
from web3 import AsyncHTTPProvider
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint

from ledger_service.chain.recursion import keep_safe
from ledger_service.domain import errors
from ledger_service.domain.addresses import bare

keep_safe()

TIMEOUT_SECONDS = 10.0
#: The receipts of a full block are some megabytes; beyond this an answer is read no further.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
READ_BYTES = 256 * 1024
#: Shorter than any server keeps an idle connection (uvicorn: 5 s), so none is used that just ends.
KEEP_SECONDS = 2.0
#: Questions in one request: below what any node takes (geth 1000, Besu 1024), and what it answers
#: stays far from the limit of an answer.
BATCH_CALLS = 100
#: geth's answer for a time after its start: whether a transaction is mined is not known, so not null.
INDEXING = "transaction indexing is in progress"


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


class _Provider(AsyncHTTPProvider):
    """web3's provider, but for two things: it reads no answer without an end, and it keeps connections.

    web3 opens a connection for each request, behind a lock that it takes in a thread.
    """

    _session: aiohttp.ClientSession | None = None

    async def disconnect(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
        await super().disconnect()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(keepalive_timeout=KEEP_SECONDS)
            self._session = aiohttp.ClientSession(connector=connector, raise_for_status=True)
        return self._session

    async def _make_request(self, method: RPCEndpoint, request_data: bytes) -> bytes:
        del method
        return await self.post(request_data)

    async def post(self, request_data: bytes) -> bytes:
        """Return the answer to a request's bytes."""
        uri = URI(str(self.endpoint_uri))
        answer = bytearray()
        arguments = self.get_request_kwargs()
        # A node is near: to pack an answer and unpack it costs more than to send it.
        headers = {**arguments.pop("headers", {}), "Accept-Encoding": "identity"}
        async with self._open().post(
            uri, data=request_data, headers=headers, **arguments
        ) as response:
            async for piece in response.content.iter_chunked(READ_BYTES):
                answer += piece
                if len(answer) > MAX_ANSWER_BYTES:
                    raise errors.BadAnswer(
                        "It has no end.", found=bare(uri), limit=MAX_ANSWER_BYTES
                    )
        return bytes(answer)


class Node:
    """One node, by its HTTP address."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self.address = bare(url)  # as it may be told: there may be a password in it, or a key
        self._provider = _Provider(
            url,
            request_kwargs={"timeout": aiohttp.ClientTimeout(timeout)},
            # Repeating is the caller's decision: it knows what may be repeated, and other nodes.
            exception_retry_configuration=None,
        )

    async def call(self, method: str, *parameters: Any) -> Any:
        """Return the result. Raise NodeUnreachable, RpcFailed, BadAnswer."""
        try:
            answer: Any = await self._provider.make_request(RPCEndpoint(method), list(parameters))
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            raise errors.NodeUnreachable(found=self.address, cause=_cause(exc)) from exc
        except (Web3Exception, ValueError, RecursionError) as exc:
            raise errors.BadAnswer(found=self.address, cause=_cause(exc)) from exc
        found = self._result(answer, method)
        if isinstance(found, RpcFailed):
            raise found
        return found

    async def call_many(self, method: str, asked: Sequence[Sequence[Any]]) -> list[Any]:
        """Return a result or an RpcFailed for each list of parameters, in order: one request a hundred.

        Raise NodeUnreachable, BadAnswer for all of them: what one spoils is asked again singly.
        """
        found: list[Any] = []
        for start in range(0, len(asked), BATCH_CALLS):
            found += await self._batch(method, asked[start : start + BATCH_CALLS])
        return found

    async def close(self) -> None:
        """Close the connections."""
        await self._provider.disconnect()

    async def _batch(self, method: str, asked: Sequence[Sequence[Any]]) -> list[Any]:
        request = [
            {"jsonrpc": "2.0", "id": at, "method": method, "params": list(parameters)}
            for at, parameters in enumerate(asked)
        ]
        try:
            answers = json.loads(await self._provider.post(json.dumps(request).encode()))
            by_id = {answer["id"]: answer for answer in answers}
            return [self._result(by_id[at], method) for at in range(len(asked))]
        except aiohttp.ClientResponseError as exc:  # it is there, and does not take this request
            raise errors.BadAnswer(found=self.address, cause=_cause(exc)) from exc
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            raise errors.NodeUnreachable(found=self.address, cause=_cause(exc)) from exc
        except (ValueError, RecursionError, TypeError, KeyError) as exc:
            raise errors.BadAnswer(found=self.address, cause=_cause(exc)) from exc

    def _result(self, answer: Any, method: str) -> Any:
        """Return what an answer holds, an error as RpcFailed. Raise BadAnswer."""
        if not isinstance(answer, dict):
            raise errors.BadAnswer(found=self.address, cause=repr(answer)[:120])
        if answer.get("error") is not None:
            return RpcFailed(_error(answer["error"]), method)
        if "result" not in answer:
            raise errors.BadAnswer("Neither result nor error.", found=self.address)
        return answer["result"]


def _cause(error: BaseException) -> str:
    """Return what went wrong, without what was asked: its address and its headers are secrets."""
    if isinstance(error, aiohttp.ClientResponseError):
        return f"HTTP {error.status} {error.message}"[:120]
    return bare(repr(error))[:120]


def _error(fields: Any) -> RpcError:
    if not isinstance(fields, dict):
        return RpcError(0, str(fields))
    code = fields.get("code")
    known = code if isinstance(code, int) else 0
    return RpcError(known, str(fields.get("message", "")), fields.get("data"))


def quantity(answer: Any) -> int:
    """Read a number (`0x1f`). Raise BadAnswer; null among others, which Besu says of unknown blocks."""
    try:
        return int(answer, 16)
    except (TypeError, ValueError) as exc:
        raise errors.BadAnswer("Not a quantity.", found=repr(answer)[:80]) from exc


def octets(answer: Any) -> bytes:
    """Read bytes (`0x..`). Raise BadAnswer."""
    try:
        return bytes.fromhex(answer[2:])
    except (TypeError, ValueError) as exc:
        raise errors.BadAnswer("Not data.", found=repr(answer)[:80]) from exc
