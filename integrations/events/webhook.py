"""CloudEvents to a webhook, signed by the Standard Webhooks scheme."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

import httpx
import standardwebhooks
from standardwebhooks.webhooks import EmptyWebhookSecretError

from integrations.addresses import checked_url
from integrations.events import mapping
from integrations.events.pause import seconds_of
from ledger_service.domain import errors
from ledger_service.domain.records import Delivery

TIMEOUT_SECONDS = 20.0
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
        self._source = source
        self._signer = _signer(secret)
        self._client = httpx.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False)

    async def deliver(self, delivery: Delivery) -> dict[str, object]:
        """Post the event. Raise DestinationDown, DestinationRefused."""
        identity = str(delivery.payload["eventId"])
        body = mapping.event(delivery.payload, self._source)
        try:
            answer = await self._client.post(
                self._url, content=body, headers=self._headers(identity, body)
            )
        except httpx.TransportError as exc:
            raise errors.DestinationDown(str(exc) or repr(exc), url=self._url) from exc
        self._judge(answer)
        return {"id": identity, "status": answer.status_code}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _headers(self, identity: str, body: bytes) -> dict[str, str]:
        now = datetime.now(UTC)
        return {
            "content-type": mapping.MEDIA_TYPE,
            "webhook-id": identity,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(identity, now, body.decode()),
        }

    def _judge(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        found = f"HTTP {answer.status_code}"
        if answer.is_server_error or answer.status_code in _LATER:
            pause = seconds_of(answer.headers.get("retry-after", ""), datetime.now(UTC))
            raise errors.DestinationDown(found=found, url=self._url, retry_after=round(pause, 1))
        raise errors.DestinationRefused(answer.text[:200], found=found, url=self._url)


def _signer(secret: str) -> standardwebhooks.Webhook:
    try:
        return standardwebhooks.Webhook(secret)
    except (ValueError, EmptyWebhookSecretError) as exc:
        raise errors.ConfigError("The webhook's secret is not base64 (whsec_...).") from exc
