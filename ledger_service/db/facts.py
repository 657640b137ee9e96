"""Events of the chain as JSON columns, and back."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ledger_service.domain import facts
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.order import Content

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        facts.Proposed,
        facts.Approved,
        facts.Refused,
        facts.CancellationVoted,
        facts.Moved,
        facts.Skipped,
    )
}
# 256-bit numbers do not fit a JSON number everywhere.
_TEXT_NUMBERS = {"found", "expected"}


def dump(event: facts.Event) -> tuple[str, dict[str, Any]]:
    """Return (kind, fields)."""
    values = {field.name: _plain(field.name, getattr(event, field.name)) for field in fields(event)}
    return type(event).__name__, values


def load(kind: str, values: dict[str, Any]) -> facts.Event:
    """Read what `dump` wrote."""
    event: facts.Event = _KINDS[kind](
        **{name: _rich(name, value) for name, value in values.items()}
    )
    return event


def _plain(name: str, value: Any) -> Any:
    match value:
        case Content():
            return value.as_json()
        case bytes():
            return value.hex()
        case Status():
            return int(value)
        case int() if name in _TEXT_NUMBERS:
            return str(value)
    return value


def _rich(name: str, value: Any) -> Any:
    if name == "content":
        return Content.from_json(value)
    if name == "status":
        return Status(value)
    if name in _TEXT_NUMBERS:
        return int(value)
    if isinstance(value, str):
        return bytes.fromhex(value)
    return value
