"""CloudEvents to a webhook, signed by the Standard Webhooks scheme."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

import aiohttp
import standardwebhooks
from standardwebhooks.webhooks import EmptyWebhookSecretError

from integrations.addresses import checked_url
from integrations.events import mapping
from integrations.events.pause import seconds_of
from ledger_service.domain import errors
from ledger_service.domain.addresses import bare
from ledger_service.domain.records import Delivery

TIMEOUT_SECONDS = 20.0
#: Bytes of an answer that are read, and characters of a refusal that are told.
READ, SHOWN = 4096, 200
#: Asked to come later, not refused.
_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


class Webhook:
    """The Destination port: one POST per event; any 2xx is done, redirects are not followed.

    The receiver may get an event twice (a lost answer); `webhook-id` and the event's id are the
    same then. A pause that it asks for (Retry-After) is passed on.
    """

    name = "events"

    def __init__(
        self, url: str, secret: str, source: str, *, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        """`secret`: base64, as `whsec_...`. Raise ConfigError."""
        self._url = checked_url(url)
        self._shown = bare(self._url)  # receivers often put their secret into the address
        self._source = source
        self._signer = _signer(secret)
        self._timeout = aiohttp.ClientTimeout(timeout)
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, delivery: Delivery) -> dict[str, object]:
        """Post the event. Raise DestinationDown, DestinationRefused."""
        identity = str(delivery.payload["eventId"])
        body = mapping.event(delivery.payload, self._source)
        request = self._open().post(
            self._url, data=body, headers=self._headers(identity, body), allow_redirects=False
        )
        try:
            async with request as answer:
                # It was taken: what else the answer holds, or fails to hold, changes nothing.
                if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                    return {"id": identity, "status": answer.status}
                text = await _text(answer)
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            raise errors.DestinationDown(bare(str(exc) or repr(exc)), url=self._shown) from exc
        raise self._refusal(answer, text)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        """Return the session, which belongs to the loop that runs now. It keeps no cookies."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0)  # whoever calls says how many at once
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    def _headers(self, identity: str, body: bytes) -> dict[str, str]:
        now = datetime.now(UTC)
        return {
            "content-type": mapping.MEDIA_TYPE,
            "webhook-id": identity,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(identity, now, body.decode()),
        }

    def _refusal(self, answer: aiohttp.ClientResponse, text: str) -> errors.RelayError:
        status = answer.status
        found = f"HTTP {status}"
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _LATER:
            pause = seconds_of(answer.headers.get("retry-after", ""), datetime.now(UTC))
            return errors.DestinationDown(found=found, url=self._shown, retry_after=round(pause, 1))
        return errors.DestinationRefused(text[:SHOWN], found=found, url=self._shown)


async def _text(answer: aiohttp.ClientResponse) -> str:
    """Return how a refusal begins; nothing where its text does not come: the status says enough."""
    try:
        return (await answer.content.read(READ)).decode("utf-8", "replace")
    except (aiohttp.ClientError, OSError, TimeoutError):
        return ""


def _signer(secret: str) -> standardwebhooks.Webhook:
    try:
        return standardwebhooks.Webhook(secret)
    except (ValueError, EmptyWebhookSecretError) as exc:
        raise errors.ConfigError("The webhook's secret is not base64 (whsec_...).") from exc
