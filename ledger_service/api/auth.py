"""Bearer tokens (RFC 6750): `mol_<id>_<secret>`, of which only the SHA-256 is kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ledger_service.api.parts import Parts, parts_of
from ledger_service.domain import errors
from ledger_service.domain.records import Role, Token

SECRET_BYTES = 32

bearer = HTTPBearer(auto_error=False, description="A token made by `mol token create`.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


def make_token(
    role: Role, subject: str, now: datetime, expires: datetime | None = None
) -> tuple[str, Token]:
    """Return a new token's text, told once, and its row."""
    name = secrets.token_hex(4)
    text = f"mol_{name}_{secrets.token_urlsafe(SECRET_BYTES)}"
    return text, Token(name, digest_of(text), role, subject, now, expires)


def digest_of(text: str) -> bytes:
    """Return what is kept of a token: SHA-256. It is random, so no slow hash is needed.

    Tokens are found by this digest: how long that takes tells nothing that leads to another token.
    """
    return hashlib.sha256(text.encode()).digest()


def require(*roles: Role) -> Callable[..., Awaitable[Token]]:
    """Return a dependency that lets only these roles pass; an operator passes everywhere."""

    async def check(request: Request, credentials: Credentials) -> Token:
        token = await identify(await parts_of(request), credentials)
        if token.role not in {*roles, Role.OPERATOR}:
            expected = " or ".join(sorted({*roles, Role.OPERATOR}))
            raise errors.Forbidden(found=token.role.value, expected=expected)
        return token

    return check


async def identify(parts: Parts, credentials: HTTPAuthorizationCredentials | None) -> Token:
    """Return the token that the credentials are. Raise Unauthenticated."""
    if credentials is None:
        raise errors.Unauthenticated("Send `Authorization: Bearer <token>`.")
    token = await parts.tokens.find(digest_of(credentials.credentials))
    now = parts.clock.now()
    if token is None or (token.revoked_at is not None and token.revoked_at <= now):
        raise errors.Unauthenticated("Unknown or revoked.")
    if token.expires_at is not None and token.expires_at <= now:
        raise errors.Unauthenticated("Expired.", expired=token.expires_at)
    return token


def asset_of(token: Token) -> str:
    """Return the one asset that an edge token may speak for; empty: any."""
    narrow = token.role is Role.EDGE and "/" in token.subject
    return token.subject if narrow else ""


ANYBODY = tuple(Role)
Edge = Annotated[Token, Depends(require(Role.EDGE))]
Reader = Annotated[Token, Depends(require(*ANYBODY))]
Checker = Annotated[Token, Depends(require(Role.ORGANISATION, Role.AUDITOR))]
Organisation = Annotated[Token, Depends(require(Role.ORGANISATION))]
Technician = Annotated[Token, Depends(require(Role.TECHNICIAN))]
Operator = Annotated[Token, Depends(require(Role.OPERATOR))]
