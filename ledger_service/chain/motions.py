"""Motions as people read them, and all of them from the chain's events."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from eth_abi.abi import decode

from contracts.load import enums
from ledger_service.chain.binding import consortium_interface
from ledger_service.chain.consortium import ARGUMENTS, Motion
from ledger_service.chain.settings import Deployment
from ledger_service.domain import ids

Ask = Callable[..., Awaitable[Any]]
EXECUTED, EXPIRED, OPEN = "executed", "expired", "open"

#: Kind of motion -> what its arguments mean, in the contract's order.
NAMES: Mapping[str, tuple[str, ...]] = {
    "AddOrganisation": ("keys (verdict, governance, recovery)", "proofs"),
    "Expel": ("organisation",),
    "RegisterVersion": (
        "asset, previous, seats, host, safety, ratify period (s), emergency cap, emergency max",
    ),
    "AddDetector": ("detector",),
    "RevokeDetector": ("detector",),
    "AddDevice": ("asset", "device"),
    "RevokeDevice": ("asset", "device"),
    "AddBuilder": ("key", "sponsor", "proof"),
    "RemoveBuilder": ("key",),
    "Recover": ("organisation", "keys (verdict, governance, recovery)", "proofs"),
    "ListOrders": ("contract",),
}


def describe(motion: Motion) -> list[str]:
    """Return a motion's arguments, decoded here from its bytes, one line each."""
    values = decode(ARGUMENTS[motion.kind], motion.data)
    return [
        f"{name}: {_show(value)}" for name, value in zip(NAMES[motion.kind], values, strict=True)
    ]


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
        return datetime.fromtimestamp(value, UTC).isoformat()
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
