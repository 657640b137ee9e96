"""Numbers that may be hashed: scaled integers with a unit, money. Times are whole seconds, UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ledger_service.domain import errors

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
#: Currencies of ISO 4217 whose minor unit is not a hundredth.
_WHOLE = frozenset(
    [
        *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"),
        *("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"),
    ]
)
_THOUSANDTHS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])


@dataclass(frozen=True, slots=True)
class Quantity:
    """`value` times ten to the `exponent`, in `unit` (UCUM code; "1" for a pure number)."""

    value: int
    exponent: int
    unit: str

    def decimal(self) -> Decimal:
        """Return the number itself, exact."""
        return Decimal(self.value).scaleb(self.exponent)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form; it has no float."""
        return {"value": self.value, "exponent": self.exponent, "unit": self.unit}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Quantity:
        """Read the JSON form, already checked by the schema."""
        return cls(fields["value"], fields["exponent"], fields["unit"])


def money(minor: int, currency: str) -> Decimal:
    """Return the amount in the currency's main unit, exact."""
    digits = 0 if currency in _WHOLE else 3 if currency in _THOUSANDTHS else 2
    return Decimal(minor).scaleb(-digits)


def amount(minor: int, currency: str) -> str:
    """Write an amount as people read it: `1106.00 EUR`."""
    return f"{money(minor, currency):f} {currency}"


def parse_time(text: str) -> datetime:
    """Read `2026-11-24T09:00:00Z` (RFC 3339, whole seconds, Z alone). Raise UnknownField."""
    if not _RFC3339.fullmatch(text):
        raise errors.UnknownField(
            "Expected a time like 2026-11-24T09:00:00Z.", found=repr(text[:40])
        )
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as exc:
        raise errors.UnknownField("No such time.", found=repr(text)) from exc


def format_time(moment: datetime) -> str:
    """Write a time as `parse_time` reads it; fractions of a second are dropped."""
    # Not strftime, which writes the years before 1000 in fewer digits.
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
