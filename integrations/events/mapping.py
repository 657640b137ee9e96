"""From a fact to a CloudEvent in structured mode. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from ledger_service.domain import errors

TYPE_PREFIX = "maintenance-order-ledger"
MEDIA_TYPE = "application/cloudevents+json"
#: These stand in the event's attributes.
_ATTRIBUTES = frozenset({"eventId", "kind", "at"})


def event(payload: Mapping[str, Any], source: str) -> bytes:
    """Write the event: its id is the fact's, so a repeat is recognised. Raise DestinationRefused."""
    attributes = {
        "id": payload["eventId"],
        "source": source,
        "type": f"{TYPE_PREFIX}.{payload['kind']}.v1",
        "specversion": "1.0",
        "subject": payload["order"],
        "time": datetime.fromisoformat(payload["at"]),
        "datacontenttype": "application/json",
    }
    data = {name: value for name, value in payload.items() if name not in _ATTRIBUTES}
    try:
        return JSONFormat().write(CloudEvent(attributes, data))
    except CloudEventValidationError as exc:
        raise errors.DestinationRefused("Not a CloudEvent.", found=exc.errors) from exc
