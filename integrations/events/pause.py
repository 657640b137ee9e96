"""How long a server asks to be left alone (RFC 9110, Retry-After). Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 86400.0


def seconds_of(header: str, now: datetime) -> float:
    """Read seconds or an HTTP date; what is neither is no pause. At most a day."""
    if header.isdecimal():
        return min(float(header), LONGEST)
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max((until - now).total_seconds(), 0.0), LONGEST)
