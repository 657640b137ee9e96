"""Errors as problem details (RFC 9457), each with the code of `domain.errors`."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ledger_service.domain import errors

#: With the code behind it, the name of a kind of problem: its line on the page of errors.
TYPE = "https://maintenance-order-ledger.example/docs/errors.md#"
#: A problem that says no more than its HTTP status (RFC 9457, 4.2.1).
BLANK = "about:blank"
RETRY_SECONDS = 2
RETRYABLE = frozenset({429, 503})
#: What OpenAPI says of every error.
PROBLEM: dict[str, Any] = {
    "description": "A problem (RFC 9457)",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail", "code"],
                "properties": {
                    "type": {"type": "string", "format": "uri"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "code": {"type": "string", "examples": ["EV03"]},
                },
            }
        }
    },
}


class BadParameter(errors.LedgerError):
    """A part of the call's address, an id or a parameter, is not of the form that it must have."""

    code = "EV24"
    status = 422


log = structlog.get_logger()


class Problem(JSONResponse):
    """A response of the problem media type."""

    media_type = "application/problem+json"


def problem_of(error: errors.LedgerError) -> Problem:
    """Return an error as a response."""
    headers = {}
    if error.status in RETRYABLE:
        headers["Retry-After"] = str(RETRY_SECONDS)
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    fields = {name: str(value) for name, value in error.fields.items()}
    body = {**fields, **_body(error.code, error.title(), error.status, error.message)}
    return Problem(body, status_code=error.status, headers=headers)


def install(app: FastAPI) -> None:
    """Let every error of the application leave as a problem."""

    @app.exception_handler(errors.LedgerError)
    async def known(request: Request, exc: errors.LedgerError) -> Problem:
        if exc.status >= 500:  # noqa: PLR2004  the class of status
            log.warning("not served", path=request.url.path, code=exc.code, why=str(exc))
        return problem_of(exc)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, exc: RequestValidationError) -> Problem:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        kind = errors.UnknownField if first["loc"][0] == "body" else BadParameter
        return problem_of(kind(f"{place}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    async def http(_: Request, exc: HTTPException) -> Problem:
        text = str(exc.detail)
        body = _body(f"HTTP{exc.status_code}", text, exc.status_code, text) | {"type": BLANK}
        return Problem(body, status_code=exc.status_code, headers=exc.headers)

    @app.exception_handler(Exception)
    async def unknown(_: Request, exc: Exception) -> Problem:
        del exc  # the server logs it, with its trace
        text = "Something went wrong here; the log says what."
        return Problem(_body("LE00", text, 500, text), status_code=500)


def _body(code: str, title: str, status: int, detail: str) -> dict[str, Any]:
    return {"type": TYPE + code, "title": title, "status": status, "detail": detail, "code": code}
