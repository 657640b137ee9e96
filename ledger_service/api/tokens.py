"""Who asks: the tokens that were just looked up."""

from __future__ import annotations

from datetime import datetime, timedelta

from ledger_service import ports
from ledger_service.domain.records import Token

#: So long a token that was revoked may still be taken by a process that knows it.
KEPT = timedelta(seconds=1)
#: Tokens known at once. A plant has some tens; beyond this all are looked up again.
MOST = 1000


class Tokens:
    """Finds tokens by their digests; one that lives is known for a second, any other never."""

    def __init__(self, store: ports.Store, clock: ports.Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[bytes, tuple[datetime, Token]] = {}

    async def find(self, digest: bytes) -> Token | None:
        """Return the token whose secret has this SHA-256, as it was at most a second ago."""
        now = self._clock.now()
        looked, token = self._known.get(digest, (None, None))
        # A clock that was set back says nothing of how long ago that was.
        if looked is not None and looked <= now < looked + KEPT:
            return token
        async with self._store.reading() as rows:
            token = await rows.tokens.by_digest(digest)
        self._keep(digest, now, token)
        return token

    def _keep(self, digest: bytes, now: datetime, token: Token | None) -> None:
        if token is None or token.revoked_at is not None:
            self._known.pop(digest, None)
            return
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[digest] = (now, token)
