"""Encoding and decoding by a contract's ABI, without a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from eth_abi.abi import encode
from eth_abi.exceptions import DecodingError
from eth_hash.auto import keccak

from ledger_service.chain.words import decode
from ledger_service.domain import errors

SELECTOR_BYTES = 4


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a contract."""

    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def encode(self, *arguments: Any) -> bytes:
        """Return calldata."""
        return self.selector + encode(self.inputs, arguments)

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """Return the results. Raise BadAnswer."""
        try:
            return decode(self.outputs, data)
        except DecodingError as exc:
            raise errors.BadAnswer("Not the results of this call.", found=data[:8].hex()) from exc


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a contract: its name, and its fields as (name, type, indexed)."""

    name: str
    topic: bytes
    fields: tuple[tuple[str, str, bool], ...]

    def decode(self, topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
        """Return the fields. Raise BadAnswer."""
        plain = [kind for _, kind, indexed in self.fields if not indexed]
        try:
            values = iter(decode(plain, data))
            keys = iter(topics[1:])
            return {
                name: decode([kind], next(keys))[0] if indexed else next(values)
                for name, kind, indexed in self.fields
            }
        except (DecodingError, StopIteration) as exc:
            raise errors.BadAnswer(f"Not a {self.name} event.", found=data[:8].hex()) from exc


class Interface:
    """All functions, events and errors of an ABI, by name; events and errors also by their hash."""

    def __init__(self, abi: Sequence[Mapping[str, Any]]) -> None:
        self._abi = abi

    @cached_property
    def functions(self) -> dict[str, Function]:
        """Return the functions by name (none is overloaded here)."""
        return {
            item["name"]: Function(
                selector=_hash(item)[:SELECTOR_BYTES],
                inputs=_types(item["inputs"]),
                outputs=_types(item["outputs"]),
            )
            for item in self._abi
            if item["type"] == "function"
        }

    @cached_property
    def events(self) -> dict[bytes, Event]:
        """Return the events by topic."""
        events = [
            Event(
                item["name"],
                _hash(item),
                tuple((f["name"], _type(f), bool(f["indexed"])) for f in item["inputs"]),
            )
            for item in self._abi
            if item["type"] == "event"
        ]
        return {event.topic: event for event in events}

    @cached_property
    def errors(self) -> dict[bytes, tuple[str, tuple[str, ...], tuple[str, ...]]]:
        """Return the errors by selector: name, field names, field types."""
        return {
            _hash(item)[:SELECTOR_BYTES]: (
                item["name"],
                tuple(field["name"] for field in item["inputs"]),
                _types(item["inputs"]),
            )
            for item in self._abi
            if item["type"] == "error"
        }

    @cached_property
    def constructor(self) -> tuple[str, ...]:
        """Return the types of the constructor's arguments."""
        found = [item for item in self._abi if item["type"] == "constructor"]
        return _types(found[0]["inputs"]) if found else ()

    def explain(self, data: bytes) -> tuple[str, dict[str, Any]]:
        """Return an error's name and fields; ("", {}) if it is not of this contract."""
        known = self.errors.get(data[:SELECTOR_BYTES])
        if known is None:
            return "", {}
        name, fields, kinds = known
        try:
            return name, dict(zip(fields, decode(kinds, data[SELECTOR_BYTES:]), strict=True))
        except DecodingError:
            return name, {}


def _hash(item: Mapping[str, Any]) -> bytes:
    return keccak(f"{item['name']}({','.join(_types(item['inputs']))})".encode())


def _types(fields: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(_type(field) for field in fields)


def _type(field: Mapping[str, Any]) -> str:
    kind = str(field["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_types(field['components']))}){kind.removeprefix('tuple')}"
