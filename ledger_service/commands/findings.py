"""What `mol doctor` found, and the words for it: of several signs of one cause, one is a finding."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from ledger_service.domain import errors


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `ok` None: it was not examined. `todo`: what to do, if anything."""

    name: str
    ok: bool | None
    text: str
    todo: str = ""


async def look(name: str, todo: str, examine: Callable[[], Awaitable[str]]) -> Finding:
    """Examine one thing. `todo` is for what is wrong with it, not with the chain below it."""
    try:
        return Finding(name, ok=True, text=await examine())
    except errors.ChainError as exc:
        return Finding(name, ok=False, text=in_words(exc), todo=todo if name == "chain" else "")
    except (errors.LedgerError, OSError) as exc:
        return Finding(name, ok=False, text=in_words(exc), todo=todo)


async def look_behind(
    cause: Finding, name: str, todo: str, examine: Callable[[], Awaitable[str]]
) -> Finding:
    """Examine what can be well only if something else is, unless that failed already."""
    return await look(name, todo, examine) if cause.ok else not_examined(name, cause)


def not_examined(name: str, cause: Finding) -> Finding:
    """Say what stands in the way of examining something."""
    return Finding(name, ok=None, text=f"not examined: {cause.name}")


def in_words(error: Exception) -> str:
    """Return an error as people say it: of an address that does not answer, the address and why."""
    cause: BaseException | None = error
    while isinstance(cause, errors.NodeUnreachable):
        if "found" in cause.fields and cause.__cause__ is not None:
            return f"{cause.title()} {host_of(str(cause.fields['found']))} {_why(cause.__cause__)}"
        cause = cause.__cause__
    return str(error) or type(error).__name__


async def look_at_api(base_url: str, seconds: float, chain: Finding) -> Finding:
    """Ask the API whether it is ready: it does not run, or it runs and says what it lacks.

    One that is started while the chain is away does not listen before the chain is there.
    """
    host = host_of(base_url)
    try:
        async with httpx.AsyncClient(timeout=seconds) as client:
            answer = await client.get(f"{base_url}/health/ready")
    except httpx.HTTPError as exc:
        text = "not running" if chain.ok else "not running, or waiting for the chain"
        todo = "start it: `mol up`" if chain.ok else "the chain first; then, if need be, `mol up`"
        return Finding("api", ok=False, text=f"{text}: {host} {_why(exc)}", todo=todo)
    if not answer.is_error:
        return Finding("api", ok=True, text=f"{base_url} ready")
    detail = _detail(answer)
    if not detail:
        text, todo = f"{host} answers {answer.status_code}: another program?", "correct `api`"
        return Finding("api", ok=False, text=text, todo=todo)
    return Finding("api", ok=False, text=f"running, not ready: {detail}")


def host_of(url: str) -> str:
    """Return host and port of an address; no password that stands before them."""
    return urlsplit(url).netloc.rpartition("@")[2] or url


def _detail(answer: httpx.Response) -> str:
    """Return what a problem (RFC 9457) says; nothing if the answer is none."""
    try:
        problem = answer.json()
    except ValueError:
        return ""
    return str(problem.get("detail", "")) if isinstance(problem, dict) else ""


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "does not answer"
    if isinstance(error, httpx.ConnectError):
        return "refused"
    number = getattr(error, "errno", None)
    if number == errno.ECONNREFUSED:
        return "refused"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be reached: {error.strerror}"
    return "broke off the connection"
