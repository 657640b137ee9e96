"""Keys and transactions of the ledger in memory: readable, deterministic, worth nothing elsewhere."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any, get_args

from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Call, Signed, Unsigned
from ledger_service.domain.lifecycle import Outcome
from ledger_service.domain.order import Content

MAGIC = b"memory transaction 1\n"
_KINDS: dict[str, type[Call]] = {kind.__name__: kind for kind in get_args(Call)}


def memory_address(name: str) -> ids.Address:
    """Return the address of a named key."""
    return ids.Address(hashlib.sha256(f"memory key {name}".encode()).digest()[:20])


class MemorySigner:
    """The Signer port. The key is its name: the same name is the same key."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.address = memory_address(name)

    def __repr__(self) -> str:
        return f"MemorySigner({self._name!r})"

    def sign(self, unsigned: Unsigned, nonce: int) -> Signed:
        """Sign: the same call and nonce give the same bytes."""
        body = {
            "key": self._name,
            "nonce": nonce,
            "chain": unsigned.chain_id,
            "to": (unsigned.to or b"").hex(),
            "call": unsigned.data.decode(),
            "gas": unsigned.gas,
            "fees": dict(unsigned.fees),
        }
        raw = MAGIC + json.dumps(body, sort_keys=True).encode()
        return Signed(raw, _hash(raw), self.address, nonce)


@dataclass(frozen=True, slots=True)
class MemoryTransaction:
    """A transaction as decoded from raw bytes."""

    raw: bytes
    hash: ids.TxHash
    signer: ids.Address
    nonce: int
    chain_id: int
    to: bytes
    gas: int
    price: int
    call: Call | None  # None: it only moves nothing to somewhere


def decode(raw: bytes) -> MemoryTransaction:
    """Read the raw bytes of a MemorySigner. Raise SendRejected for any others."""
    try:
        body = json.loads(raw.removeprefix(MAGIC))
        return MemoryTransaction(
            raw=raw,
            hash=_hash(raw),
            signer=memory_address(body["key"]),
            nonce=body["nonce"],
            chain_id=body["chain"],
            to=bytes.fromhex(body["to"]),
            gas=body["gas"],
            price=sum(body["fees"].values()),
            call=read_call(body["call"].encode()) if body["call"] else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise errors.SendRejected("Not signed by a MemorySigner.", found=raw[:8].hex()) from exc


def write_call(call: Call) -> bytes:
    """Write a call as the `data` of an Unsigned."""
    values = {field.name: _plain(getattr(call, field.name)) for field in fields(call)}
    return json.dumps({"name": type(call).__name__, **values}, sort_keys=True).encode()


def read_call(data: bytes) -> Call:
    """Read what `write_call` wrote."""
    values = json.loads(data)
    kind = _KINDS[values.pop("name")]
    return kind(**{name: _value(name, value) for name, value in values.items()})


def _plain(value: Any) -> Any:
    match value:
        case Content():
            return value.as_json()
        case bytes():
            return value.hex()
        case tuple() | list():
            return [_plain(item) for item in value]
    return value


def _value(name: str, value: Any) -> Any:
    match name:
        case "content":
            return Content.from_json(value)
        case "contents":
            return tuple(Content.from_json(item) for item in value)
        case "seats":
            return tuple(value)
        case "results":
            return tuple(ids.ResultDigest(bytes.fromhex(item)) for item in value)
        case "outcome":
            return Outcome(value)
        case "detail" | "close_out":
            return bytes.fromhex(value)
        case "reason" if isinstance(value, str):
            return bytes.fromhex(value)
    return value


def _hash(raw: bytes) -> ids.TxHash:
    return ids.TxHash(hashlib.sha256(raw).digest())
