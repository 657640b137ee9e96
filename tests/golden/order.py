"""Evidence that is right in itself but comes at the wrong time, or after something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger_service.domain import ids
from tests.golden.build import whole
from tests.golden.statements import case
from tests.unit.services.gateway import Gateway


def fork() -> dict[str, Any]:
    gateway = Gateway()
    before, next_one = gateway.pack(), gateway.pack()
    other = Gateway().pack({"other.csv": b"other"})
    return case(
        "Other bytes under a sequence number that was used",
        409,
        "CF02",
        whole(other),
        before=[whole(before)],
        right=whole(next_one),
    )


def late_fork() -> dict[str, Any]:
    gateway = Gateway()
    first, second, third = gateway.pack(), gateway.pack(), gateway.pack()
    return case(
        "An old number again, with other bytes, after later ones",
        409,
        "CF02",
        whole(Gateway().pack({"other.csv": b"other"})),
        before=[whole(first), whole(second)],
        right=whole(third),
    )


def broken_chain() -> dict[str, Any]:
    gateway = Gateway()
    first, second = gateway.pack(), gateway.pack()
    gateway.previous, gateway.sequence = first.id, 4
    return case(
        "A statement that names one with another number as the one before",
        409,
        "CF02",
        whole(gateway.pack()),
        before=[whole(first)],
        right=whole(second),
    )


def reused() -> dict[str, Any]:
    gateway = Gateway()
    first = gateway.pack({"samples.csv": b"1"})
    again = gateway.pack({"samples.csv": b"1"})
    gateway.sequence, gateway.previous = 1, first.id
    return case(
        "The same files under another statement",
        409,
        "CF03",
        whole(again),
        before=[whole(first)],
        right=whole(gateway.pack({"samples.csv": b"2"})),
    )


def revoked() -> dict[str, Any]:
    rare = ids.DetectorId(bytes([7] * 32))
    return case(
        "A detector that was revoked",
        422,
        "EV15",
        whole(Gateway().pack(detector=rare)),
        revoked=[rare.hex()],
    )


def full() -> dict[str, Any]:
    gateway = Gateway()
    first, second = gateway.pack(), gateway.pack()
    return case(
        "A full backlog",
        429,
        "LM02",
        whole(second),
        before=[whole(first)],
        limits={"backlog": 1},
        settled=True,
        right=whole(second),
    )


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "sequence-fork": fork,
    "sequence-replay": late_fork,
    "broken-device-chain": broken_chain,
    "dataset-reused": reused,
    "detector-revoked": revoked,
    "backlog-full": full,
}
