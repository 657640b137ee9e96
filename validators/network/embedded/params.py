"""Reading the parameters of JSON-RPC: quantities, data, addresses, blocks, calls, log filters.

Every function raises RpcError -32602 and names the argument, as geth does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from validators.network.embedded.rpc import INVALID_PARAMS, RpcError

ADDRESS, WORD = 20, 32
_QUANTITY = re.compile(r"0x(0|[1-9a-fA-F][0-9a-fA-F]{0,63})\Z")
_DATA = re.compile(r"0x([0-9a-fA-F]{2})*\Z")
_CALL_FIELDS = frozenset(
    [
        "from",
        "to",
        "gas",
        "gasPrice",
        "maxFeePerGas",
        "maxPriorityFeePerGas",
        "value",
        "data",
        "input",
        "nonce",
        "chainId",
        "type",
        "accessList",
    ]
)
MAX_TOPICS = 4


@dataclass(frozen=True, slots=True)
class CallRequest:
    """What `eth_call` and `eth_estimateGas` are asked. Prices in wei; `to` None creates."""

    sender: bytes
    to: bytes | None
    gas: int | None
    gas_price: int
    value: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which logs are wanted: any of the addresses, and per place any of the topics (None = all)."""

    addresses: frozenset[bytes] | None
    topics: tuple[frozenset[int] | None, ...]


def at(params: Sequence[Any], index: int) -> Any:
    """Return a required argument."""
    if index >= len(params) or params[index] is None:
        raise RpcError(INVALID_PARAMS, f"missing value for required argument {index}")
    return params[index]


def no_more(params: Sequence[Any], most: int) -> None:
    """Refuse arguments that would be ignored."""
    if any(extra is not None for extra in params[most:]):
        raise RpcError(INVALID_PARAMS, f"too many arguments, want at most {most}")


def quantity(value: Any, index: int) -> int:
    """Read a quantity: hexadecimal, no leading zeros."""
    if not isinstance(value, str) or not _QUANTITY.match(value):
        raise _invalid(index, "a hex quantity without leading zeros is wanted")
    return int(value, 16)


def data(value: Any, index: int, length: int | None = None) -> bytes:
    """Read data, of a fixed length in bytes if one is given."""
    if not isinstance(value, str) or not _DATA.match(value):
        raise _invalid(index, "hex data with 0x prefix is wanted")
    raw = bytes.fromhex(value[2:])
    if length is not None and len(raw) != length:
        raise _invalid(index, f"{length} bytes are wanted, found {len(raw)}")
    return raw


def call(value: Any, index: int = 0) -> CallRequest:
    """Read a transaction that is not signed."""
    raw = _object(value, index)
    if unknown := sorted(set(raw) - _CALL_FIELDS):
        raise _invalid(index, f"unknown field {unknown[0]}")
    if raw.get("accessList"):
        raise _invalid(index, "an access list is not supported in calls here")
    payload, other = (raw.get(name) for name in ("input", "data"))
    if payload is not None and other is not None and payload != other:
        raise _invalid(index, 'both "data" and "input" are set and not equal')
    code = payload if payload is not None else other
    fee = _optional(raw, "maxFeePerGas", index)
    tip = _optional(raw, "maxPriorityFeePerGas", index)
    offered = fee if tip is None or fee is None else min(fee, tip)
    return CallRequest(
        sender=data(raw.get("from") or "0x" + "00" * ADDRESS, index, ADDRESS),
        to=data(raw["to"], index, ADDRESS) if raw.get("to") is not None else None,
        gas=_optional(raw, "gas", index),
        gas_price=_optional(raw, "gasPrice", index) or offered or 0,
        value=_optional(raw, "value", index) or 0,
        payload=data(code, index) if code is not None else b"",
    )


def log_filter(raw: Mapping[str, Any], index: int) -> LogFilter:
    """Read `address` and `topics` of a log filter."""
    wanted = raw.get("address")
    listed = wanted if isinstance(wanted, list) else [wanted]
    addresses = frozenset(data(a, index, ADDRESS) for a in listed if a is not None)
    topics = raw.get("topics") or []
    if not isinstance(topics, list) or len(topics) > MAX_TOPICS:
        raise _invalid(index, f"topics is a list of at most {MAX_TOPICS}")
    return LogFilter(addresses or None, tuple(_topic(t, index) for t in topics))


def log_object(value: Any, index: int = 0) -> Mapping[str, Any]:
    """Read the object of a log filter, its fields still raw."""
    raw = _object(value, index)
    known = {"address", "topics", "fromBlock", "toBlock", "blockHash"}
    if unknown := sorted(set(raw) - known):
        raise _invalid(index, f"unknown field {unknown[0]}")
    if raw.get("blockHash") and (raw.get("fromBlock") or raw.get("toBlock")):
        raise _invalid(index, "cannot specify both BlockHash and FromBlock/ToBlock, choose one")
    return raw


def _topic(value: Any, index: int) -> frozenset[int] | None:
    listed = value if isinstance(value, list) else [value]
    if any(one is None for one in listed):
        return None
    return frozenset(int.from_bytes(data(one, index, WORD), "big") for one in listed) or None


def _optional(raw: Mapping[str, Any], name: str, index: int) -> int | None:
    return None if raw.get(name) is None else quantity(raw[name], index)


def _object(value: Any, index: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _invalid(index, "an object is wanted")
    return value


def _invalid(index: int, text: str) -> RpcError:
    return RpcError(INVALID_PARAMS, f"invalid argument {index}: {text}")
