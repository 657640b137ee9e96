"""Send: a bundle to the service, streamed; the same bundle may be sent any number of times."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from edge.evidence.bundle import Bundle
from ledger_service.domain import errors

TIMEOUT = httpx.Timeout(30.0, read=120.0)
RETRYABLE = frozenset({429, 502, 503, 504})
MAX_PAUSE = 30.0


class Rejected(errors.LedgerError):
    """The service did not take the evidence."""

    code = "ED01"


class Unreachable(errors.LedgerError):
    """The service does not answer."""

    code = "ED02"


class NotGiven(errors.LedgerError):
    """The service did not give what it was asked for."""

    code = "ED03"


@dataclass(frozen=True, slots=True)
class Service:
    """Where to send to, and the bearer token."""

    url: str
    token: str

    def client(self) -> httpx.AsyncClient:
        """Return a client; close it after use."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=TIMEOUT)


async def send(
    client: httpx.AsyncClient,
    bundle: Bundle,
    *,
    tries: int = 8,
    first_pause: float = 0.5,
    progress: Callable[[int], None] = lambda _: None,
    waiting: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Post a bundle; come back later while the service asks for it. Raise Rejected, Unreachable.

    Safe to repeat: the service answers the same evidence the same way, however often it comes.
    `waiting` is told each pause, as a line for a person.
    """
    pause, last, why = 0.0, "no answer", ""
    for attempt in range(tries):
        if attempt:
            pause = min(pause, MAX_PAUSE)
            waiting(f"{why}, trying again in {pause:g} s (safe to repeat; Ctrl-C to stop)")
            await asyncio.sleep(pause)
        pause = first_pause * 2**attempt
        boundary = secrets.token_hex(16)
        try:
            answer = await client.post(
                "/v1/evidence",
                content=_body(bundle, boundary, progress),
                headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
            )
        except httpx.HTTPError as exc:
            last, why = repr(exc), f"no answer at {client.base_url}"
        else:
            if answer.is_success:
                return dict(answer.json())
            if answer.status_code not in RETRYABLE:
                raise Rejected(explain(answer))
            last = explain(answer)
            why = f"{client.base_url} is busy ({last})"
            pause = max(pause, _asked_pause(answer))
    raise Unreachable(f"Tried {tries} times; the last time: {last}")


def _asked_pause(answer: httpx.Response) -> float:
    """Return the seconds that the service asks for; a date (RFC 9110 allows it) is not read."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


async def get(client: httpx.AsyncClient, path: str) -> Any:
    """Get JSON. Raise NotGiven with the problem, Unreachable."""
    try:
        answer = await client.get(path)
    except httpx.HTTPError as exc:
        raise Unreachable(repr(exc)) from exc
    if not answer.is_success:
        raise NotGiven(explain(answer))
    return answer.json()


def explain(answer: httpx.Response) -> str:
    """Return a problem (RFC 9457) as one line."""
    try:
        problem = answer.json()
        return f"{answer.status_code} {problem['code']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code}: {answer.text[:200]}"


async def _body(
    bundle: Bundle, boundary: str, progress: Callable[[int], None]
) -> AsyncIterator[bytes]:
    yield _head(boundary, "envelope", "envelope.json", "application/vnd.dsse.envelope.v1+json")
    yield bundle.envelope
    for entry in bundle.claim.entries:
        yield b"\r\n" + _head(boundary, "file", quote(entry.path), entry.media_type)
        for chunk in bundle.chunks(entry.path):
            progress(len(chunk))
            yield chunk
    yield f"\r\n--{boundary}--\r\n".encode()


def _head(boundary: str, name: str, filename: str, media_type: str) -> bytes:
    return (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    ).encode()
