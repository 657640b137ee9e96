"""Motions as people read them, and all of them from the chain's events."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from contracts.load import enums
from ledger_service.chain.binding import consortium_interface
from ledger_service.chain.consortium import ARGUMENTS, Motion
from ledger_service.chain.settings import Deployment
from ledger_service.domain import errors, ids

Ask = Callable[..., Awaitable[Any]]
EXECUTED, EXPIRED, OPEN = "executed", "expired", "open"

KEYS = ("verdict key", "governance key", "recovery key")
PROOFS = ("verdict proof", "governance proof", "recovery proof")
VERSION = (
    "asset",
    "previous version",
    "seats",
    "host",
    "safety authority",
    "ratify period (s)",
    "emergency cap",
    "emergency max",
)
#: Kind of motion -> what its arguments mean, in the contract's order; of a structure, each field.
NAMES: Mapping[str, tuple[str | tuple[str, ...], ...]] = {
    "AddOrganisation": (KEYS, PROOFS),
    "Expel": ("organisation",),
    "RegisterVersion": (VERSION,),
    "AddDetector": ("detector",),
    "RevokeDetector": ("detector",),
    "AddDevice": ("asset", "device"),
    "RevokeDevice": ("asset", "device"),
    "AddBuilder": ("key", "sponsor", "proof"),
    "RemoveBuilder": ("key",),
    "Recover": ("organisation", KEYS, PROOFS),
    "ListOrders": ("contract",),
}


def describe(motion: Motion, asset: str = "") -> list[str]:
    """Return a motion's arguments, decoded here from its bytes, one line each.

    `asset` is the name that its proposer gives the machine. The bytes hold a hash of it alone, so
    it is shown only if it is the one voted on. Raise UnknownField if it is not.
    """
    fields = list(_fields(motion))
    found = {value.hex() for name, value in fields if name == "asset"}
    if asset and found != {ids.asset_id(asset).hex()}:
        raise errors.UnknownField(
            "The name is not that of the machine voted on.",
            found=asset,
            expected=f"the name of {' '.join(found) or 'none'}",
        )
    named = f"{asset}, id " if asset else ""
    return [f"{name}: {named * (name == 'asset')}{_show(value)}" for name, value in fields]


def moment(seconds: int) -> str:
    """Return a time of the chain as people write it, in UTC."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (OverflowError, OSError, ValueError):  # beyond the year 9999
        return f"{seconds} (Unix seconds)"


def _fields(motion: Motion) -> Iterator[tuple[str, Any]]:
    try:
        values = decode(ARGUMENTS[motion.kind], motion.data)
    except DecodingError as exc:
        raise errors.UnknownField("Not the arguments of such a motion.", found=motion.kind) from exc
    for name, value in zip(NAMES[motion.kind], values, strict=True):
        if isinstance(name, tuple):
            yield from zip(name, value, strict=True)
        else:
            yield name, value


async def history(ask: Ask, deployment: Deployment) -> list[dict[str, Any]]:
    """Return all motions, the newest first: kind, state, votes, name, block, salt."""
    query = {
        "address": ids.checksum(deployment.consortium),
        "fromBlock": hex(deployment.block),
        "toBlock": "latest",
    }
    found: dict[str, dict[str, Any]] = {}
    for log in await ask("eth_getLogs", query):
        topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
        event = consortium_interface().events.get(topics[0])
        if event is None or event.name not in {"Voted", "Unvoted", "Executed"}:
            continue
        values = event.decode(topics, bytes.fromhex(log["data"][2:]))
        _note(found, event.name, values, int(log["blockNumber"], 16))
    return list(reversed(found.values()))


def told(receipt: Mapping[str, Any], consortium: ids.Address) -> list[str]:
    """Return what a transaction did to the consortium, one line per event."""
    lines = []
    for log in receipt["logs"]:
        topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
        event = consortium_interface().events.get(topics[0]) if topics else None
        if event is None or ids.parse_address(log["address"]) != consortium:
            continue
        values = event.decode(topics, bytes.fromhex(log["data"][2:]))
        fields = (f"{name} {_read(name, value)}" for name, value in values.items())
        lines.append(f"{event.name}: {', '.join(fields)}")
    return lines


def _read(name: str, value: Any) -> str:
    if name == "role":
        return str(enums()["Role"][value])
    if name == "ready" and value:
        return moment(value)
    return _show(value)


def _note(
    found: dict[str, dict[str, Any]], event: str, values: Mapping[str, Any], block: int
) -> None:
    name = values["motion"].hex()
    if event == "Voted":
        kind, data, expires, salt = values["terms"]
        motion = Motion(enums()["Kind"][kind], data, expires, salt)
        item = found.setdefault(name, _fresh(name, motion, block))
        item["votes"] = sorted({*item["votes"], values["number"]})
    elif event == "Unvoted" and name in found:
        found[name]["votes"] = [v for v in found[name]["votes"] if v != values["number"]]
    elif event == "Executed" and name in found:
        found[name]["state"] = EXECUTED


def _fresh(name: str, motion: Motion, block: int) -> dict[str, Any]:
    return {
        "motion": name,
        "kind": motion.kind,
        "arguments": describe(motion),
        "state": OPEN if motion.expires > time.time() else EXPIRED,
        "votes": [],
        "block": block,
        "salt": motion.salt.hex(),
    }


def _show(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple | list):
        return ", ".join(_show(item) for item in value)
    return str(value)
